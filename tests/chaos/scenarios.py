"""Faults of processes, stores and publishing, under load.

They may occur at the same time. A scenario returns once its fault is over. `ledgers.judge` checks
the result. `troubles.py` has the backend's faults, `people.py` people's actions, and `programme.py`
selects the scenarios of a run.
"""

import asyncio
import time

from bridge.ports.clock import RATE
from tests.chaos.fleet import LEAVES_WITHIN
from tests.chaos.stage import Stage
from tests.fakes.host import Spoil

HOUR = 3600.0


# ── processes ────────────────────────────────────────────────────────────────


async def killed_at_any_moment(stage: Stage) -> None:
    """Every second time at the worst moment: just after an acknowledgement."""
    for number in range(stage.pace.kills):
        await stage.later(1.5)
        drawn = stage.fleet.some(stage.chance)
        process = drawn if number % 2 else await stage.just_answered()
        await process.kill()
        await stage.later(0.6)
        await process.ready()


async def all_killed_at_once(stage: Stage) -> None:
    await stage.later(3.0)  # not before the backend is requested to do something
    for process in stage.fleet.processes:
        await process.kill()
    await asyncio.sleep(0.5)
    for process in stage.fleet.processes:
        await process.ready()


async def stopped_for_a_while(stage: Stage) -> None:
    """SIGSTOP: alive for the system but idle; others may think that it is gone."""
    await stage.later(1.0)
    process = stage.fleet.some(stage.chance, "worker")
    process.freeze()
    await asyncio.sleep(stage.pace.stop)
    process.thaw()
    await process.ready()


async def told_to_leave_while_busy(stage: Stage) -> None:
    """A rolling upgrade: old and new overlap if they can, with open flows."""
    processes = list(stage.fleet.processes)
    for process in processes[:: max(1, len(processes) // stage.pace.replaced)]:
        await stage.later(0.5)
        seconds = await stage.fleet.replace(process)
        stage.left.append(seconds)
        assert seconds < LEAVES_WITHIN, f"{process.name} took {seconds:.1f} s to leave"


async def clocks_jump(stage: Stage) -> None:
    """Set each clock off by up to an hour to either side; in the end all are right."""
    stage.clocks_jumped = True
    began = time.monotonic()
    for offset in (HOUR, -HOUR, 90.0):
        for process in stage.fleet.processes:
            if stage.chance.random() < 0.6 or stage.fleet.kind == "sqlite":
                process.set_clock(offset)
        await stage.later(stage.pace.outage)
    for process in stage.fleet.processes:
        process.set_clock(0.0)
    stage.clocks_off += RATE * (time.monotonic() - began)


# ── what is kept ─────────────────────────────────────────────────────────────


async def database_restarted(stage: Stage) -> None:
    assert stage.database is not None
    await stage.later(1.0)
    await asyncio.to_thread(stage.database.stop)
    await asyncio.to_thread(stage.database.start)
    await asyncio.sleep(0.5)


async def database_away(stage: Stage) -> None:
    assert stage.database is not None
    await stage.later(1.0)
    await asyncio.to_thread(stage.database.stop)
    try:
        await asyncio.sleep(stage.pace.database)
    finally:
        await asyncio.to_thread(stage.database.start)
    for process in stage.fleet.processes:
        await process.ready()


async def database_silent(stage: Stage) -> None:
    """It is up, but nothing reaches it or comes back."""
    assert stage.line is not None
    await stage.later(1.0)
    stage.line.fall_silent()
    await asyncio.sleep(stage.pace.database)
    stage.line.speak()
    for process in stage.fleet.processes:
        await process.ready()


async def disk_full(stage: Stage) -> None:
    """The one with the database's files: the bridge's own on SQLite, the server's on Postgres."""
    assert stage.disk is not None
    await stage.later(1.0)
    stage.disk.fill()
    try:
        await asyncio.sleep(stage.pace.outage)
    finally:
        stage.disk.empty()
    for process in stage.fleet.processes:
        await process.ready()


# ── where it is shown ────────────────────────────────────────────────────────


async def host_fails(stage: Stage) -> None:
    """It is busy, broken, silent, or carries out requests without an answer.

    The last also applies to its next creation, whenever that is: under load few are created.
    """
    limited = Spoil(status=403, headers={"Retry-After": "1"})
    for spoil in (limited, Spoil(status=500), Spoil(lose=True), Spoil(hang=True)):
        stage.github.spoil(spoil, times=3)
        stage.github.spoil(spoil, method="POST", times=2)
        await asyncio.sleep(stage.pace.outage / 4)
    await asyncio.sleep(stage.pace.outage / 2)
    stage.github.mend()
    stage.open_pulls()
    for path in (r"/comments$", r"/deployments$"):  # to be searched for, not created again
        stage.github.spoil(Spoil(lose=True), method="POST", path=path, times=2)


async def slack_fails(stage: Stage) -> None:
    """It is away, or busy, or carries out requests without an answer.

    The last also applies to the next message, as in `host_fails`.
    """
    for method in ("chat.postMessage", "chat.update"):
        for _ in range(3):
            stage.slack.next_arrives_unanswered(method)
        stage.slack.next(method, status=429, after=1)
        stage.slack.next(method, status=500)
    await asyncio.sleep(stage.pace.outage / 2)
    stage.slack.away = True
    await asyncio.sleep(stage.pace.outage / 2)
    stage.slack.mend()
    for _ in range(2):
        stage.slack.next_arrives_unanswered("chat.postMessage")
