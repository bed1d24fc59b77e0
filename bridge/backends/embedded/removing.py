"""Removes folders: however deep they are, and beside the work that goes on."""

import asyncio
import shutil
import subprocess
from pathlib import Path

_STOP_SECONDS = 2.0


class Remover:
    """Removes folders that nobody needs any more, without making anybody wait for the disk.

    What a stop cuts off is removed by the next start (see `sweeping`).
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, folder: Path) -> None:
        """Begin to remove a folder."""
        task = asyncio.create_task(asyncio.to_thread(remove, folder))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give what is under way a moment to end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; what can't be removed stays. Blocks."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # before Python 3.13, at a thousand folders in each other
        words = ["rm", "-rf", "--", str(folder)]
        subprocess.run(words, check=False, capture_output=True)  # noqa: S603 - a folder of ours
