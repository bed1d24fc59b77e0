"""Flows for tests: the engine on SQLite or Postgres, and a ledger of its flows."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.durable.engine import DurableFlows
from bridge.durable.peers import Peers, new_executor_id
from bridge.durable.system import postgres_engine, sqlite_engine
from bridge.ports.flows import Steps
from tests.worlds.embedded import until

Body = Callable[[Steps, str], Awaitable[None]]
Launched = Callable[..., Awaitable[Any]]


async def launch_on_sqlite(folder: Path, bodies: dict[str, Body], **how: Any) -> DurableFlows:
    """Launch the engine on a folder, as the one process that uses it."""
    flows = DurableFlows(sqlite_engine(folder / "workflows.sqlite"), executor_id="solo", **how)
    return await _launched(flows, bodies)


async def launch_on_postgres(url: str, bodies: dict[str, Body], **how: Any) -> DurableFlows:
    """Launch the engine on a server, as one of any number of processes."""
    id_ = new_executor_id()
    flows = DurableFlows(postgres_engine(url), executor_id=id_, peers=Peers(url, id_), **how)
    return await _launched(flows, bodies)


async def _launched(flows: DurableFlows, bodies: dict[str, Body]) -> DurableFlows:
    for name, body in bodies.items():
        flows.register(name, body)
    await flows.launch()
    return flows


IMPLEMENTATIONS: dict[str, Any] = {
    "dbos on sqlite": launch_on_sqlite,
    "dbos on postgres": launch_on_postgres,
}


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
async def launched(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Launched]:
    """Launches the engine on the same stores each time, after stopping the last one."""
    last: list[Any] = []
    on_postgres = request.param.endswith("postgres")
    place = request.getfixturevalue("postgres") if on_postgres else tmp_path

    async def launch(how: dict[str, Any] | None = None, /, **bodies: Body) -> Any:
        while last:
            await last.pop().stop()
        last.append(await IMPLEMENTATIONS[request.param](place, bodies, **how or {}))
        return last[0]

    yield launch
    while last:
        await last.pop().stop()


class Ledger:
    """A ledger of the flows; each flow waits at its gate, if it has one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.at_once: dict[str, int] = defaultdict(int)
        self.most_at_once: dict[str, int] = defaultdict(int)

    async def body(self, steps: Steps, id_: str) -> None:
        """Run two steps, each of which writes a line."""
        key = id_.partition(".")[2]
        self.at_once[key] += 1
        self.most_at_once[key] = max(self.most_at_once[key], self.at_once[key])
        try:
            await steps.run("one", lambda: self.step(id_, "one"))
            await steps.run("two", lambda: self.step(id_, "two"))
        finally:
            self.at_once[key] -= 1
        self.lines.append(f"{id_} end")

    async def step(self, id_: str, name: str) -> str:
        """Write a line, and wait at the gate."""
        self.lines.append(f"{id_} {name}")
        if (gate := self.gates.get(f"{id_} {name}")) is not None:
            await gate.wait()
        return name

    def gate(self, line: str) -> asyncio.Event:
        """Let the step that writes this line wait until the gate opens."""
        return self.gates.setdefault(line, asyncio.Event())

    async def written(self, *lines: str) -> None:
        """Wait until these lines are there."""

        async def so_far() -> list[str]:
            return self.lines

        await until(so_far, lambda found: set(lines) <= set(found))


def say(flows: Any, statement: str, **values: str) -> None:
    """Change the engine's tables under a running process."""
    on_postgres = flows._engine.dialect.name == "postgresql"
    tables = {
        name: f"dbos.{name}" if on_postgres else name
        for name in ("workflow_status", "workflow_input", "operation_outputs", "queues")
    }
    with flows._engine.begin() as db:
        db.execute(sa.text(statement.format(**tables)), values)
