"""What Slack is shown is what the golden files have; `python -m tests.scenes.slack` writes them."""

from tests.scenes.slack import GOLDEN, scenes, written
from tests.worlds.rows import each_row

SCENES = scenes()


@each_row("name", SCENES)
def test_a_scene_is_as_its_golden_file_has_it(name: str) -> None:
    assert written(SCENES[name]()) == (GOLDEN / f"{name}.json").read_text()


def test_each_golden_file_has_its_scene() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.json")) == sorted(SCENES)
