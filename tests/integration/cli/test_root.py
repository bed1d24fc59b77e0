"""The command as a whole: help, version, exit codes, speed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bridge import __version__
from bridge.cli.context import exit_code_of
from bridge.cli.every import app
from bridge.core.errors import BadSignature, NotFound, Refused, Rejected, Unanswered, Unreachable
from tests.worlds.cli import Cli

ROOT = Path(__file__).parents[3]
COMMANDS = [
    *("serve", "demo", "backend", "explain", "apps", "deliveries", "deployments", "why"),
    *("deploy", "redeploy", "cancel", "replay", "config", "app"),
]


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    shown = cli("--help").stdout

    assert all(command in shown for command in COMMANDS)
    assert "Exit codes" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Cli, command: str) -> None:
    assert "Usage" in cli(command, "--help").stdout


def options(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield from ((path, one) for one in command.params if one.param_type_name == "option")
    for name, inner in getattr(command, "commands", {}).items():
        yield from options(inner, *path, name)


def test_help_shows_every_option_with_all_its_words(cli: Cli) -> None:
    pages: dict[tuple[str, ...], str] = {}
    for path, option in options(typer.main.get_command(app)):
        if path not in pages:
            pages[path] = cli(*path, "--help", COLUMNS="400").stdout
        page = pages[path]
        assert option.opts[0] in page
        assert option.help.replace("\\[", "[") in page  # as rich reads a bracket that is meant
    assert len(pages) > 20


ANSWER_NO_SCRIPT = {
    "console",
    *("serve", "migrate", "demo", "backend", "app delete"),  # they do something, and say so
    *("setup", "config set", "config unset"),
    *("manifest github", "config schema"),  # they print JSON anyway
}


def commands(command: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something by itself, by its words."""
    inner = getattr(command, "commands", {})
    if not inner or command.invoke_without_command:
        yield " ".join(path), command
    for name, one in inner.items():
        yield from commands(one, *path, name)


def test_every_command_that_answers_does_so_for_scripts_too() -> None:
    without = {
        words
        for words, command in commands(typer.main.get_command(app))
        if not any("--json" in one.opts for one in command.params)
    }

    assert without == ANSWER_NO_SCRIPT


def test_help_asks_for_no_value_where_none_is_taken(cli: Cli) -> None:
    page = cli("deploy", "--help").stdout

    assert "<path>" in page
    assert "bool" not in page


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").stdout == f"dokploy-bridge {__version__}\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x"), 4),
        (Rejected("x"), 2),
        (BadSignature("x"), 2),
        (Refused("x", "y"), 1),
        (Unreachable("x", "y"), 1),
        (Unanswered("x", "y"), 1),
    ],
)
def test_every_error_has_its_exit_code(error, code) -> None:
    assert exit_code_of(error) == code


def test_wrong_usage_is_two(cli: Cli) -> None:
    cli("deploy", code=2)
    cli("deliveries", "--limit", "0", code=2)
    cli("nonsense", code=2)


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_role_of_its_own_needs_postgres(cli: Cli, role: str) -> None:
    assert "DATABASE_URL" in cli("serve", "--role", role, code=2).stderr


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_role_of_its_own_needs_a_backend_that_all_reach(
    cli: Cli, role: str, empty_postgres: str
) -> None:
    refused = cli("serve", "--role", role, code=2, DATABASE_URL=empty_postgres)

    assert "BRIDGE_DOKPLOY_URL" in refused.stderr


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["deliveries"], ["deploy", "web"]])
def test_a_postgres_that_is_away_is_a_sentence_without_the_password(
    cli: Cli, command: list[str]
) -> None:
    result = cli(*command, code=2, DATABASE_URL="postgres://u:hunter2@127.0.0.1:1/d")

    assert "the database of DATABASE_URL can't be used" in result.stderr
    assert "hunter2" not in result.stderr


def test_another_database_than_postgres_is_a_sentence_without_the_password(cli: Cli) -> None:
    result = cli("serve", code=2, DATABASE_URL="mysql://u:hunter2@h/d")

    assert "database_url (DATABASE_URL): it must start with postgres:// or" in result.stderr
    assert "hunter2" not in result.stderr


