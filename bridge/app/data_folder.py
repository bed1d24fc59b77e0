"""Locate the data, in a folder or a Postgres, and check that folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.core.errors import NotFound, Rejected
from bridge.core.validation_errors import shortened

if TYPE_CHECKING:
    from bridge.settings import Process


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
_CHANGED = "who could change what the bridge keeps"
_ELSEWHERE = "choose another folder with BRIDGE_DATA"


def must_be_ours(data: Path) -> None:
    """Check a data folder, its content, and every existing folder above it.

    Raises:
        Rejected: others may write to it or to a file in it, or replace it; or it holds a symbolic
            link.
    """
    mounted_for = _mounted_for(data)
    try:
        for parent in _above(data):
            _check_parent(parent)
        for folder in (data, *(data / name for name in OWN_FOLDERS)):
            _check(folder, mounted_for)
    except (OSError, RuntimeError) as error:  # before Python 3.13, the latter for links in a circle
        raise unusable(data, error) from error


def unusable(data: Path, error: Exception) -> Rejected:
    """Return the error that a folder can't hold the data."""
    why = getattr(error, "strerror", None) or "its links lead in a circle"
    return Rejected(f"{shortened(str(data))} can't hold the data ({why}); {_ELSEWHERE}")


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


def _above(data: Path) -> Iterator[Path]:
    """Yield each folder above it, and above the targets of links."""
    yield from dict.fromkeys([*data.absolute().parents, *data.resolve().parents])


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
    _must_be_closed(Path(entry.path), about, mounted_for, _CHANGED)


def _must_be_closed(path: Path, about: os.stat_result, mounted_for: int, harm: str) -> None:
    """Raise Rejected if others may write to a file or folder, or may grant themselves the right."""
    if why := _open_to(about):
        mode = stat.S_IMODE(about.st_mode)
        raise Rejected(
            f"{path} can be written to by {why} (its mode is {mode:04o}), {harm}:"
            f" `chmod go-w {path}`, or {_ELSEWHERE}"
        )
    if about.st_uid not in (os.geteuid(), 0, mounted_for):
        raise Rejected(
            f"{path} belongs to another user ({about.st_uid}), {harm}:"
            f" `chown -R {os.geteuid()} {path}`, run the bridge as that user, or {_ELSEWHERE}"
        )


def _open_to(about: os.stat_result) -> str:
    """Return who else may write there, or ""; our own groups may, as on shared volumes."""
    if about.st_mode & stat.S_IWOTH:
        return "everybody"
    if about.st_mode & stat.S_IWGRP and about.st_gid not in {os.getegid(), *os.getgroups()}:
        return "a group that the bridge is not in"
    return ""
