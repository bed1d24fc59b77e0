"""What Discord is shown is in the golden files, which `python -m tests.scenes.discord` writes."""

from tests.oracles.discord_contract import POST, faults
from tests.scenes.discord import GOLDEN, scenes, written
from tests.worlds.rows import each_row

SCENES = scenes()


@each_row("name", SCENES)
def test_a_scene_is_as_its_golden_file_has_it(name: str) -> None:
    """And within Discord's contract and limits."""
    message = SCENES[name]()

    assert written(message) == (GOLDEN / f"{name}.json").read_text()
    assert faults(POST, message) == []
    assert 0 < len(message["thread_name"]) <= 100


def test_each_golden_file_has_its_scene() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.json")) == sorted(SCENES)
