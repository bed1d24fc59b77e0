"""The public surface is as it was recorded; `python -m tests.scenes.surface` records it anew."""

import pytest

from bridge.cli.root import commands
from tests.scenes.surface import EMBEDDED, HOOKS, PLANNED, SCENES, SURFACES, differences, recorded
from tests.scenes.terminal import command

REMEDY = (
    "the public surface differs from tests/fixtures/surface: if that is meant, record it anew with"
    " `python -m tests.scenes.surface`; what is lost or changed needs a line in CHANGELOG.md"
)


@pytest.mark.parametrize("surface", SURFACES)
def test_the_surface_is_as_recorded(surface: str) -> None:
    found = list(differences(recorded(surface), SURFACES[surface]()))

    assert not found, "\n".join([REMEDY, *found])


def test_every_command_that_prints_json_is_recorded() -> None:
    printing = {
        words
        for words, one in commands(command())
        if any("--json" in param.opts for param in one.params)
    }

    assert printing - {*SCENES, *EMBEDDED, *HOOKS, *PLANNED} == set()
