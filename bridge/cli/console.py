"""`console`: a link that opens the console in a browser."""

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.manifest import bridge_address
from bridge.cli.setup import address_of
from bridge.cli.show import hint
from bridge.cli.using import Config, run, settings_of

if TYPE_CHECKING:
    from bridge.settings import Settings


def console(
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
    """Print a link that opens the console: what happened, why, and what to do.

    It lets one browser in, once, within 10 minutes, with all rights.
    """
    settings = settings_of(config)
    link = run(_link(settings, url or address_of(settings)))
    typer.echo(link)  # not wrapped: a broken link can't be opened
    hint("valid once, within 10 minutes, while `dokploy-bridge serve` runs")
    if url is None and settings.public_url is None:
        hint("from another machine: --url https://… with the address that leads to the bridge")


async def _link(settings: "Settings", url: str) -> str:
    from bridge.app.storage import open_stores
    from bridge.console.visitors import new_link

    async with open_stores(settings) as stores:
        return await new_link(stores.journal, url)
