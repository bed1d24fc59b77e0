"""Which processes work on the stores: on SQLite one at a time, on Postgres any number."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO

from bridge.app.data_folder import database_url, must_be_ours
from bridge.core.errors import Rejected
from bridge.core.roles import Role
from bridge.settings import Settings

_LOOK_SECONDS = 0.05

SOLO = "solo"
"""On SQLite only one process works, so it continues its predecessor's work."""


def new_owner(settings: Settings) -> str:
    """Return a name for this process, unique among those that share the stores."""
    if database_url(settings) is None:
        return SOLO
    from bridge.durable.peers import new_executor_id

    return new_executor_id()


class InUse(Rejected):
    """Another process holds the data folder."""


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold a data folder for this process: two must not run the same flows on SQLite.

    Raises:
        InUse: another process holds it.
        Rejected: the folder is unusable, or not ours alone.
    """
    must_be_ours(data)
    try:
        lock = _opened(data / "lock")
    except OSError as error:
        raise Rejected(
            f"{data} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
        ) from error
    with lock as file:
        if not _taken(file):
            raise InUse(
                f"another bridge is running on {data}; stop it, or choose another BRIDGE_DATA;"
                " for several processes on the same data set DATABASE_URL to a Postgres"
            )
        yield


RUNNERS = ("HONCHO_PROCESS_NAME", "DYNO", "PS")
"""Variables in which Procfile runners name each process: Honcho; Heroku and Dokku; Foreman and the
like."""


def stands_aside(settings: Settings, role: Role, environment: Mapping[str, str]) -> bool:
    """Return whether this is a Procfile's worker on SQLite, where one process does all the work.

    It must not end with an error: the Procfile runner would then end all other processes.
    """
    if role is not Role.WORKER or database_url(settings) is not None:
        return False
    if any(environment.get(name) for name in RUNNERS):
        return True
    return settings.data.is_dir() and is_held(settings.data)


@asynccontextmanager
async def in_turn(file: Path, *, patience: float = 60.0) -> AsyncIterator[None]:
    """Hold a lock on a file once its present holder releases it; a killed process holds none.

    Raises:
        Rejected: it stays held for more than `patience` seconds, or can't be created.
    """
    try:
        opened = _opened(file)
    except OSError as error:
        raise Rejected(f"{file} can't be written ({error.strerror})") from error
    with opened as lock:
        until = time.monotonic() + patience
        while not _taken(lock):
            if time.monotonic() > until:
                raise Rejected(
                    f"another command has held {file} for {patience:.0f} s; end it, or try again"
                )
            await asyncio.sleep(_LOOK_SECONDS)  # no event signals that a lock is free
        yield


def _opened(file: Path) -> IO[str]:
    """Open a file for locking; other users may not open it, since they could hold the lock."""
    for folder in (*reversed(file.parents), file.parent):
        folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.fstat(descriptor).st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)  # an older release created it readable
    return os.fdopen(descriptor, "r+")


def _taken(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(data: Path) -> bool:
    """Return whether any process works on a data folder."""
    try:
        with only_one(data):
            return False
    except InUse:
        return True


def is_running(settings: Settings) -> bool:
    """Return whether any process decides and deploys on these stores; raise Unreachable."""
    if (url := database_url(settings)) is None:
        return is_held(settings.data)
    from bridge.durable.peers import anybody_works

    return anybody_works(url)
