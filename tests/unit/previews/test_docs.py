"""docs/previews.md explains every reason and every field of the rule."""

import re
from dataclasses import replace
from pathlib import Path

import bridge
from bridge.core.events import Repository
from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import Why
from bridge.core.pulls import PullRequest
from bridge.settings.rules import Previews
from bridge.views.preview_reasons import REMEDIES, remedy_of

PAGE = (Path(bridge.__file__).parents[1] / "docs" / "previews.md").read_text()

PULL = PullRequest(12, "feature", "a" * 40, open=True)


def rows(title: str) -> set[str]:
    """The first cells of the tables of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_each_reason_is_explained() -> None:
    assert rows("Why there is none") == set(Why)


def test_each_field_of_the_rule_is_explained() -> None:
    assert rows("The rule") == set(Previews.model_fields)


def test_each_reason_has_a_remedy_or_needs_none() -> None:
    assert set(REMEDIES) == set(Why)
    for why in Why:
        one = Preview("1", Repository("github", "1", "o/r"), "a", "shop/web", "dokploy", PULL)
        says = remedy_of(replace(one, reason=why))
        assert "{" not in says
        assert bool(says) == (why is not Why.WANTED)
