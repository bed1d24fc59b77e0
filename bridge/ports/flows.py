"""The workflow engine."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Steps(Protocol):
    """What a flow's body gets: each step's result is kept, so a finished step never runs again.

    A step that was under way when the process died runs again: at least once, not once.
    """

    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """Run one step, or return its kept result."""


class Flows(Protocol):
    """The workflow engine: what is started survives the process."""

    async def start(self, flow: str, id_: str, *, key: str) -> None:
        """Start a flow unless its id was started before; flows of one key run one at a time."""

    async def ensure(self, flow: str, wanted: Mapping[str, str]) -> list[str]:
        """See to it that flows of these ids, by id their keys, are under way.

        One that ends meanwhile may run once more, so a body leaves alone what is done.

        Returns the ids of those that are given up: whoever took up their work has failed at it.
        """

    async def drop(self, flow: str, ids: Sequence[str]) -> None:
        """Take waiting flows out of the queue, where others would wait behind them."""

    async def forget(self, before: float, limit: int) -> int:
        """Forget some flows that ended before then; how many. Starting one again would run it."""
