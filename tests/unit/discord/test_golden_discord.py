"""What Discord is shown is in the golden files, which `python -m tests.scenes.discord` writes."""

import pytest

from tests.oracles.discord_contract import POST, faults
from tests.scenes.discord import GOLDEN, scenes, written

SCENES = scenes()


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_as_its_golden_file_has_it(name: str) -> None:
    assert written(SCENES[name]()) == (GOLDEN / f"{name}.json").read_text()


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_within_discord_s_contract_and_limits(name: str) -> None:
    message = SCENES[name]()

    assert faults(POST, message) == []
    assert 0 < len(message["thread_name"]) <= 100


def test_each_golden_file_has_its_scene() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.json")) == sorted(SCENES)
