"""Backends that can't be read are noted in the journal, for every process that asks."""

import asyncio

import pytest

from bridge.cli.backend import trouble_line
from bridge.core.apps import App
from bridge.core.errors import Unreachable
from bridge.pipeline.deciding.apps import (
    NOTED,
    Trouble,
    read_troubles,
    troubles_in,
    write_troubles,
)
from bridge.pipeline.deciding.catalog import Catalog
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.embedded import until

WHY = "dokploy can't be reached: ConnectError"


@pytest.fixture
def backend(clock: ManualClock) -> FakeBackend:
    return FakeBackend(clock, found=[app()])


@pytest.fixture
def catalog(backend: FakeBackend, journal: SqlJournal, clock: ManualClock) -> Catalog:
    return Catalog({"dokploy": backend}, journal, clock)


async def noted(journal: SqlJournal) -> dict[str, Trouble]:
    return read_troubles(await journal.recall(NOTED))


async def test_a_trouble_is_noted_with_its_beginning_and_until_it_ends(
    catalog: Catalog, backend: FakeBackend, journal: SqlJournal, clock: ManualClock
) -> None:
    began, backend.away = clock(), True
    await catalog.refresh()
    clock.now += 60
    await catalog.refresh()
    assert await noted(journal) == {"dokploy": Trouble(WHY, began)}

    backend.away = False
    await catalog.refresh()
    assert await noted(journal) == {}


class Hangs(FakeBackend):
    """Answers nothing until it is let."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock, name="hangs")
        self.let = asyncio.Event()

    async def apps(self) -> list[App]:
        await self.let.wait()
        return []


async def test_a_trouble_is_noted_while_another_backend_has_not_answered(
    backend: FakeBackend, journal: SqlJournal, clock: ManualClock
) -> None:
    """What an earlier process has noted of that one stays until it is known better."""
    hangs = Hangs(clock)
    before = Trouble("hangs can't be reached", 1.0)
    await journal.note(NOTED, write_troubles({"hangs": before}))
    backend.away = True
    catalog = Catalog({"hangs": hangs, "dokploy": backend}, journal, clock)

    reading = asyncio.create_task(catalog.refresh())
    await until(lambda: noted(journal), lambda troubles: "dokploy" in troubles)
    assert await noted(journal) == {"dokploy": Trouble(WHY, clock()), "hangs": before}

    hangs.let.set()
    await reading
    assert await noted(journal) == {"dokploy": Trouble(WHY, clock())}


async def test_what_an_earlier_process_has_noted_stays_until_the_backends_are_read(
    catalog: Catalog, journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.note(NOTED, write_troubles({"gone": Trouble(WHY, 1.0)}))
    await Catalog({}, journal, clock).refresh()  # it reads no backend
    assert await noted(journal) == {"gone": Trouble(WHY, 1.0)}

    await catalog.refresh()
    assert await noted(journal) == {}


async def test_readyz_is_told_each_backend_by_name_and_since_when(journal: SqlJournal) -> None:
    assert await troubles_in(journal) == {}

    await journal.note(NOTED, write_troubles({"prod": Trouble(WHY, 0.0)}))

    assert await troubles_in(journal) == {
        "backend prod": f"{WHY} (since 1970-01-01T00:00:00+00:00)"
    }


async def test_where_the_journal_is_away_readyz_says_only_that(
    journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_key: str) -> str | None:
        raise Unreachable("the journal", "locked")

    monkeypatch.setattr(journal, "recall", away)

    assert await troubles_in(journal) == {}


def test_the_command_line_says_whether_that_is_how_it_is_now() -> None:
    now = trouble_line(Trouble(WHY, 1000.0), 1180.0, running=True)
    assert now.startswith(f"warning: {WHY} (since ")
    assert "3 min ago); requests wait meanwhile" in now

    then = trouble_line(Trouble(WHY, 1000.0), 1180.0, running=False)
    assert then.endswith("3 min ago, when the bridge last ran)")
    assert "waits" not in then
