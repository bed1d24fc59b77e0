"""The bridge beside a real Dokploy: each claim agrees with its database.

Skipped unless the variables of `variables.py` name a Dokploy; `python -m tests.trial` runs the
same scenarios and prints a table.
"""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.trial.scenarios import SCENARIOS
from tests.trial.scene import Scene
from tests.trial.stage import Scenario, perform, staged
from tests.trial.variables import MUST, given

GIVEN = given(os.environ)
ABSENT = GIVEN.lacks(MUST)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"no Dokploy to run beside: {ABSENT}"),
]


@pytest.fixture(scope="module")
def scenes(request: pytest.FixtureRequest) -> Iterator[dict[str, Scene | str]]:
    items: list[Any] = request.session.items
    chosen = {item.callspec.params["scenario"].name for item in items if _ours(item)}
    with staged(GIVEN, [one for one in SCENARIOS if one.name in chosen]) as found:
        yield found


def _ours(item: pytest.Item) -> bool:
    return hasattr(item, "callspec") and item.path.samefile(__file__)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_each_claim_agrees_with_the_database_of_dokploy(
    scenario: Scenario, scenes: dict[str, Scene | str]
) -> None:
    result = perform(scenario, scenes[scenario.name])
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.differences == ()


def test_nothing_comes_of_them_later(scenes: dict[str, Scene | str]) -> None:
    played = [one for one in scenes.values() if isinstance(one, Scene)]

    assert [text for scene in played for text in scene.later()] == []
