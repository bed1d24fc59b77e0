"""Help and completion: examples that can be copied, and names of apps while one types."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from bridge.app.storage import Stores
from bridge.cli.completion import complete_app, complete_repository
from bridge.cli.every import app
from bridge.cli.root import commands, examples
from bridge.ports.outcomes import Outcome, PushSeen
from tests.worlds.cli import Cli

TREE = typer.main.get_command(app)
EXAMPLES = examples()


def test_every_command_has_examples() -> None:
    assert {words for words, _ in commands(TREE)} == set(EXAMPLES)


@pytest.mark.parametrize("example", [one for those in EXAMPLES.values() for one in those])
def test_an_example_is_right_usage_of_its_command(example: str) -> None:
    line = example.partition(" > ")[0]
    words = shlex.split(line)
    assert words.pop(0) == "dokploy-bridge"
    command: Any = TREE
    path = []
    while words and words[0] in getattr(command, "commands", {}):
        path.append(words[0])
        command = command.commands[words.pop(0)]
    assert example in EXAMPLES[" ".join(path)]
    with command.make_context(path[-1], words) as context:  # raises where it is wrong usage
        assert not context.args


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", ["shop/docs", "shop/web"]),
        ("sho", ["shop/docs", "shop/web"]),
        ("SHOP/w", ["shop/web"]),
        ("do", ["docs"]),
        ("x", []),
    ],
)
def test_names_of_apps_are_completed(filled: Cli, typed: str, wanted: list[str]) -> None:
    context = typer.Context(TREE)

    assert complete_app(context, typed) == wanted


@pytest.mark.parametrize(
    ("typed", "wanted"), [("", ["my-org/mono"]), ("MY", ["my-org/mono"]), ("x", [])]
)
def test_names_of_repositories_are_completed(filled: Cli, typed: str, wanted: list[str]) -> None:
    filled.with_stores(_with_a_repository)

    assert complete_repository(typer.Context(TREE), typed) == wanted


async def _with_a_repository(stores: Stores) -> None:
    seen = PushSeen("github 4711 refs/heads/main", "c" * 40, "a" * 40, repository="my-org/mono")
    await stores.journal.record([Outcome(99, "another", (), (), seen)], window=600)


def test_they_are_found_where_the_settings_say(filled: Cli, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    filled.data.rename(elsewhere)
    context = typer.Context(TREE)
    assert complete_app(context, "sh") == []

    (tmp_path / "bridge.yaml").write_text(f"data: {elsewhere}\n")
    assert complete_app(context, "sh") == ["shop/docs", "shop/web"]
    (tmp_path / "bridge.yaml").write_text("data: [\n")
    assert complete_app(context, "sh") == []


def test_a_postgres_that_is_away_completes_nothing_and_says_nothing(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@127.0.0.1:1/d")

    assert complete_app(typer.Context(TREE), "sh") == []
    assert capsys.readouterr() == ("", "")
