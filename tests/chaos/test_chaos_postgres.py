"""All faults on Postgres, with three workers and two webs: see `playing.py`."""

import random
from pathlib import Path

import pytest

from tests.chaos.disk import small_disk
from tests.chaos.playing import PACE, play
from tests.chaos.stage import stage
from tests.worlds.postgres import own_server


@pytest.mark.slow
async def test_on_postgres_nothing_is_lost_and_nothing_repeated(
    tmp_path: Path, chance: random.Random, chaos_lines: list[str]
) -> None:
    with own_server() as server, small_disk(server.folder / "small", **server.owner) as disk:
        async with stage("postgres", tmp_path, chance, PACE, database=server, disk=disk) as on:
            await play(on, chaos_lines)
