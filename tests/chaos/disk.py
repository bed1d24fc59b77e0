"""A file system of its own, which can be made full: where this user may mount one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 64
"""MiB, where it is not made full."""


@dataclass
class SmallDisk:
    """A mounted one."""

    folder: Path

    def fill(self) -> None:
        """Leave no room at all."""
        for _ in range(100):  # what is there grows meanwhile, and can't be cut off
            if self._resize(f"{shutil.disk_usage(self.folder).used}"):
                return
        raise AssertionError("the disk can't be made small enough")

    def empty(self) -> None:
        """Have room again."""
        assert self._resize(f"{SIZE}m")

    def _resize(self, size: str) -> bool:
        remount = ["mount", "-o", f"remount,size={size}", str(self.folder)]
        return not subprocess.run(remount, check=False, capture_output=True).returncode


@contextmanager
def small_disk(folder: Path, *, user: int = 0, group: int = 0) -> Iterator[SmallDisk | None]:
    """One at a folder, which is made, for that user; None where nobody may mount one."""
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
