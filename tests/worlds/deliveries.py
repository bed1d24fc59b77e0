"""Deliveries and their surroundings: an inbox, a journal, a catalog, flows, and a Git host."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.core.backoff import Backoff
from bridge.core.decision import Decision
from bridge.core.events import COMMAND_HOST, Action, Asked, Event, Repository, write_command
from bridge.core.people import Actor
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.deliveries import DecisionTiming, Deliveries
from bridge.pipeline.deciding.interpret import Reading
from bridge.ports.feedback import LatePlanner, Planner
from bridge.ports.inbox import Delivery, NewDelivery
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import (
    FakeBackend,
    FakeFlows,
    FakeHost,
    Lifetime,
    ManualClock,
    app,
    delivery,
    push,
)
from tests.worlds.journal import journal_in_memory

PATIENCE = DecisionTiming(batch=16, poll=60.0, tries=4, retry=Backoff(1.0, 600.0))
ELSEWHERE = push(repository=Repository("github", "1", "my-org/other"))


@dataclass
class Desk:
    """Deliveries and their surroundings."""

    inbox: SqliteInbox
    journal: SqlJournal
    clock: ManualClock
    backend: FakeBackend
    catalog: Catalog
    flows: FakeFlows = field(default_factory=FakeFlows)
    host: FakeHost = field(default_factory=FakeHost)
    plan: Planner = lambda _: ()
    late: LatePlanner = lambda _opened, _decided: ()
    timing: DecisionTiming = PATIENCE

    def deliveries(self, life: Lifetime | None = None) -> Deliveries:
        """Create a new one, as after every start."""
        life = life or Lifetime()
        inbox = life.mortal(self.inbox)
        return Deliveries(
            inbox, life.mortal(self.journal), life.mortal(self.flows),
            self.catalog, Reading(inbox, {"github": self.host}), self.clock, self.timing,
            plan=self.plan, late=[self.late],
        )  # fmt: skip

    async def drain(self) -> None:
        await self.deliveries().drain()

    async def keep(self, id_: str, meaning: Event | Exception, **others: Any) -> int:
        body = others.pop("body", id_.encode())
        self.host.meanings[body] = meaning
        new = delivery(id_, body=body, received_at=self.clock.now, **others)
        return (await self.inbox.keep(new)).seq

    async def ask(self, action: str, target: str, *, body: bytes | None = None) -> int:
        """Keep a person's command."""
        body = (
            write_command(Asked(Action.DEPLOY, target, Actor("cli", "ada")))
            if body is None
            else body
        )
        id_ = f"cli-{action}-{target}"
        new = NewDelivery(COMMAND_HOST, id_, action, {}, body, self.clock.now)
        return (await self.inbox.keep(new)).seq

    async def one(self, seq: int) -> Delivery:
        found = await self.inbox.get(seq)
        assert found is not None
        return found

    async def reasons(self, seq: int) -> dict[str, str]:
        return {one.app_id: str(one.reason) for one in await self.decided(seq)}

    async def decided(self, seq: int) -> Sequence[Decision]:
        return (await self.journal.decisions([seq]))[seq]

    async def states(self) -> dict[int, str]:
        return {one.seq: str(one.state) for one in await self.journal.deployments(limit=100)}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty inbox file: creating one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "inbox.sqlite"

    async def made() -> None:
        inbox = SqliteInbox(file)
        await inbox.start()
        await inbox.stop()

    asyncio.run(made())
    return file


@pytest.fixture
async def desk(tmp_path: Path, empty: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    shutil.copy(empty, tmp_path)
    inbox, journal = SqliteInbox(tmp_path / "inbox.sqlite"), journal_in_memory(clock)
    await inbox.start()
    backend = FakeBackend(clock, found=[app()])
    catalog = Catalog({"dokploy": backend}, journal, clock, eager=3.0)
    await catalog.refresh()
    clock.now += 10
    yield Desk(inbox, journal, clock, backend, catalog)
    await inbox.stop()
    await journal.stop()
