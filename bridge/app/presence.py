"""Which processes are at work on what is kept: on SQLite one at a time, on Postgres any number."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bridge.app.folder import must_be_ours
from bridge.app.whereabouts import database_url
from bridge.core.errors import Rejected
from bridge.core.roles import Role
from bridge.settings import Settings

SOLO = "solo"
"""On SQLite one process works, so it takes up what its predecessor left (durability.md)."""


def new_owner(settings: Settings) -> str:
    """The name of this process among those that share the stores."""
    if database_url(settings) is None:
        return SOLO
    from bridge.durable.peers import new_executor_id

    return new_executor_id()


class InUse(Rejected):
    """Another process holds a data directory."""


@contextmanager
def only_one(data: Path) -> Iterator[None]:
    """Hold a data directory for this process: SQLite's flows must not run in two.

    Raises:
        InUse: another process holds it.
        Rejected: it can't be one, or is not ours alone.
    """
    must_be_ours(data)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "lock").open("a+")
    except OSError as error:
        raise Rejected(
            f"{data} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
        ) from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InUse(
                f"another bridge is running on {data}; stop it, or choose another BRIDGE_DATA;"
                " for several processes on the same data set DATABASE_URL to a Postgres"
            ) from None
        yield


RUNNERS = ("HONCHO_PROCESS_NAME", "DYNO", "PS")
"""Variables in which runners of a Procfile give each process its name: Honcho; Heroku and Dokku;
Foreman and similar ones."""


def stands_aside(settings: Settings, role: Role, environment: Mapping[str, str]) -> bool:
    """Return whether this is a Procfile's worker on SQLite, where one process does all the work.

    If it ended with an error, the runner of the Procfile would end all other processes as well.
    """
    if role is not Role.WORKER or database_url(settings) is not None:
        return False
    if any(name in environment for name in RUNNERS):
        return True
    return settings.data.is_dir() and is_held(settings.data)


def is_held(data: Path) -> bool:
    """Whether a process is at work on a data directory."""
    try:
        with only_one(data):
            return False
    except InUse:
        return True


def is_running(settings: Settings) -> bool:
    """Whether any process decides and deploys on these stores; raises Unreachable."""
    if (url := database_url(settings)) is None:
        return is_held(settings.data)
    from bridge.durable.peers import anybody_works

    return anybody_works(url)
