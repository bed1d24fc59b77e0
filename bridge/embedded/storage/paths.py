"""The data folder: its layout, paths that stay inside, removal; threads; errors of a build."""

import asyncio
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Clock = Callable[[], float]
"""Return the seconds since 1970; tests inject their own."""


R = TypeVar("R")

_STOP_SECONDS = 2.0


class BuildFailed(Exception):
    """End the deployment as `error`; the message is shown to users and holds no secrets."""


class MissingTool(BuildFailed):
    """A program that the build needs is not installed."""

    def __init__(self, tool: str, how: str) -> None:
        super().__init__(f"{tool} is not installed here, and this build needs it. {how}")


class ToolSilent(Exception):
    """A program that was asked something did not answer."""

    def __init__(self, tool: str, why: str) -> None:
        super().__init__(f"{tool} does not answer: {why}")


class NotKept(BuildFailed):
    """A build is not kept, so it can't be served again."""


class TimeLimit(BuildFailed):
    """A step took longer than its limit."""

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"{what} took longer than its limit of {seconds:g} s and was stopped")


@dataclass(frozen=True, slots=True)
class Places:
    """The layout of the data folder; folders are named by application id, which never changes."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "embedded.db"

    @property
    def key_file(self) -> Path:
        """The API key, readable by the owner only."""
        return self.root / "api-key"

    @property
    def url_file(self) -> Path:
        """The address of the running server's API, for other commands; missing while none runs."""
        return self.root / "url"

    @property
    def sites_url_file(self) -> Path:
        """The address of the running server's sites, for other commands."""
        return self.root / "sites-url"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def logs_of(self, application_id: str) -> Path:
        return self.logs / application_id

    def application(self, application_id: str) -> Path:
        """Return the folder of an application's checkout and scratch files."""
        return self.root / "applications" / application_id

    def code(self, application_id: str) -> Path:
        """Return the checkout of the last deploy, which a redeploy builds again."""
        return self.application(application_id) / "code"

    def site(self, application_id: str) -> Path:
        """Return the folder of an application's releases and of the link to the served one."""
        return self.root / "sites" / application_id

    def variables(self, application_id: str) -> Path:
        """Return the folder of the variables of its releases, apart from what is published."""
        return self.application(application_id) / "variables"


def inside(root: Path, wanted: str | None, *, what: str) -> Path:
    """Return the real path of `wanted` under `root`; "/" and None are `root` itself.

    A leading slash means the root of the repository, as in Dokploy's build paths. It blocks:
    call it in a thread.

    Raises:
        BuildFailed: it does not exist, or leads outside by `..` or a symbolic link.
    """
    real_root = root.resolve()
    path = (real_root / (wanted or "").strip().lstrip("/")).resolve()
    if not path.is_relative_to(real_root):
        raise BuildFailed(f"{what} {wanted!r} leads outside the repository")
    if (hidden := never_published(path.relative_to(real_root).parts)) is not None:
        raise BuildFailed(f"{what} {wanted!r} lies in {hidden!r}, which is off limits")
    if not path.exists():
        raise BuildFailed(f"{what} {wanted!r} does not exist in the repository")
    return path


def never_published(parts: Iterable[str]) -> str | None:
    """Return the first name of a path that must not be published: `.git`, or an `.env` file.

    An earlier build may have written the application's secrets to `.env`. Case is ignored, as
    some disks do.
    """
    for part in parts:
        name = part.casefold()
        if name in (".git", ".env") or name.startswith(".env."):
            return part
    return None


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. It blocks.

    A repository may hold a link of this name, which is replaced, not followed.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = file.with_name(f".{secrets.token_hex(8)}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(file)


class Remover:
    """Remove folders in the background.

    The next start removes folders that remain after a stop (see `server.sweep`).
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def later(self, *folders: Path) -> None:
        for folder in folders:
            task = asyncio.create_task(asyncio.to_thread(remove, folder))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait a moment for removals to finish."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)


def remove(folder: Path) -> None:
    """Remove a folder and its content as far as possible. It blocks."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:  # before Python 3.13, with a thousand nested folders
        words = ["rm", "-rf", "--", str(folder)]
        subprocess.run(words, check=False, capture_output=True)  # noqa: S603 - our own folder


async def undivided(work: Callable[[], R], *, on_cancel: Callable[[], object] | None = None) -> R:
    """Run work in a thread; a cancellation waits until the thread has finished.

    A thread can't be stopped. Left running it would race with the cleanup that follows.

    Args:
        on_cancel: asks the thread to finish early.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if on_cancel is not None:
            on_cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, so asyncio does not log it
        raise


async def put_away(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end; raise the error that it failed with.

    A cancellation of the caller is passed on; `suppress(CancelledError)` would swallow it.
    """
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def words(text: str) -> tuple[str, ...]:
    """Split a text into words: `("a", "b")` for "a b"."""
    return tuple(text.split())
