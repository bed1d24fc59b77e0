"""Links that open a page of the bridge in a browser, once: to the console and to setup."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.backend import record
from bridge.cli.context import Config, run, settings_of
from bridge.cli.manifest import bridge_address
from bridge.cli.show import hint

if TYPE_CHECKING:
    from bridge.ports.journal import Sessions

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        callback=bridge_address,
        help="The address by which your browser reaches the bridge.",
        show_default="BRIDGE_PUBLIC_URL, or this machine",
    ),
]

NewLink = Callable[["Sessions", str], Awaitable[str]]
"""Returns a new link, below the bridge's address."""


def _print_link(config: Config, url: str | None, new_link: NewLink, to: str, minutes: int) -> None:
    """Print a link to a page, and how long it lets somebody in."""
    from bridge.app.storage import open_stores
    from bridge.listening.listener import local_url

    settings = settings_of(config)
    here = url or settings.public_url or local_url(settings.host, settings.port)

    async def link() -> str:
        async with open_stores(settings) as stores:
            await record(stores.journal, "link", to)
            return await new_link(stores.journal, here)

    typer.echo(run(link()))  # not wrapped: a broken link can't be opened
    hint(f"valid once, within {minutes} minutes, while `dokploy-bridge serve` runs")
    if url is None and settings.public_url is None:
        hint("from another machine: --url https://… with the address that leads to the bridge")


def console(config: Config = None, url: Url = None) -> None:
    """Print a link that opens the console: what happened, why, and what to do.

    It lets one browser in, once, within 10 minutes, with all rights.
    """
    from bridge.console.visitors import new_link

    _print_link(config, url, new_link, "console", minutes=10)


def setup(config: Config = None, url: Url = None) -> None:
    """Print a link to the page that connects Dokploy, Git hosts and chats.

    It lets one browser in, once, within 30 minutes. Setting up changes nothing else.
    """
    from bridge.app.setup.entry import new_link

    _print_link(config, url, new_link, "setup", minutes=30)
