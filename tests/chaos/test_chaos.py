"""Under a stream of pushes everything is harmed: nothing lost, nothing twice, the newest last.

The short run is part of the tests; `make chaos` does the long one (CHAOS_LONG=1), as often as
CHAOS_ROUNDS says. CHAOS_SEED repeats a run as far as chance goes.
"""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import harm
from tests.chaos.cluster import Cluster, sending, verdict
from tests.chaos.recording_backend import RecordingBackend, recording_backend
from tests.fake_github import FakeGithub
from tests.postgres import NoPostgres, Server

APPS = 6
LONG = bool(os.environ.get("CHAOS_LONG"))
ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(10**9)
FACTOR = 1.0 if LONG else 0.1
"""How long each harm is done, of its full time."""

BREATH = 3.0 if LONG else 0.3
"""Seconds between two harms."""

PAUSE = (0.05, 0.2)
"""Seconds between two pushes."""

pytestmark = pytest.mark.slow


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=APPS, build_seconds=0.15, listing_delay=0.1) as running:
        yield running


@pytest.fixture
async def github() -> AsyncIterator[FakeGithub]:
    async with FakeGithub() as fake:
        yield fake


def on(github: FakeGithub, folder: Path, backend: RecordingBackend, **others: Any) -> Cluster:
    """A cluster, with the pull request that every push belongs to."""
    repository = github.repository("my-org/mono")
    repository.commit({"read.md": "me"})
    pull = repository.open_pull("main")
    leaves_within = 10.0 if LONG else 30.0  # beside other tests the machine may be busy
    chance = random.Random(SEED)
    return Cluster(folder, backend, github, pull, chance, leaves_within=leaves_within, **others)


@pytest.fixture
def server() -> AsyncIterator[Server]:
    try:
        server = Server.make()
    except NoPostgres as error:
        pytest.skip(str(error))
    server.start()
    yield server  # type: ignore[misc]
    server.remove()


@pytest.fixture
async def alone(
    tmp_path: Path, backend: RecordingBackend, github: FakeGithub
) -> AsyncIterator[Cluster]:
    """One process on SQLite."""
    cluster = on(github, tmp_path, backend)
    await cluster.start("all")
    yield cluster
    await cluster.end()


@pytest.fixture
async def together(
    tmp_path: Path, backend: RecordingBackend, github: FakeGithub, server: Server
) -> AsyncIterator[Cluster]:
    """Three workers and two webs on Postgres."""
    cluster = on(github, tmp_path, backend, server=server, database=server.fresh())
    await cluster.start("worker", "worker", "worker", "web", "web")
    yield cluster
    await cluster.end()


async def test_one_process_on_sqlite(alone: Cluster) -> None:
    await harmed(alone, harm.ANYWHERE)


async def test_five_processes_on_postgres(together: Cluster) -> None:
    await harmed(together, harm.ON_POSTGRES)


async def harmed(cluster: Cluster, harms: tuple[tuple[harm.Harm, float], ...]) -> None:
    """Do all of it, in an order that is drawn, and compare the ledgers."""
    async with sending(cluster, PAUSE) as sender:
        await asyncio.sleep(1.0)
        for _ in range(ROUNDS):
            for does, seconds in cluster.chance.sample(harms, len(harms)):
                await does(cluster, seconds * FACTOR)
                await asyncio.sleep(BREATH)
    found = await verdict(cluster, sender)

    sys.stdout.write(f"\nseed {SEED}: {'; '.join(cluster.done)}\n{found.line()}\n")
    assert not found.lost
    assert not found.twice
    assert not found.overlapping
    assert not found.stale
    assert set(found.states) <= {"done", "superseded"}
    assert found.asked == found.states["done"]  # none under a second token either
    assert (found.comments, found.untold) == (1, [])
    assert found.answered > 0
