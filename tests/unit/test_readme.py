"""The README names everything that a user can meet."""

from pathlib import Path

import pytest
import typer

from bridge.cli.root import app
from bridge.core.decision import Reason
from bridge.core.lifecycle import State
from bridge.settings import variables

ROOT = Path(__file__).parents[2]
ROUTES = ["/hooks/github", "/hooks/gitlab", "/healthz", "/readyz", "/metrics"]
README = (ROOT / "README.md").read_text()


def commands() -> list[str]:
    group = typer.main.get_command(app)
    return sorted(group.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("word", [*Reason, *State])
def test_every_reason_and_state_is_explained(word: str) -> None:
    assert f"| `{word}` |" in README


@pytest.mark.parametrize("variable", variables())
def test_every_setting_is_listed(variable: str) -> None:
    assert f"`{variable}`" in README


@pytest.mark.parametrize("command", commands())
def test_every_command_is_listed(command: str) -> None:
    assert f"`{command}" in README


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_is_listed(route: str) -> None:
    assert route in README


def test_the_readme_links_to_what_is_there() -> None:
    from re import findall

    links = [link for link in findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
