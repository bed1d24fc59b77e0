"""The command as a whole: help, version, exit codes, speed."""

import subprocess
import sys
from pathlib import Path

import pytest

from bridge import __version__
from bridge.cli.exits import exit_code_of
from bridge.core.errors import BadSignature, NotFound, Refused, Rejected, Unanswered, Unreachable
from tests.unit.cli.conftest import Cli

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


def test_postgres_is_refused_in_a_sentence(cli: Cli) -> None:
    result = cli("serve", code=2, DATABASE_URL="postgres://u:hunter2@h/d")

    assert "DATABASE_URL is set, but" in result.stderr
    assert "hunter2" not in result.stderr


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


def test_help_and_version_import_nothing_heavy() -> None:
    heavy = "aiohttp sqlalchemy dbos httpx pydantic yaml alembic"
    script = (
        "import sys; import bridge.cli.root;"
        f"sys.exit(', '.join(m for m in {heavy.split()!r} if m in sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stderr.strip() == ""


def test_a_closed_pipe_is_quiet() -> None:
    shell = f"{sys.executable} -m bridge config schema | head -c 1"

    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("{", "")
