"""Change the release under load: up from an older one, and back below the data's writer.

A release that started on newer data would report ready, and lose or refuse its input; so it refuses
to start, and harms none. The older release is the newest commit with other tables than today's,
from this project's history. A *later* release's data is simulated: its mark is put on this one's
data.
"""

import asyncio
import os
import random
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos.cluster import ROOT
from tests.chaos.fleet import Kept
from tests.chaos.playing import settled
from tests.chaos.stage import SHORT, Stage, stage
from tests.worlds.postgres import own_server

REFUSES_WITHIN = 60.0
"""Seconds, even on a busy machine."""

Mark = Callable[[Stage, bool], None]
"""Puts the mark of a newer release on the data, or removes it again."""

pytestmark = pytest.mark.slow


def mark_journal(on: Stage, newer: bool) -> None:
    """The revision of its tables."""
    sql = f"UPDATE alembic_version SET version_num = {_marked('version_num', newer)}"
    if on.database is None:
        with closing(sqlite3.connect(on.fleet.settings.data / "journal.sqlite")) as db, db:
            db.execute(sql)
        return
    with psycopg.connect(on.fleet.variables["DATABASE_URL"]) as connection:
        connection.execute(sql.encode())


def _marked(column: str, newer: bool) -> str:
    return f"'9' || {column}" if newer else f"substr({column}, 2)"


def mark_inbox(on: Stage, newer: bool) -> None:
    """The version of its file."""
    with closing(sqlite3.connect(on.fleet.settings.data / "inbox.sqlite")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {version + 90 * (1 if newer else -1)}")


@pytest.mark.parametrize("mark", [mark_journal, mark_inbox])
async def test_on_sqlite_it_refuses_to_start_and_all_goes_on_later(
    tmp_path: Path, chance: random.Random, mark: Mark
) -> None:
    async with stage("sqlite", tmp_path, chance, SHORT) as on:
        await rolled_back(on, mark)


@pytest.mark.skipif(
    "CHAOS_ROUNDS" not in os.environ, reason="takes minutes: CHAOS_ROUNDS, or make chaos"
)
async def test_on_postgres_each_process_refuses_to_start_and_all_goes_on_later(
    tmp_path: Path,
    chance: random.Random,
) -> None:
    with own_server() as server:
        async with stage("postgres", tmp_path, chance, SHORT, database=server) as on:
            await rolled_back(on, mark_journal)


async def rolled_back(on: Stage, mark: Mark) -> None:
    """Push before, during and after; nothing that was acknowledged is lost."""
    async with on.load(unharmed=False):
        await asyncio.sleep(1.0)
        async with on.fleet.down():
            await asyncio.to_thread(mark, on, True)  # the database is behind a line of this loop
            await asyncio.gather(*(refuses(one) for one in on.fleet.processes))
            await asyncio.to_thread(mark, on, False)
    assert (await settled(on)).wrong == []


async def refuses(process: Kept) -> None:
    """It exits by itself and says why, instead of becoming ready."""
    before = process.log.stat().st_size
    await process.run()
    assert process.running is not None
    async with asyncio.timeout(REFUSES_WITHIN):
        code = await process.running.wait()
    said = process.log.read_text()[before:]
    assert code != 0, said
    assert "newer release" in said


# ── an older release ─────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree of the newest release with other tables."""
    changed = [
        "log",
        "-1",
        "--first-parent",
        "-m",
        "--format=%H",
        "-G^HEAD",
        "--diff-filter=M",
        "--",
    ]
    places = [f"bridge/{folder}/migrations/__init__.py" for folder in ("storage", "stores")]
    try:
        commit = _git(*changed, "--", *places).decode().strip()
        packed = _git("archive", f"{commit}^1", "bridge", "tests")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no older release in this checkout: {error}")
    folder = tmp_path_factory.mktemp("older")
    subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
    return folder


def _git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True).stdout


async def test_on_sqlite_what_an_older_release_began_goes_on_and_there_is_no_way_back(
    tmp_path: Path, chance: random.Random, older: Path
) -> None:
    how: dict[str, Any] = {"release": older, "pulls": False}  # it knows no previews
    async with stage("sqlite", tmp_path, chance, SHORT, **how) as on:
        await up_and_down(on, older)


@pytest.mark.skipif(
    "CHAOS_ROUNDS" not in os.environ, reason="takes minutes: CHAOS_ROUNDS, or make chaos"
)
async def test_on_postgres_what_an_older_release_began_goes_on_and_there_is_no_way_back(
    tmp_path: Path, chance: random.Random, older: Path
) -> None:
    with own_server() as server:
        how: dict[str, Any] = {"database": server, "release": older, "pulls": False}
        async with stage("postgres", tmp_path, chance, SHORT, **how) as on:
            await up_and_down(on, older)


async def up_and_down(on: Stage, older: Path) -> None:
    """Kill the older release at any moment: this one continues, and the older one then refuses."""
    async with on.load(unharmed=False):
        await on.later(3.0)
        async with on.fleet.down():
            on.fleet.run(ROOT)
        await on.later(3.0)
        async with on.fleet.down():
            on.fleet.run(older)
            await asyncio.gather(*(refuses(one) for one in on.fleet.processes))
            on.fleet.run(ROOT)
    assert (await settled(on)).wrong == []
