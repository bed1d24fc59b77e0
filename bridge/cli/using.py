"""What most commands need: the settings, the stores, an event loop."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from bridge.app.storage import Stores
    from bridge.settings import Settings

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="BRIDGE_CONFIG",
        show_default=False,
        help="Settings file; default: bridge.yaml, if there is one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Show its steps until it ends.")]


def settings_of(config: Path | None) -> "Settings":
    """The settings, from the file and the environment; raises Rejected."""
    from bridge.settings import read_settings

    return read_settings(config, os.environ)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to its end."""
    return asyncio.run(work)


@asynccontextmanager
async def kept_in(settings: "Settings") -> "AsyncIterator[Stores]":
    """The stores of a data directory that is there; raises NotFound when it is not."""
    from bridge.app.storage import open_stores
    from bridge.app.whereabouts import must_be_there

    must_be_there(settings)
    async with open_stores(settings) as stores:
        yield stores