def test_migrating_makes_the_tables_where_there_are_none(cli: Cli) -> None:
    assert "up to date" in cli("migrate").stdout
    assert "up to date" in cli("migrate").stdout
    assert (cli.data / "journal.sqlite").exists()


def test_a_data_directory_that_can_not_be_one_is_a_sentence(cli: Cli) -> None:
    (cli.folder / "file").write_text("x")

    result = cli("serve", "--port", "0", code=2, BRIDGE_DATA="file")

    assert "file can't hold the data (File exists)" in result.stderr


@pytest.mark.parametrize("name", ["inbox.sqlite", "journal.sqlite"])
def test_data_of_something_else_is_a_sentence(filled: Cli, name: str) -> None:
    for file in filled.data.glob(f"{name}*"):
        file.unlink()
    (filled.data / name).write_text("no database, but long enough to look like one")

    result = filled("deliveries", code=2)

    assert "can't be used: file is not a database" in result.stderr
    assert len(result.stderr.splitlines()) == 1


# ── the data folder ──────────────────────────────────────────────────────────


def refused(cli: Cli, *words: str) -> None:
    """Every command that would use the data refuses it, and the check tells of it."""
    for command in (
        ["app", "delete", "web"],
        ["serve", "--port", "0"],
        ["backend", "--port", "0"],
        ["migrate"],
        ["deliveries"],
        ["deploy", "web"],
        ["config", "check"],
    ):
        result = cli(*command, code=2)
        for said in words:
            assert said in result.stderr, command
        assert "ok" not in result.stdout.split()


def test_a_data_folder_that_everybody_may_write_to_is_refused(filled: Cli) -> None:
    filled.data.chmod(0o777)

    refused(filled, ".bridge can be written to by everybody")
    filled.data.chmod(0o700)
    filled("deliveries")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_data_folder_of_a_group_that_is_not_ours_is_refused(filled: Cli) -> None:
    os.chown(filled.data, -1, 54_321)
    filled.data.chmod(0o770)

    refused(filled, "can be written to by a group that the bridge is not in")
    os.chown(filled.data, -1, os.getegid())
    filled("deliveries")


def test_a_group_that_the_bridge_is_in_may_write_to_the_data(filled: Cli) -> None:
    """As on a shared volume; docs/operating.md says so."""
    filled.data.chmod(0o770)
    (filled.data / "inbox.sqlite").chmod(0o660)

    filled("deliveries")
    page = (Path(__file__).parents[3] / "docs" / "operating.md").read_text()
    assert "A group that the bridge itself is in may write" in page


@pytest.mark.parametrize(
    "name", ["inbox.sqlite", "workflows.sqlite", "secret.key", "lock", "embedded/api-key"]
)
def test_a_file_of_the_data_that_everybody_may_write_to_is_refused(filled: Cli, name: str) -> None:
    file = filled.data / name
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.touch()
    file.chmod(0o666)

    shown = file.relative_to(filled.folder)
    refused(
        filled,
        f"{shown} can be written to by everybody (its mode is 0666)",
        f"`chmod go-w {shown}`",
    )
    file.chmod(0o600)
    filled("deliveries")


def test_a_folder_in_the_data_that_everybody_may_write_to_is_refused(filled: Cli) -> None:
    folder = filled.data / "embedded" / "sites"
    folder.mkdir(mode=0o700, parents=True)
    folder.chmod(0o777)

    refused(filled, "embedded/sites can be written to by everybody (its mode is 0777)")


def test_a_file_of_settings_that_everybody_may_write_to_is_refused(cli: Cli) -> None:
    secret, config = cli.folder / "secret", cli.folder / "bridge.yaml"
    secret.write_text("0123456789abcdef")
    config.write_text("log: {level: info}\n")
    secret.chmod(0o646)
    config.chmod(0o666)

    told = cli("config", "check", code=2).stderr
    assert "bridge.yaml can be written to by everybody (its mode is 0666)" in told
    assert "`chmod o-w bridge.yaml`" in told
    config.chmod(0o664)
    of_file = {"BRIDGE_DOKPLOY_API_KEY_FILE": str(secret)}
    told = cli("config", "check", code=2, **of_file).stderr
    assert "BRIDGE_DOKPLOY_API_KEY_FILE: " in told
    assert "secret can be written to by everybody (its mode is 0646)" in told


AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
STRANGER = 54_321


@AS_ROOT
@pytest.mark.parametrize("of_it", [".", "embedded"])
def test_a_data_folder_of_another_user_is_refused(filled: Cli, of_it: str) -> None:
    folder = filled.data / of_it
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, STRANGER, -1)

    shown = folder.relative_to(filled.folder)
    refused(filled, f"{shown} belongs to another user ({STRANGER})", f"`chown -R 0 {shown}`")
    os.chown(folder, 0, -1)
    filled("deliveries")


@AS_ROOT
def test_a_file_in_the_data_of_another_user_is_refused(filled: Cli) -> None:
    os.chown(filled.data / "inbox.sqlite", STRANGER, -1)

    refused(filled, f"inbox.sqlite belongs to another user ({STRANGER})")


@AS_ROOT
def test_a_folder_of_roots_is_taken_by_a_user_who_may_write_there(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Volumes belong to root, with a group that the container's user is in."""
    os.chown(filled.data, 0, os.getegid())
    filled.data.chmod(0o770)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)

    assert filled("config", "check").stdout == "ok\n"


@pytest.mark.parametrize("depth", [1, 2])
def test_a_data_folder_that_anybody_may_replace_is_refused(filled: Cli, depth: int) -> None:
    """Who may write to a parent can put another folder in its place; a link there hides it not."""
    data = filled.folder / "a" / "b" / "data"
    data.parent.mkdir(parents=True)
    filled.data.rename(data)
    filled.data.symlink_to(data)
    parent = data.parents[depth - 1]
    parent.chmod(0o777)

    refused(filled, f"{parent} can be written to by everybody", f"`chmod o-w {parent}`")
    parent.chmod(0o1777)  # as /tmp
    filled("deliveries")


def test_no_data_folder_is_made_where_anybody_may_replace_it(cli: Cli) -> None:
    parent = cli.folder / "open"
    parent.mkdir()
    parent.chmod(0o777)

    for command in (["serve", "--port", "0"], ["config", "check"]):
        told = cli(*command, code=2, BRIDGE_DATA=str(parent / "data")).stderr
        assert f"{parent} can be written to by everybody" in told
    assert not (parent / "data").exists()


@pytest.mark.parametrize(
    "name", ["inbox.sqlite", "journal.sqlite-wal", "lock", "secret.key", "embedded/api-key"]
)
def test_a_planted_link_is_refused_and_what_it_leads_to_untouched(filled: Cli, name: str) -> None:
    victim = filled.folder / "victim"
    victim.write_text("precious")
    link = filled.data / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(victim)

    refused(filled, f"{name} is a symbolic link")
    assert victim.read_text() == "precious"


def test_a_data_folder_may_be_a_link_itself(filled: Cli) -> None:
    filled.data.rename(filled.folder / "volume")
    filled.data.symlink_to("volume")

    assert len(filled.json("deliveries")) == 1


AWAY = {"BRIDGE_DOKPLOY_URL": "https://dokploy.example.com", "BRIDGE_DOKPLOY_API_KEY": "a-key"}
NO_FILE = ("REQUESTS_CA_BUNDLE", "/not/there.pem", "/not/there.pem (REQUESTS_CA_BUNDLE) can't be")
NO_PROXY = ("HTTPS_PROXY", "socks5://127.0.0.1:9", "write its address as http://")


@pytest.mark.parametrize(
    ("words", "code", "wrong"),
    [
        ("serve --port 0", 2, NO_FILE),
        ("config check --online", 1, NO_FILE),
        ("config check --online", 1, NO_PROXY),
    ],
)
def test_an_environment_in_which_nothing_can_be_asked_is_what_is_blamed(
    cli: Cli, words: str, code: int, wrong: tuple[str, str, str]
) -> None:
    variable, value, says = wrong

    told = cli(*words.split(), code=code, **AWAY, **{variable: value})

    assert says in told.stderr
    assert "Traceback" not in told.stderr
    assert "can't be reached" not in told.stderr
