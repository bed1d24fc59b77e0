"""`doctor` finds each planted fault by its name, and nothing in a sound set-up."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tests.worlds.setup import SetUp, sound_set_up, with_bridge


async def test_a_sound_set_up_has_no_finding(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        told = await made.doctor()

    assert [one for one in told.findings if one["level"] != "ok"] == []
    assert told.code == 0
    print(told)
