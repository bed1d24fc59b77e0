"""`setup`: a link to the page that connects everything."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.manifest import bridge_address
from bridge.cli.show import hint
from bridge.cli.using import Config, run, settings_of

if TYPE_CHECKING:
    from bridge.settings import Settings


def setup(
    config: Config = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            callback=bridge_address,
            help="The address by which your browser reaches the bridge.",
            show_default="BRIDGE_PUBLIC_URL, or this machine",
        ),
    ] = None,
) -> None:
    """Print a link to the page that connects Dokploy, Git hosts and chats.

    It lets one browser in, once, within 30 minutes. Setting up changes nothing else.
    """
    settings = settings_of(config)
    link = run(_link(settings, url or address_of(settings)))
    typer.echo(link)  # not wrapped: a broken link can't be opened
    hint("valid once, within 30 minutes, while `dokploy-bridge serve` runs")
    if url is None and settings.public_url is None:
        hint("from another machine: --url https://… with the address that leads to the bridge")


def address_of(settings: "Settings") -> str:
    """Return the bridge's address: its public one, or the one on this machine."""
    from bridge.listening.listener import local_url

    return settings.public_url or local_url(settings.host, settings.port)


async def _link(settings: "Settings", url: str) -> str:
    from bridge.app.setup.entry import new_link
    from bridge.app.storage import open_stores

    async with open_stores(settings) as stores:
        return await new_link(stores.journal, url)
