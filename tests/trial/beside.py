"""Servers that run beside the scenarios, which have no event loop."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

T = TypeVar("T")


@contextmanager
def beside(opened: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Keep something open in a thread of its own."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opened) as one:
        yield one
