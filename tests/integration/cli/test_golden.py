"""What terminals show is what the golden files have; `python -m tests.scenes.terminal` writes."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from rich.cells import cell_len

from bridge.core.log_text import STEERING
from tests.scenes.dokploy import dokploy
from tests.scenes.terminal import ALL, GOLDEN, WIDTHS, fill, golden, scene


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "data"
    fill(folder)
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Mapping[str, str]]:
    with dokploy() as leads_there:
        yield leads_there


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ALL)
def test_a_scene_is_as_its_golden_file_has_it(
    data: Path, server: Mapping[str, str], name: str, width: int
) -> None:
    seen = scene(data, name, width, server)

    assert seen == golden(name, width).read_text()
    lines = seen.splitlines()
    if not name.startswith(
        ("logs", "env-show-long", "setup", "promote", "approve")
    ):  # whole, to be copied
        assert not [line for line in lines if cell_len(line) > width]


def test_each_golden_file_has_its_scene_and_steers_nobody() -> None:
    assert {file.name for file in GOLDEN.glob("*.txt")} == {
        golden(name, width).name for name in ALL for width in WIDTHS
    }
    for file in GOLDEN.glob("*.txt"):
        assert not re.search(f"(?!\n)[{STEERING}]", file.read_text()), file.name
