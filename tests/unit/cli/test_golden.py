"""What terminals show is what the golden files have; `python -m tests.scenes.terminal` writes."""

import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from bridge.cli.cleaning import STEERING
from tests.scenes.terminal import GOLDEN, SCENES, WIDTHS, fill, golden, shown


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "data"
    fill(folder)
    return folder


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_as_its_golden_file_has_it(data: Path, name: str, width: int) -> None:
    seen = shown(data, SCENES[name], width)

    assert seen == golden(name, width).read_text()
    lines = seen.splitlines()
    if not name.startswith("logs"):  # a log is whole, to be copied
        assert not [line for line in lines if cell_len(line) > width]


def test_each_golden_file_has_its_scene_and_steers_nobody() -> None:
    assert {file.name for file in GOLDEN.glob("*.txt")} == {
        golden(name, width).name for name in SCENES for width in WIDTHS
    }
    for file in GOLDEN.glob("*.txt"):
        assert not re.search(f"(?!\n)[{STEERING}]", file.read_text()), file.name
