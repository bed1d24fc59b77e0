"""Waiting flows begin the moment they may, and the queue finds whatever no wake announced.

The engine here looks at its queue by itself only every `LOOK` seconds, far longer than any of
these tests may wait for a flow that somebody announces.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import sqlalchemy as sa

from bridge.durable.running import Bell, Claims
from bridge.ports.flows import Steps
from tests.worlds.flows import Launched, Ledger, launch_on_sqlite, launched

__all__ = ["launched"]

LOOK = 600.0
AT_ONCE = 60.0
"""Seconds in which an announced flow begins on the busiest machine, long before the next look; how
soon it does is measured in `test_a_started_flow_begins_within_milliseconds`."""


@asynccontextmanager
async def at_once() -> AsyncIterator[None]:
    """What is done here does not wait for the queue's own look."""
    async with asyncio.timeout(AT_ONCE):
        yield


async def test_a_started_flow_begins_within_milliseconds(launched: Launched) -> None:
    began: dict[str, float] = {}

    async def body(_: Steps, id_: str) -> None:
        began[id_] = time.perf_counter()

    flows = await launched({"poll_seconds": LOOK}, work=body)
    took = []
    for n in range(15):
        id_ = f"{n:04d}.{n}"
        started = time.perf_counter()
        await flows.start("work", id_, key=str(n))
        enqueued = time.perf_counter() - started
        async with at_once():
            while id_ not in began:  # noqa: ASYNC110 - it measures milliseconds
                await asyncio.sleep(0.001)
        took.append(began[id_] - started - enqueued)

    assert median(took) < 0.05  # half of the looks at 50 ms that took its time before


async def test_one_that_is_alone_in_its_key_begins_without_a_look_at_the_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite. What is not alone keeps its place in the queue, also behind what waits there."""
    monkeypatch.setattr("bridge.durable.running.LONE", 0.0)
    ledger = Ledger()
    gate = ledger.gate("0001.a one")
    flows = await launch_on_sqlite(tmp_path, {"work": ledger.body}, poll_seconds=LOOK)
    flows._dispatcher.stop()
    for id_ in ("0001.a", "0002.a", "0001.b"):
        await flows.start("work", id_, key=id_[-1])
    await ledger.written("0001.a one", "0001.b end")
    gate.set()
    await ledger.written("0001.a end")
    await flows.start("work", "0003.a", key="a")
    await flows.start("work", "0001.a", key="a")
    await flows.start("work", "0001.c", key="c")
    await ledger.written("0001.c end")
    assert not any(line.startswith(("0002.a", "0003.a")) for line in ledger.lines)
    await flows.stop()

    flows = await launch_on_sqlite(tmp_path, {"work": ledger.body}, poll_seconds=LOOK)
    await ledger.written("0003.a end")
    await flows.stop()

    ended = [line for line in ledger.lines if line.endswith("end")]
    assert ended == [f"{id_} end" for id_ in ("0001.b", "0001.a", "0001.c", "0002.a", "0003.a")]


async def test_a_start_that_is_cancelled_while_it_claims_wakes_the_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, go_on, loop = asyncio.Event(), threading.Event(), asyncio.get_running_loop()

    def begin(*_: Any) -> bool:
        loop.call_soon_threadsafe(claiming.set)
        go_on.wait()
        return False

    monkeypatch.setattr("bridge.durable.running.Claims.begin", begin)
    flows = await launch_on_sqlite(tmp_path, {"work": Ledger().body}, poll_seconds=LOOK)
    woken = asyncio.Event()
    monkeypatch.setattr(flows._dispatcher, "wake", woken.set)
    starting = asyncio.create_task(flows.start("work", "0001.a", key="a"))
    await claiming.wait()

    starting.cancel()
    await asyncio.wait([starting])

    woke = woken.is_set()
    go_on.set()
    await flows.stop()
    assert woke


async def test_the_next_flow_of_a_key_begins_when_one_fails_or_is_dropped(
    launched: Launched, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    ledger.gate("0002.a one")

    async def body(steps: Steps, id_: str) -> None:
        if id_ == "0001.a":
            raise RuntimeError("a fault of our own")
        await ledger.body(steps, id_)

    flows = await launched({"poll_seconds": LOOK}, work=body)
    for n in (1, 2, 3):
        await flows.start("work", f"000{n}.a", key="a")
    async with at_once():
        await ledger.written("0002.a one")

    async with at_once():
        await flows.drop("work", ["0002.a"])
        await ledger.written("0003.a end")


async def test_a_flow_that_was_enqueued_before_a_crash_begins_at_the_next_launch(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    flows = await launched({"poll_seconds": LOOK}, work=ledger.body)
    with monkeypatch.context() as crash:
        crash.setattr(Bell, "ring", lambda _: None)
        crash.setattr(Claims, "lone", lambda _: False)
        await flows.start("work", "0001.a", key="a")
    assert ledger.lines == []

    await launched({"poll_seconds": LOOK}, work=ledger.body)

    async with at_once():
        await ledger.written("0001.a end")


async def test_a_flow_that_became_orphaned_here_goes_on_at_once(launched: Launched) -> None:
    ledger = Ledger()
    gate = ledger.gate("0001.a one")
    flows = await launched({"poll_seconds": LOOK}, work=ledger.body)
    await flows.start("work", "0001.a", key="a")
    await ledger.written("0001.a one")
    flows._bodies._running.clear()
    await flows.look()
    gate.set()

    await flows.look()

    async with at_once():
        await ledger.written("0001.a end")


async def test_a_dispatcher_that_has_ended_is_started_again(
    launched: Launched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Claims, "lone", lambda _: False)
    ledger = Ledger()
    flows = await launched({"poll_seconds": LOOK}, work=ledger.body)
    flows._dispatcher.stop()
    await flows.start("work", "0001.a", key="a")

    await flows.look()

    async with at_once():
        await ledger.written("0001.a end")


async def test_at_rest_the_database_is_left_alone(launched: Launched) -> None:
    """The engine's own threads would ask it 40 times a second, whether there is work or not."""
    flows = await launched(work=Ledger().body)
    said: list[str] = []

    @sa.event.listens_for(flows._engine, "before_cursor_execute")
    def count(*given: object) -> None:
        said.append(str(given[2]))

    await asyncio.sleep(1.5)  # the time in which the database must be left alone

    others = [one for one in said if "workflow_schedules" not in one]  # asked for a minute only
    assert len(others) <= 4, others


# ── the bell ─────────────────────────────────────────────────────────────────


def test_a_ring_during_a_look_is_not_lost() -> None:
    bell = Bell(LOOK)
    bell.ring()
    assert bell.wait() is False
    bell.ring()  # during the look

    began = time.monotonic()
    assert bell.wait() is False
    assert time.monotonic() - began < AT_ONCE
