"""Checks of the data folder: nobody else may write to it, and it holds no symbolic links.

Anybody who can write to it could plant a link that makes the bridge overwrite other files, or
replace its keys.
"""

import os
import stat
from pathlib import Path

from bridge.core.errors import Rejected

OWN_FOLDERS = ("embedded",)
"""Folders in it that are checked in the same way."""


def must_be_ours(data: Path) -> None:
    """Check a data folder, if it exists.

    Raises:
        Rejected: others may write to it, or there is a symbolic link in it.
    """
    for folder in (data, *(data / name for name in OWN_FOLDERS)):
        try:
            _check(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue  # whatever creates it reports the error
        except OSError as error:
            raise Rejected(
                f"{folder} can't hold the data ({error.strerror}); choose another with BRIDGE_DATA"
            ) from error


def _check(folder: Path) -> None:
    about = folder.stat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError
    if why := _open_to(about):
        raise Rejected(
            f"{folder} can be written to by {why}, who could have the bridge read or overwrite"
            f" other files: `chmod go-w {folder}`, or choose another folder with BRIDGE_DATA"
        )
    with os.scandir(folder) as entries:
        link = next((entry.path for entry in entries if entry.is_symlink()), None)
    if link is not None:
        raise Rejected(
            f"{link} is a symbolic link, which the bridge does not follow in its data: remove it,"
            " or put what it leads to in its place; a whole folder may be elsewhere by BRIDGE_DATA"
        )


def _open_to(about: os.stat_result) -> str:
    """Return who else may write there, "" for nobody; a group of ours may, as on shared volumes."""
    if about.st_mode & stat.S_IWOTH:
        return "everybody"
    if about.st_mode & stat.S_IWGRP and about.st_gid not in {os.getegid(), *os.getgroups()}:
        return "a group that the bridge is not in"
    if about.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
        return f"another user ({about.st_uid}), whom it belongs to"
    return ""
