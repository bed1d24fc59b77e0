"""Of all processes one does what is done now and then, and another once it is gone."""

import asyncio

import pytest

from bridge.core.errors import Unreachable
from bridge.pipeline.background import SECONDS, Lead
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock
from tests.worlds.embedded import until


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
