"""What always runs: parts that die, turns, and troubles and versions of backends, noted."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from bridge.app.wiring import in_background
from bridge.cli.backend import trouble_line
from bridge.core.apps import App
from bridge.core.errors import Unreachable
from bridge.pipeline.background import SECONDS, Lead
from bridge.pipeline.deciding.apps import (
    NOTED,
    Trouble,
    read_troubles,
    troubles_in,
    write_troubles,
)
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.probe import Probe
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.embedded import until


@pytest.fixture
async def told() -> AsyncIterator[asyncio.Event]:
    """Set once the process is told to end, as a part has died."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, event.set)
    yield event
    loop.remove_signal_handler(signal.SIGUSR1)


async def fails() -> None:
    raise KeyError("a bug")


async def waits_for_what_is_cancelled() -> None:
    """As for the answer of a part that has been stopped: nobody has cancelled this one."""
    answer = asyncio.get_running_loop().create_future()
    answer.cancel()
    await answer


@pytest.mark.parametrize("work", [fails, waits_for_what_is_cancelled])
async def test_a_part_that_dies_ends_the_process(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture, work: object
) -> None:
    assert callable(work)
    async with AsyncExitStack() as stack, asyncio.timeout(5):
        await in_background(stack, "deliveries", work())
        await told.wait()

    assert "deliveries has died" in caplog.text


async def test_a_part_that_fails_while_it_is_stopped_says_so_and_ends_nothing_else(
    told: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_at_the_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("a bug")

    async with AsyncExitStack() as stack:
        await in_background(stack, "deliveries", fails_at_the_end())
        await asyncio.sleep(0)

    await asyncio.sleep(0)
    assert not told.is_set()
    (record,) = caplog.records
    assert record.message == "deliveries could not be stopped cleanly"
    assert record.exc_info


# ── whose turn it is ─────────────────────────────────────────────────────────


async def test_one_has_the_turn_as_long_as_it_asks_and_then_another(
    journal: SqlJournal, clock: ManualClock
) -> None:
    one, other = Lead(journal, "one"), Lead(journal, "other")
    await one.ask()
    waiting = asyncio.create_task(other.turn())
    for _ in range(5):
        clock.now += SECONDS - 1
        await one.ask()
        await other.ask()
        assert (await one.ours(), await other.ours()) == (True, False)
    assert not waiting.done()

    clock.now += SECONDS + 1  # the one does not ask any more
    await other.ask()

    await waiting
    assert await other.ours()
    await one.ask()
    assert not await one.ours()

    await journal.leave("other")
    await one.ask()
    assert await one.ours()


async def test_it_is_asked_for_as_long_as_the_process_lives(
    journal: SqlJournal, clock: ManualClock
) -> None:
    """Often enough that a renewal may fail and it is kept all the same."""
    lead = Lead(journal, "one", sleep=clock.sleep)
    running = asyncio.create_task(lead.run())
    await lead.turn()

    assert max(clock.slept) <= SECONDS / 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_who_cannot_renew_it_has_no_turn_once_others_may_have_it(
    journal: SqlJournal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lead = Lead(journal, "one", seconds=0.05)
    await lead.ask()

    async def away(*_: object) -> bool:
        raise Unreachable("the journal", "connection refused")

    monkeypatch.setattr(journal, "hold", away)
    await lead.ask()

    await until(lead.ours, lambda ours: not ours)
    assert "leadership can't be requested" in caplog.text


# ── backends that can't be read ──────────────────────────────────────────────

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
    """What an earlier process has noted stays until the backends are read."""
    await journal.note(NOTED, write_troubles({"gone": Trouble(WHY, 1.0)}))
    await Catalog({}, journal, clock).refresh()  # it reads no backend
    assert await noted(journal) == {"gone": Trouble(WHY, 1.0)}

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


async def test_readyz_is_told_each_backend_by_name_and_since_when_if_the_journal_can_be_read(
    journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_key: str) -> str | None:
        raise Unreachable("the journal", "locked")

    assert await troubles_in(journal) == {}
    await journal.note(NOTED, write_troubles({"prod": Trouble(WHY, 0.0)}))
    assert await troubles_in(journal) == {
        "backend prod": f"{WHY} (since 1970-01-01T00:00:00+00:00)"
    }
    monkeypatch.setattr(journal, "recall", away)
    assert await troubles_in(journal) == {}


def test_the_command_line_says_whether_that_is_how_it_is_now() -> None:
    now = trouble_line(Trouble(WHY, 1000.0), 1180.0, running=True)
    assert now.startswith(f"warning: {WHY} (since ")
    assert "3 min ago); requests wait meanwhile" in now

    then = trouble_line(Trouble(WHY, 1000.0), 1180.0, running=False)
    assert then.endswith("3 min ago, when the bridge last ran)")
    assert "waits" not in then


# ── what a backend is ────────────────────────────────────────────────────────


async def test_a_version_and_auto_deploy_are_each_told_once_also_of_a_backend_that_was_away(
    catalog: Catalog, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.found = [replace(app(), auto_deploy=True)]
    await catalog.refresh()
    probe = Probe({"dokploy": backend}, catalog)
    backend.next("version", Unreachable("dokploy", "ConnectError"))

    with caplog.at_level(logging.INFO, "bridge.pipeline.deciding.probe"):
        await probe.look()
        assert probe.versions == {}
        await probe.look()
        await probe.look()

    assert probe.versions == {"dokploy": "v0.30.2"}
    told = [record.message.partition(":")[0] for record in caplog.records]
    assert told.count("backend probed") == 1
    assert told.count("auto deploy is on at the backend") == 1
