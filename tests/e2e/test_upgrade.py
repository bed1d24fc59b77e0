"""What an older release left under way goes on in this one.

`fixtures/upgrade` has the stores of a release whose journal was at 0006. It was killed while
three builds ran and three deployments of the next push waited for them.
"""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import State
from tests.chaos.recording_backend import Job, RecordingBackend, recording_backend
from tests.worlds.bridge import World, running_world

pytestmark = pytest.mark.journey

OLDER = Path(__file__).parents[1] / "fixtures" / "upgrade"


def restore(data: Path) -> None:
    """Have its stores in a folder."""
    data.mkdir()
    for dump in OLDER.glob("*.sql"):
        with closing(sqlite3.connect(data / f"{dump.stem}.sqlite")) as db:
            db.executescript(dump.read_text())


async def go_on(backend: RecordingBackend, world: World) -> None:
    """Have the builds that it had asked for, still running."""
    for one in await world.deployments():
        if one.state is State.RUNNING:
            assert one.backend_id is not None
            assert one.commit is not None
            job = Job(one.backend_id, one.app_id, f"a push {one.token}", "", one.created_at)
            backend.jobs[one.app_id].append(job)
            next(backend.numbers)  # that id is taken
            task = asyncio.create_task(backend.build(job, one.commit))
            backend.building.add(task)
            task.add_done_callback(backend.building.discard)


async def test_builds_are_followed_to_their_end_and_what_waits_is_asked_for_once(
    tmp_path: Path,
) -> None:
    restore(tmp_path / "bridge")
    others: dict[str, Any] = {"BRIDGE_DOKPLOY_API_KEY": "a-key", "BRIDGE_JOURNEY_ADOPT": "1.5"}
    async with recording_backend(apps=3, build_seconds=0.1, listing_delay=0.0) as backend:
        backend.may_end.clear()
        others["BRIDGE_DOKPLOY_URL"] = backend.url
        async with running_world(tmp_path / "bridge", **others) as world:
            await go_on(backend, world)
            backend.may_end.set()
            ended = await world.ended(6)

    assert {one.state for one in ended} == {State.DONE}
    assert [one.deployed_commit for one in ended] == ["a" * 40] * 3 + ["b" * 40] * 3
    assert sorted((one.app, one.token) for one in backend.ledger) == sorted(
        (one.app_id, one.token) for one in ended[3:]
    )
    assert not any(one.overlapped for one in backend.ledger)
