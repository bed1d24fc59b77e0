"""What runs as long as the process lives, and how it is looked after."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from bridge.core.errors import BridgeError

log = logging.getLogger(__name__)


async def in_background(stack: AsyncExitStack, name: str, work: Coroutine[Any, Any, None]) -> None:
    await stack.enter_async_context(_task(name, work))


@asynccontextmanager
async def _task(name: str, work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_end_with_it)
    try:
        yield
    finally:
        task.remove_done_callback(_end_with_it)
        told = task.done()  # one that has died already is told of
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        if isinstance(end, Exception) and not told:
            log.error("%s could not be stopped as it should", name, exc_info=end)


def _end_with_it(task: "asyncio.Task[None]") -> None:
    """A part that must always run has died: better to end and be restarted than to lie.

    By a signal of its own, so that `serve` ends as gracefully as after SIGTERM, but with an
    exit code that a supervisor restarts after.
    """
    # Nobody but `_task` cancels it, so a cancel here is somebody else's that got out.
    error = asyncio.CancelledError() if task.cancelled() else task.exception()
    if error is not None:
        log.critical("%s has died", task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGUSR1)


def check(ready: Any) -> Any:
    async def check() -> str | None:
        try:
            await ready()
        except BridgeError as error:
            return str(error)
        return None

    return check
