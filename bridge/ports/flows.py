"""The workflow engine."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """Runs the steps of a flow's body and stores their results: a finished step never runs again.

    A step that was running when the process died runs again: at least once, not exactly once.
    """

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run one step, or return its stored result."""


class Flows(Protocol):
    """The workflow engine: a started flow survives the process."""

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time."""

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        """Make sure that the flows with these ids are active; `wanted` has the keys by id.

        One that ends meanwhile may run once more, so a body must not repeat finished work. Return
        the ids of the flows to give up, because every attempt to resume them has failed.
        """

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Remove waiting flows from the queue, so others need not wait for them."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete some flows that ended before then; return how many. Their ids could run again."""
