"""Copy all the bridge's data under load, and put the copy back.

Putting a copy back while the bridge is down is a restore. Putting it back under running workers is
a failover to a lagging replica: the workers remember what the database has forgotten.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.stage import Stage


@dataclass(frozen=True)
class Copy:
    """A copy of the data at some moment, in seconds since 1970."""

    folder: Path
    taken: float


@dataclass(frozen=True)
class Forgotten:
    """Data from `since` to `until` is in no store any longer."""

    since: float
    until: float

    def holds(self, at: float) -> bool:
        """Return whether anything of that time is forgotten."""
        return self.since <= at <= self.until


async def taken(stage: Stage) -> Copy:
    """Copy all data; nobody can write meanwhile."""
    copy = Copy(stage.fleet.folder / "copy", time.time())
    async with _nobody_writes(stage):
        await asyncio.to_thread(shutil.copytree, _folder(stage), copy.folder)
    return copy


async def restored(stage: Stage, copy: Copy) -> Forgotten:
    """Kill the bridge, put the copy back, and start it."""
    async with stage.fleet.down():
        async with _nobody_writes(stage, down=True):
            await asyncio.to_thread(_put_back, _folder(stage), copy.folder)
        return Forgotten(copy.taken, time.time())


async def failed_over(stage: Stage, copy: Copy) -> Forgotten:
    """Put the copy back under running processes; only on Postgres."""
    async with _nobody_writes(stage):
        await asyncio.to_thread(_put_back, _folder(stage), copy.folder)
        until = time.time()
    for process in stage.fleet.processes:
        await process.ready()
    return Forgotten(copy.taken, until)


@asynccontextmanager
async def _nobody_writes(stage: Stage, *, down: bool = False) -> AsyncIterator[None]:
    """Stop the server; for SQLite, the bridge."""
    if stage.database is not None:
        await asyncio.to_thread(stage.database.stop)
        try:
            yield
        finally:
            await asyncio.to_thread(stage.database.start)
    elif down:
        yield
    else:
        async with stage.fleet.down():
            yield


def _folder(stage: Stage) -> Path:
    return stage.database.data if stage.database is not None else stage.fleet.settings.data


def _put_back(folder: Path, copy: Path) -> None:
    """Replace a folder's content; keep its owner and permissions."""
    for old in folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for kept in copy.iterdir():
        into = folder / kept.name
        shutil.copytree(kept, into) if kept.is_dir() else shutil.copy2(kept, into)
    _own(folder)


def _own(folder: Path) -> None:
    """Give everything to the folder's owner."""
    owner = folder.stat()
    for path in folder.rglob("*"):
        shutil.chown(path, owner.st_uid, owner.st_gid)
