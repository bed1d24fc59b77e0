"""A database that is as it was some seconds ago, under a bridge that goes on running.

So it is after a failover to a replica that lagged. What was written in between is lost; what
the journal shows as open afterwards must come to its end without a restart.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from psycopg import sql

from bridge.core.lifecycle import State
from bridge.durable import engine
from tests.chaos.recording_backend import push_payload, recording_backend
from tests.worlds.bridge import World, running_world
from tests.worlds.embedded import until

pytestmark = pytest.mark.slow

TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE'
    AND table_schema NOT IN ('pg_catalog', 'information_schema', 'replica')
"""


class Replica:
    """A copy of all tables, which can take the place of what is there by then."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind: other tests use the same database."""
        with self._open() as db:
            db.execute("DROP SCHEMA IF EXISTS replica CASCADE")

    def follow(self) -> None:
        """Copy what is there now."""
        with self._open() as db:
            db.execute("CREATE SCHEMA replica")
            for table, copy in self._pairs(db):
                db.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(copy, table))

    def take_over(self) -> list[str]:
        """Have all tables as they were when it was copied; return the deployments' states then."""
        with self._open() as db:
            db.execute("SET LOCAL session_replication_role = replica")
            pairs = list(self._pairs(db))
            for table, _ in pairs:
                db.execute(sql.SQL("DELETE FROM {}").format(table))
            for table, copy in pairs:
                statement = "INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {}"
                db.execute(sql.SQL(statement).format(table, copy))
            found = db.execute("SELECT state FROM deployments ORDER BY seq, app_id").fetchall()
            return [str(state) for (state,) in found]

    @contextmanager
    def _open(self) -> "Iterator[psycopg.Connection[tuple[object, ...]]]":
        with psycopg.connect(self._url) as db:
            yield db

    def _pairs(
        self, db: "psycopg.Connection[tuple[object, ...]]"
    ) -> Iterator[tuple[sql.Identifier, sql.Identifier]]:
        for schema, name in db.execute(TABLES).fetchall():
            table = sql.Identifier(str(schema), str(name))
            yield table, sql.Identifier("replica", f"{schema}.{name}")


async def push(world: World, before: str, after: str) -> None:
    answer = await world.hook("github", push_payload(before, after, {"app-0", "app-1"}))
    assert answer.status_code == 202


async def until_states(world: World, *states: str) -> None:
    await until(world.states, lambda found: found == list(states))


async def test_all_that_is_open_goes_on_without_a_restart(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOOK", 0.5)
    others: dict[str, Any] = {"BRIDGE_DOKPLOY_API_KEY": "a-key", "DATABASE_URL": postgres}
    others |= {"BRIDGE_JOURNEY_ADOPT": "1", "BRIDGE_JOURNEY_LOST": "2"}
    with Replica(postgres) as replica:
        async with recording_backend(apps=2, build_seconds=0.1, listing_delay=0.0) as backend:
            others["BRIDGE_DOKPLOY_URL"] = backend.url
            async with running_world(tmp_path / "bridge", **others) as world:
                backend.may_end.clear()
                await push(world, "0" * 40, "a" * 40)
                await until_states(world, "running", "running")
                await push(world, "a" * 40, "b" * 40)
                await until_states(world, "running", "running", "waiting", "waiting")
                replica.follow()
                backend.may_end.set()
                await world.ended(4)

                rewound = replica.take_over()
                assert rewound == ["running", "running", "waiting", "waiting"]

                ended = await world.ended(4)
                await push(world, "b" * 40, "c" * 40)
                newest = await world.ended(6)

    assert {one.state for one in ended} == {State.DONE}
    assert [one.deployed_commit for one in newest[4:]] == ["c" * 40] * 2
