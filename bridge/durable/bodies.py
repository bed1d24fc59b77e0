"""The bodies of flows, as the workflow engine runs them on our loop."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from dbos import DBOS, WorkflowSerializationFormat

from bridge.ports.flows import Steps

T = TypeVar("T")

Body = Callable[[Steps, str], Awaitable[None]]
"""A flow's body: its steps, and the id it was started with."""

Flow = Callable[[str], Awaitable[None]]


class _DbosSteps:
    async def run(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        async def step() -> T:
            return await action()

        return await DBOS.run_step_async({"name": name}, step)


class Bodies:
    """Bodies by their flow's name, and the flows that run here."""

    def __init__(self) -> None:
        self._bodies: dict[str, Body] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    def add(self, flow: str, body: Body) -> None:
        """Say what a flow does."""
        self._bodies[flow] = body

    def flows(self) -> dict[str, Flow]:
        """What the engine is given to run, by flow; made once it is there."""
        return {
            flow: _workflow(flow, functools.partial(self._run, body))
            for flow, body in self._bodies.items()
        }

    def runs(self, name: str) -> bool:
        """Whether a flow runs here."""
        return name in self._running

    def running(self) -> list[str]:
        """Return the names of the flows that run here."""
        return list(self._running)

    async def cut_off(self, names: Iterable[str] | None = None) -> None:
        """End these flows, or all that run here, wherever they are; nothing is written down."""
        some = self.running() if names is None else names
        tasks = [self._running[name] for name in some if name in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, body: Body, id_: str) -> None:
        task = asyncio.current_task()
        assert task is not None
        name = DBOS.workflow_id or id_
        # The engine runs a flow a second time where its database has lost that it runs: the
        # newer run is the one that it knows, and each looks first at what is so already.
        await self.cut_off([name])
        self._running[name] = task
        try:
            await body(_DbosSteps(), id_)
        finally:
            if self._running.get(name) is task:
                del self._running[name]


def _workflow(flow: str, work: Flow) -> Flow:
    # JSON that any release reads, not pickle (edge 9); a flow may be recovered without end,
    # since the machine may die often and the deployment must still come to its end.
    @DBOS.workflow(
        name=flow,
        serialization_type=WorkflowSerializationFormat.PORTABLE,
        max_recovery_attempts=None,
    )
    async def run(id_: str) -> None:
        await work(id_)

    return run
