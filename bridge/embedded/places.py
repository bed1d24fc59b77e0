"""Where things lie under the data directory, and how content is kept inside its own place."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Clock = Callable[[], float]
"""Return the seconds since 1970; tests inject their own."""


class BuildFailed(Exception):
    """The deployment ends in `error`; the message is for people and holds no secrets."""


class MissingTool(BuildFailed):
    """A program that this build needs is not installed."""

    def __init__(self, tool: str, how: str) -> None:
        super().__init__(f"{tool} is not installed here, and this build needs it. {how}")


class TimeLimit(BuildFailed):
    """A step took longer than it may."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} took longer than its limit of {seconds:g} s and was stopped")


# ── Where things lie under the data directory, and how content is kept inside its own place ─────


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of the embedded backend, by application id, so that names may change."""

    root: Path

    @property
    def database(self) -> Path:
        """All records."""
        return self.root / "embedded.db"

    @property
    def key_file(self) -> Path:
        """The API key, readable by its owner only."""
        return self.root / "api-key"

    @property
    def url_file(self) -> Path:
        """Where the running server listens, for commands beside it; else it is not there."""
        return self.root / "url"

    @property
    def sites_url_file(self) -> Path:
        """Where the running server's sites are, for commands beside it."""
        return self.root / "sites-url"

    @property
    def logs(self) -> Path:
        """All logs; nothing outside is ever streamed."""
        return self.root / "logs"

    def logs_of(self, application_id: str) -> Path:
        """An application's logs."""
        return self.logs / application_id

    def application(self, application_id: str) -> Path:
        """An application's checkout and scratch files."""
        return self.root / "applications" / application_id

    def code(self, application_id: str) -> Path:
        """The checkout that the last deploy made and that a redeploy builds again."""
        return self.application(application_id) / "code"

    def site(self, application_id: str) -> Path:
        """An application's releases and the link to the one that is served."""
        return self.root / "sites" / application_id


def inside(root: Path, wanted: str | None, *, what: str) -> Path:
    """The real path of `wanted` under `root`; "/" and None are `root` itself.

    A leading slash means the root of the repository, as in the server's build paths. Blocks:
    call it off the event loop.

    Raises:
        BuildFailed: it does not exist or leads outside, by `..` or over a symbolic link.
    """
    real_root = root.resolve()
    path = (real_root / (wanted or "").strip().lstrip("/")).resolve()
    if not path.is_relative_to(real_root):
        raise BuildFailed(f"{what} {wanted!r} leads outside of the repository")
    if (hidden := never_published(path.relative_to(real_root).parts)) is not None:
        raise BuildFailed(f"{what} {wanted!r} lies in {hidden!r}, which is off limits")
    if not path.exists():
        raise BuildFailed(f"{what} {wanted!r} does not exist in the repository")
    return path


def never_published(parts: Iterable[str]) -> str | None:
    """The first name of a path that no site may show: Git's own folder, or a file of variables.

    An `.env` may be one that an earlier build has written with the application's secrets.
    Capitals make no difference on some disks.
    """
    for part in parts:
        name = part.casefold()
        if name in (".git", ".env") or name.startswith(".env."):
            return part
    return None


# ── Removes folders: however deep they are, and beside the work that goes on ────────────────────

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


# ── Work in a thread or task that must not go on behind the back of whoever was cancelled ───────

R = TypeVar("R")


async def undivided(work: Callable[[], R], *, on_cancel: Callable[[], object] | None = None) -> R:
    """Like `asyncio.to_thread`, but a cancellation waits until the thread is done.

    A thread can't be stopped; left alone it would race with the cleaning up that follows.

    Args:
        on_cancel: tells the thread to come to an end.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # seen; the cancellation is what counts
        raise


async def put_away(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; raises what it failed with.

    A cancellation of whoever waits goes through: `suppress(CancelledError)` would take the one
    for the other.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


# ── Long lists of names, written as text ────────────────────────────────────────────────────────


def words(text: str) -> tuple[str, ...]:
    """`"a b"` as `("a", "b")`: thirty names stay three lines."""
    return tuple(text.split())
