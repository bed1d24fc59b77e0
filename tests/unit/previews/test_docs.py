"""docs/previews.md explains every reason and every field of the rule."""

import re
from pathlib import Path

import bridge
from bridge.core.previews.verdict import Why
from bridge.settings.previews import Previews

PAGE = (Path(bridge.__file__).parents[1] / "docs" / "previews.md").read_text()


def rows(title: str) -> set[str]:
    """The first cells of the tables of a section."""
    section = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))


def test_each_reason_is_explained() -> None:
    assert rows("Why there is none") == set(Why)


def test_each_field_of_the_rule_is_explained() -> None:
    assert rows("The rule") == set(Previews.model_fields)
