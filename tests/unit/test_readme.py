"""The README names everything that a user can meet."""

import re
from pathlib import Path
from textwrap import dedent

import pytest
import typer

from bridge.cli.root import app
from bridge.core.decision import Reason
from bridge.core.lifecycle import State
from bridge.settings import read_settings, variables

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


@pytest.mark.parametrize("example", re.findall(r" *```yaml\n.*?\n *```", README, re.DOTALL))
def test_every_example_of_bridge_yaml_can_be_read(example: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("\n".join(dedent(example).splitlines()[1:-1]))

    read = read_settings(file, {"BRIDGE_DOKPLOY_API_KEY": "a-key"})

    assert read.model_fields_set


def test_the_readme_links_to_what_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
