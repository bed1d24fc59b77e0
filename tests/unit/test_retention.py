"""What is too old is forgotten, each thing after its own time, a little at a time."""

import asyncio
from typing import Any

import pytest

from bridge.pipeline.housekeeping import DAY, Keeping, Retention
from tests.fakes.journey import ManualClock


class Shelf:
    """Something that forgets; remembers what it was asked."""

    def __init__(self, *old: int) -> None:
        self.old = list(old)
        self.asked: list[tuple[float, int]] = []

    async def forget(self, before: float, limit: int) -> int:
        self.asked.append((before, limit))
        gone, self.old = self.old[:limit], self.old[limit:]
        return len(gone)

    forget_bodies = forget_audit = forget_drafts = forget_gates = forget_previews = forget


OTHERS = ("bodies", "deliveries", "decisions", "audit", "drafts", "gates", "previews")


async def test_all_that_is_too_old_goes_in_small_bites_each_thing_after_its_own_time() -> None:
    clock, inbox, journal, flows = ManualClock(), Shelf(), Shelf(), Shelf(1, 2, 3, 4, 5)
    parts: list[Any] = [inbox, journal, flows, clock, Keeping(bite=2)]
    now = clock.now

    forgotten = await Retention(*parts, sleep=clock.sleep).round()

    assert forgotten == {"flows": 5} | dict.fromkeys(OTHERS, 0)
    assert flows.asked == [(now - 7 * DAY, 2)] * 4
    assert clock.slept == [Keeping().pause] * 3
    assert [round((now - before) / DAY) for before, _ in inbox.asked] == [30, 60]
    assert [round((now - before) / DAY) for before, _ in journal.asked] == [365, 730, 7, 365, 365]


async def test_a_fault_of_the_engines_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Shelf):
        async def forget(self, before: float, limit: int) -> int:
            raise KeyError("a bug")

    clock, rounds = ManualClock(), []

    async def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 2:
            raise asyncio.CancelledError

    parts: list[Any] = [Shelf(), Faulty(), Faulty(), clock]
    with pytest.raises(asyncio.CancelledError):
        await Retention(*parts, sleep=sleep).run()

    assert rounds == [3600.0, 3600.0]
    assert "retention failed unexpectedly" in caplog.text
