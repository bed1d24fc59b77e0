"""Mount a separate file system that can be filled up, if this user may."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 256
"""MiB, if it is not filled up."""


@dataclass
class SmallDisk:
    """A mounted file system."""

    folder: Path

    def fill(self) -> None:
        """Fill it up."""
        for _ in range(100):  # its files grow meanwhile, and can't be cut off
            if self._resize(f"{shutil.disk_usage(self.folder).used}"):
                return
        raise AssertionError("the disk can't be made small enough")

    def empty(self) -> None:
        """Free its space again."""
        assert self._resize(f"{SIZE}m")

    def _resize(self, size: str) -> bool:
        remount = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        return not subprocess.run(remount, check=False, capture_output=True).returncode


@contextmanager
def small_disk(folder: Path, *, user: int = 0, group: int = 0) -> Iterator[SmallDisk | None]:
    """Mount one at a new folder, for that user; return None if that is not permitted."""
    folder.mkdir()
    options = f"size={SIZE}m,uid={user},gid={group},mode=700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "chaos", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, check=False).returncode
    try:
        yield SmallDisk(folder) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()
