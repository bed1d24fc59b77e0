"""The workflow engine."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """What a flow's body gets: each step's result is stored, so a finished step never runs again.

    A step that was running when the process died runs again: at least once, not exactly once.
    """

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run one step, or return its stored result."""


class Flows(Protocol):
    """The workflow engine: a started flow survives the process."""

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time."""

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        """Make sure that flows of these ids, by id their keys, are under way.

        One that ends meanwhile may run once more, so a body leaves alone what is done.

        Return the ids of those that are given up: all that took up their work have failed.
        """

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, so that others need not wait for them."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete some flows that ended before then; return how many. They could start again."""
