"""All faults on SQLite, with one process: see `playing.py`."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.disk import small_disk
from tests.chaos.playing import PACE, play
from tests.chaos.stage import stage


@pytest.mark.slow
async def test_on_sqlite_nothing_is_lost_and_nothing_repeated(
    tmp_path: Path, chance: random.Random, chaos_lines: list[str]
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with stage("sqlite", tmp_path, chance, PACE, disk=disk) as on:
            await play(on, chaos_lines)
        folder = on.fleet.settings.data
        for store in ("inbox", "journal", "workflows"):
            with closing(sqlite3.connect(folder / f"{store}.sqlite")) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
