"""Locate the data, in a folder or a Postgres; check that folder, hold it, seal secrets there."""

import asyncio
import fcntl
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bridge.app.roles import Role
from bridge.core.errors import NotFound, Rejected
from bridge.core.validation_errors import shortened
from bridge.storage.seal import FernetSeal, NoSeal, key_in

if TYPE_CHECKING:
    from pydantic import SecretStr

    from bridge.settings import Process, Settings


def database_url(settings: "Process") -> str | None:
    """Return the configured Postgres as libpq reads it; None for SQLite in the data folder."""
    url = settings.database_url
    return url.get_secret_value() if url is not None else None


def whereabouts(settings: "Process") -> str:
    """Return where everything is stored, for people; no password is in it."""
    return str(settings.data) if settings.database_url is None else "the database of DATABASE_URL"


def must_be_there(settings: "Process") -> None:
    """Raise NotFound if there is no store yet: a command should not create an empty one."""
    if settings.database_url is not None:
        return
    try:
        there = (settings.data / "journal.sqlite").exists()
    except OSError as error:
        raise unusable(settings.data, error) from error
    if not there:
        raise NotFound(
            f"nothing is kept in {settings.data} yet: start `dokploy-bridge serve`,"
            " or set BRIDGE_DATA to where your bridge keeps its data"
        )


OWN_FOLDERS = ("embedded",)
"""Folders in it that are checked the same way."""

_HARM = "who could have the bridge read or overwrite other files"
_ELSEWHERE = "choose another folder with BRIDGE_DATA"


def must_be_ours(data: Path) -> None:
    """Check a data folder, its content, and every existing folder above it.

    Raises:
        Rejected: others may write to it or to a file in it, or replace it; or it holds a symbolic
            link.
    """
    mounted_for = _mounted_for(data)
    try:
        for parent in dict.fromkeys([*data.absolute().parents, *data.resolve().parents]):
            _check_parent(parent)  # also above the targets of links
        for folder in (data, *(data / name for name in OWN_FOLDERS)):
            _check(folder, mounted_for)
    except (OSError, RuntimeError) as error:  # before Python 3.13, the latter for links in a circle
        raise unusable(data, error) from error


def unusable(data: Path, error: Exception) -> Rejected:
    """Return the error that a folder can't hold the data."""
    why = getattr(error, "strerror", None) or "its links lead in a circle"
    return Rejected(f"{shortened(str(data))} can't hold the data ({why})", _ELSEWHERE)


def not_a_bridges(where: str, why: str) -> str:
    """Return the words for files that are there and can't be used."""
    return f"the data in {where} can't be used: {why}; is it a bridge's?"


def database_away(why: str) -> str:
    """Return the words for a Postgres that can't be used."""
    return f"the database of DATABASE_URL can't be used: {why.strip()}"


SHARED_SESSIONS = (
    (
        "it is behind a pooler in transaction or statement mode, which lends each session to"
        " others: LISTEN, and the locks by which processes know that another one is alive, don't"
        " stay with a connection"
    ),
    "use session mode (PgBouncer: pool_mode = session), or the server's own address",
)
"""The error for a Postgres behind such a pooler, and the remedy."""


def _mounted_for(data: Path) -> int:
    """Return the owner of a folder that is itself a mount point, else root.

    A container that runs as root is given folders of the machine's users. The user who mounted one
    there already has our rights.
    """
    whole = data.parent if data.name in OWN_FOLDERS else data
    try:
        return whole.stat().st_uid if os.geteuid() == 0 and whole.is_mount() else 0
    except OSError:
        return 0  # the checks that follow report it


def _check_parent(folder: Path) -> None:
    """Raise Rejected if anybody may rename a folder's files because it has no sticky bit."""
    try:
        mode = folder.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return  # whatever creates it reports the error
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise Rejected(
            f"{folder} can be written to by everybody, {_HARM} by putting another data folder"
            f" there: `chmod o-w {folder}` (or `chmod +t`, as of /tmp), or {_ELSEWHERE}"
        )


def _check(folder: Path, mounted_for: int) -> None:
    try:
        about = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISDIR(about.st_mode):
        return  # whatever opens it reports the error
    _must_be_closed(folder, about, mounted_for, _HARM)
    with os.scandir(folder) as entries:
        for entry in entries:
            _check_entry(entry, mounted_for)


def _check_entry(entry: "os.DirEntry[str]", mounted_for: int) -> None:
    if entry.is_symlink():
        raise Rejected(
            f"{entry.path} is a symbolic link, which the bridge does not follow in its data: remove"
            " it, or put what it leads to in its place; a whole folder may be elsewhere by"
            " BRIDGE_DATA"
        )
    try:
        about = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return  # a running bridge makes and removes files all the time
    changed = "who could change what the bridge keeps"
    _must_be_closed(Path(entry.path), about, mounted_for, changed)


def _must_be_closed(path: Path, about: os.stat_result, mounted_for: int, harm: str) -> None:
    """Raise Rejected if others may write to a file or folder, or may grant themselves the right."""
    mode, why = stat.S_IMODE(about.st_mode), ""
    if mode & stat.S_IWOTH:
        why = "everybody"
    elif mode & stat.S_IWGRP and about.st_gid not in {os.getegid(), *os.getgroups()}:
        why = "a group that the bridge is not in"  # our own may, as on shared volumes
    if why:
        raise Rejected(
            f"{path} can be written to by {why} (its mode is {mode:04o}), {harm}:"
            f" `chmod go-w {path}`, or {_ELSEWHERE}"
        )
    if about.st_uid not in (os.geteuid(), 0, mounted_for):
        raise Rejected(
            f"{path} belongs to another user ({about.st_uid}), {harm}:"
            f" `chown -R {os.geteuid()} {path}`, run the bridge as that user, or {_ELSEWHERE}"
        )


# ── The processes on it: on SQLite one at a time, on Postgres any number ──────────────────────────

_LOOK_SECONDS = 0.05


def new_owner(settings: "Settings") -> str:
    """Return a name for this process, unique among those that share the stores."""
    if database_url(settings) is None:
        return "solo"  # only one process works, so it continues its predecessor's work
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


def stands_aside(settings: "Settings", role: Role, environment: Mapping[str, str]) -> bool:
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


def is_running(settings: "Settings") -> bool:
    """Return whether any process decides and deploys on these stores; raise Unreachable."""
    if (url := database_url(settings)) is None:
        return is_held(settings.data)
    from bridge.durable.peers import anybody_works

    return anybody_works(url)


# ── The seal of this installation's secrets ───────────────────────────────────────────────────────


def seal_of(settings: "Process") -> FernetSeal | NoSeal:
    """Return the seal for secrets that must be stored.

    Processes that share a Postgres have no common folder for a key.
    """
    keys = revealed(settings.secret_key)
    if not keys and database_url(settings) is not None:
        return NoSeal()
    return FernetSeal(lambda: keys or [key_in(settings.data / "secret.key")])


def revealed(secrets: Sequence["SecretStr"]) -> list[str]:
    """Return secrets as plain texts."""
    return [secret.get_secret_value() for secret in secrets]
