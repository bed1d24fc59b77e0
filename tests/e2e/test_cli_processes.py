"""The command as a process of its own: what it imports, its pipes, and the folders it makes."""

import asyncio
import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.operations.every import OPERATIONS
from tests.worlds.certificates import certificate
from tests.worlds.cli import Cli, filled, filled_once
from tests.worlds.shell import Shell, serving

__all__ = ["filled", "filled_once"]

ROOT = Path(__file__).parents[2]


HEAVY = "aiohttp sqlalchemy dbos httpx pydantic yaml alembic psycopg"
LOADS = {
    "import bridge.cli.every;": HEAVY,
    "from bridge.cli.root import command_line;"
    "command_line('apps')(['apps'], standalone_mode=False);": (
        "psycopg dbos aiohttp httpx slack_bolt bridge.operations.hosting bridge.cli.demo"
    ),
    "import typer; from bridge.cli.completion import complete_app;"
    "from bridge.cli.every import app;"
    "assert complete_app(typer.Context(typer.main.get_command(app)), 'sh');": HEAVY,
}
"""What help, a command and a completion do, and the modules that they can do without."""


@pytest.mark.parametrize("does", LOADS, ids=["help", "a command", "completing"])
def test_a_command_loads_what_it_needs_alone(filled: Cli, does: str) -> None:
    script = (
        f"import sys; {does}"
        f"sys.exit(', '.join(m for m in {LOADS[does].split()!r} if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=filled.folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.strip() == ""


def test_what_a_command_offers_next_is_loaded_then() -> None:
    script = (
        "from bridge.operations.typed import written;"
        f"print([written(name, {{}}) for name in {[*reversed(OPERATIONS)]}])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""


@pytest.mark.parametrize(
    ("shell", "words"),
    [("bash", "dokploy-bridge why sh"), ("zsh", "dokploy-bridge logs sh"), ("fish", "x deploy sh")],
)
def test_the_shells_get_them_quickly(filled: Cli, shell: str, words: str) -> None:
    environment = {
        "PATH": "",
        "_DOKPLOY_BRIDGE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": "2",
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "PYTHONPATH": str(ROOT),
    }
    began = time.process_time()
    done = subprocess.run(
        [sys.executable, "-m", "bridge"],
        cwd=filled.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=10,
    )

    assert "shop/docs" in done.stdout
    assert "shop/web" in done.stdout
    assert done.stderr == ""
    assert time.process_time() - began < 1.0


def test_a_closed_pipe_is_quiet() -> None:
    shell = f"{sys.executable} -m bridge config schema | head -c 1"

    done = subprocess.run(["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("{", "")


def test_what_the_bridge_makes_nobody_else_may_write_to_whatever_is_set(tmp_path: Path) -> None:
    script = (
        f"umask 000; {sys.executable} -m bridge migrate && {sys.executable} -m bridge config check"
    )

    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"BRIDGE_DATA": "a/data", "PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == 0, done.stderr


# ── variables that are set, but empty ──────────────────────────────────────────────────────────


async def test_an_empty_variable_of_an_unknown_name_is_not_set_either(tmp_path: Path) -> None:
    shell = Shell(tmp_path, more={"BRIDGE_OF_ANOTHER_RELEASE": ""})

    assert await shell.run_apart("config", "check") == "ok\n"


async def test_an_empty_variable_for_certificates_is_not_passed_on_to_git(tmp_path: Path) -> None:
    """Git takes it for a file that can't be read, and then reaches no host at all."""
    pem, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)
    shell = Shell(tmp_path, more={"GIT_SSL_CAINFO": "", "SSL_CERT_FILE": ""})
    strange = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", 0, ssl=context)
    async with strange, serving(shell):
        port = strange.sockets[0].getsockname()[1]
        url = f"https://127.0.0.1:{port}/site.git"
        await shell.run_apart("app", "create", "web", "--repo", url, "--publish", ".")
        await shell.run_apart("deploy", "web", "--follow", code=3)
        log = await shell.run_apart("logs", "web")

    assert "certificate" in log
    assert "Problem with the SSL CA cert" not in log
