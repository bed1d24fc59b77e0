"""Work in a thread or task that must not go on behind the back of whoever was cancelled."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

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
