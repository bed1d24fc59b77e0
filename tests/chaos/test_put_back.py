"""Put an older copy of the data back: by a restore, or by a failover to a lagging replica.

The bridge forgets its input since then, although some of it was already requested. So deployments
may happen twice; but everything ends, no claim is wrong, no token is used twice, and pushes since
the copy are found again at the host, so the newest commit is live.
"""

import asyncio
import os
import random
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from bridge.app.storage import open_stores
from tests.chaos.copies import Copy, Forgotten, failed_over, restored, taken
from tests.chaos.ledgers import all_quiet, judge_put_back
from tests.chaos.pushes import MONO
from tests.chaos.stage import SHORT, SITE, Stage, stage
from tests.worlds.embedded import until
from tests.worlds.postgres import own_server

when_long = pytest.mark.skipif(
    "CHAOS_ROUNDS" not in os.environ, reason="takes minutes: CHAOS_ROUNDS, or make chaos"
)
SOON = {"BRIDGE_CATCHUP_EVERY": "2", "BRIDGE_CATCHUP_GRACE": "1"}
"""Seconds between searches for missed pushes at the host."""

FOUND = 30.0
"""Seconds within which they must be found."""

pytestmark = [pytest.mark.slow, when_long]


async def played(on: Stage, put_back: Callable[[Stage, Copy], Awaitable[Forgotten]]) -> list[str]:
    """Push, copy, push again, put the copy back; return the faults."""
    on.backend.build_seconds = 0.4
    await looked(on)
    async with on.load(unharmed=False):
        await asyncio.sleep(1.5)
        copy = await taken(on)
        await asyncio.sleep(2.5)
    gone = await put_back(on, copy)
    forgotten = await found_again(on, gone)  # before anything more is pushed
    async with on.load(unharmed=False):
        await asyncio.sleep(1.0)
    await on.heal()
    return forgotten + judge_put_back(on, await all_quiet(on), gone).wrong


async def looked(on: Stage) -> None:
    """Wait until the bridge has recorded all refs: the first look finds no push."""
    refs = (f"tags github {MONO.id}", f"head github {SITE.id} refs/heads/main")
    async with open_stores(on.fleet.settings) as stores:
        for ref in refs:
            await until(partial(stores.journal.recall, ref), bool, patience=on.pace.quiet)


async def found_again(on: Stage, gone: Forgotten) -> list[str]:
    """Wait until pushes since the copy are live; return those that are not in time."""
    deadline = time.monotonic() + FOUND
    while True:
        wrong = judge_put_back(on, await all_quiet(on), gone).wrong
        left = [one for one in wrong if re.match("old last", one)]
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.5)


async def test_a_restored_copy_on_sqlite_forgets_nothing_for_good(
    tmp_path: Path, chance: random.Random
) -> None:
    async with stage("sqlite", tmp_path, chance, SHORT, others=SOON) as on:
        assert await played(on, restored) == []


async def test_a_restored_copy_on_postgres_forgets_nothing_for_good(
    tmp_path: Path, chance: random.Random
) -> None:
    with own_server() as server:
        async with stage("postgres", tmp_path, chance, SHORT, database=server, others=SOON) as on:
            assert await played(on, restored) == []


async def test_workers_that_live_through_a_lagging_failover_look_after_all_that_waits(
    tmp_path: Path,
    chance: random.Random,
) -> None:
    with own_server() as server:
        async with stage("postgres", tmp_path, chance, SHORT, database=server, others=SOON) as on:
            assert await played(on, failed_over) == []
