"""Keeps what programs write into a folder within limits; a small repository can unpack to a lot."""

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from bridge.backends.embedded.building.errors import BuildFailed
from bridge.backends.embedded.building.process import Limits
from bridge.backends.embedded.undivided import put_away, undivided

R = TypeVar("R")

_LOOK_SECONDS = 0.5


async def within_limits(work: Coroutine[Any, Any, R], folder: Path, limits: Limits) -> R:
    """Do the work, which fills a folder, and end it when the folder outgrows its limits.

    Nothing tells when a folder grows, so it is measured now and then, and once at the end.

    Raises:
        BuildFailed: the folder holds too much.
    """
    working = asyncio.create_task(work)
    stop = threading.Event()

    async def look() -> None:
        await undivided(lambda: measure(folder, limits, stop), on_cancel=stop.set)

    try:
        while not (await asyncio.wait({working}, timeout=_LOOK_SECONDS))[0]:
            await look()
        result = await working
        await look()
        return result
    finally:
        if not working.done():
            await put_away(working)


def measure(folder: Path, limits: Limits, stop: threading.Event) -> None:
    """Raise BuildFailed where a folder holds too much; looks no further than to the limit."""
    entries = size = 0
    waiting = [str(folder)]
    while waiting and not stop.is_set():
        for entry in _listed(waiting.pop()):
            entries += 1
            if entries > limits.checkout_entries:
                limit = limits.checkout_entries
                raise BuildFailed(f"the code has more than its limit of {limit} files and folders")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            size += _size(entry)
            if size > limits.checkout_bytes:
                raise BuildFailed(
                    f"the code is larger than its limit of {limits.checkout_bytes} bytes"
                )


def _listed(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # programs move and remove what they write
        return []


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
