"""The command as a whole: help, version, exit codes, speed."""

import os
import subprocess
import sys

import pytest

from bridge import __version__
from bridge.cli.context import exit_code_of
from bridge.cli.root import EVERYDAY
from bridge.core.errors import BadSignature, NotFound, Refused, Rejected, Unanswered, Unreachable
from tests.worlds.cli import Cli


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


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["app", "list"], "did you mean `dokploy-bridge apps`?"),
        (["lock", "everything", "-m", "an incident"], "did you mean all?"),
        (["deployment"], "Did you mean 'deployments'"),
    ],
)
def test_what_was_meant_is_suggested(filled: Cli, words: list[str], meant: str) -> None:
    assert meant in filled(*words, code=2).stderr


def test_help_begins_with_what_is_used_every_day(cli: Cli) -> None:
    shown = cli("--help").stdout
    panels = [line.strip("╭─╮ ") for line in shown.splitlines() if line.startswith("╭")]
    assert panels[:3] == ["Options", "Every day", "Start"]
    everyday = shown.partition("Every day")[2].partition("Start")[0]
    assert [name for name in EVERYDAY if f"│ {name} " not in everyday] == []


@pytest.mark.parametrize("words", [[], ["lock"], ["app", "create"]])
def test_help_has_a_short_name(cli: Cli, words: list[str]) -> None:
    assert cli(*words, "-h").stdout == cli(*words, "--help").stdout


def test_a_reason_is_asked_for_on_a_terminal(filled: Cli) -> None:
    ours, theirs = os.openpty()
    os.write(ours, b"a migration runs\n")
    command = [sys.executable, "-m", "bridge", "lock", "shop/web"]
    environment = os.environ | {"BRIDGE_DATA": str(filled.data)}

    done = subprocess.run(
        command, stdin=theirs, env=environment, capture_output=True, text=True, check=False
    )

    os.close(ours)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Reason: ")
    assert [one["reason"] for one in filled.json("locks")] == ["a migration runs"]


@pytest.mark.parametrize("role", ["web", "worker"])
def test_a_role_of_its_own_needs_postgres_and_a_backend_that_all_reach(
    cli: Cli, role: str, empty_postgres: str
) -> None:
    assert "DATABASE_URL" in cli("serve", "--role", role, code=2).stderr

    refused = cli("serve", "--role", role, code=2, DATABASE_URL=empty_postgres)

    assert "BRIDGE_DOKPLOY_URL" in refused.stderr


@pytest.mark.parametrize("command", [["serve"], ["migrate"], ["deliveries"], ["deploy", "web"]])
def test_a_postgres_that_is_away_is_a_sentence_without_the_password(
    cli: Cli, command: list[str]
) -> None:
    result = cli(*command, code=2, DATABASE_URL="postgres://u:hunter2@127.0.0.1:1/d")

    assert "the database of DATABASE_URL can't be used" in result.stderr
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


def test_data_that_everybody_may_write_to_is_refused(filled: Cli) -> None:
    filled.data.chmod(0o777)

    refused(filled, ".bridge can be written to by everybody")
    filled.data.chmod(0o700)
    filled("deliveries")
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
def test_data_of_another_user_or_of_a_group_that_is_not_ours_is_refused(filled: Cli) -> None:
    os.chown(filled.data, -1, STRANGER)
    filled.data.chmod(0o770)
    refused(filled, "can be written to by a group that the bridge is not in")
    os.chown(filled.data, -1, os.getegid())
    filled("deliveries")

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
