"""The command line as a person uses it: commands and processes with one data directory."""

import asyncio
import hashlib
import hmac
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, chdir
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import httpx
from typer.testing import CliRunner, Result

from bridge.cli.every import app
from tests.worlds.cli import logs_kept
from tests.worlds.embedded import Repository, until
from tests.worlds.processes import PIPE, Running, start_bridge

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the tests"
PATIENCE = 30.0
ONE_AT_A_TIME = Lock()
"""For commands in this process: its folder, variables and streams are theirs meanwhile."""


@dataclass
class Shell:
    """Runs commands with one data directory.

    Attributes:
        release: where processes import the bridge from; "": they are forked, which is quicker.
    """

    folder: Path
    url: str = ""
    more: dict[str, str] = field(default_factory=dict)
    release: str = ""

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
        port = (self.folder / "port").read_text() if (self.folder / "port").exists() else "0"
        return kept | {
            "PYTHONPATH": self.release or str(ROOT),
            "BRIDGE_DATA": str(self.folder / "data"),
            "BRIDGE_EMBEDDED_PORT": port,
            "BRIDGE_EMBEDDED_SITES_PORT": "0",
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "PORT": "0",
            **self.more,
        }

    async def start(self, *words: str) -> Running:
        how: dict[str, Any] = {"cwd": self.folder, "env": self.environment}
        how |= {"stdout": PIPE, "stderr": PIPE}
        if not self.release:
            return await start_bridge(*words, **how)
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "bridge", *words, **how)

    async def run(self, *words: str, code: int = 0) -> str:
        """Run a command in this process; see `command`."""
        done = await command(words, self.folder, self.environment)
        assert done.exit_code == code, (words, done.stdout, done.stderr, done.exception)
        assert "Traceback" not in done.stderr
        return done.stdout

    async def run_apart(self, *words: str, code: int = 0) -> str:
        """Run a command as a process of its own."""
        process = await self.start(*words)
        async with asyncio.timeout(PATIENCE):
            output, errors = await process.communicate()
        assert process.returncode == code, (words, output.decode(), errors.decode())
        assert b"Traceback" not in errors
        return output.decode()

    async def json(self, *words: str) -> Any:
        return json.loads(await self.run(*words, "--json"))

    async def until(self, *words: str, fits: Any) -> Any:
        return await until(lambda: self.json(*words), fits, patience=PATIENCE)


async def command(words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Result:
    """Run a command in this process, as one of its own would mostly import Python modules."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Result] = loop.create_future()
    outside = dict.fromkeys(name for name in os.environ if name.startswith("BRIDGE_"))

    def find() -> None:
        with ONE_AT_A_TIME, chdir(folder), logs_kept():
            done = CliRunner().invoke(app, words, env={**outside, **environment})
        loop.call_soon_threadsafe(found.set_result, done)

    Thread(target=find, daemon=True).start()  # so that none that hangs is waited for
    async with asyncio.timeout(PATIENCE):
        return await found


async def event(process: Running, name: str) -> dict[str, Any]:
    """Wait for the log line with that event; return it."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stderr.readline():
            found: dict[str, Any] = json.loads(line)
            if found["event"] == name:
                return found
    raise AssertionError(f"it ended without saying {name!r}")


async def told(process: Running, words: str) -> str:
    """Wait for an event that starts with these words; return it."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE):
        while line := await process.stderr.readline():
            if str(said := json.loads(line)["event"]).startswith(words):
                return str(said)
    raise AssertionError(f"it ended without saying {words!r}")


@asynccontextmanager
async def serving(shell: Shell) -> AsyncIterator[Shell]:
    process = await shell.start("serve")
    try:
        started = await event(process, "serving")
        shell.url = started["url"]
        (shell.folder / "port").write_text(started["backend"].rpartition(":")[2])
        yield shell
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
        assert (process.returncode, output) == (0, b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def deliver(shell: Shell, repository: Repository, before: str, file: str) -> str:
    after = repository.git("rev-parse", "HEAD")
    commit = {"id": after, "message": "x", "added": [file], "removed": [], "modified": []}
    payload = {
        "ref": "refs/heads/main",
        "before": before,
        "after": after,
        "repository": {
            "id": 1,
            "name": "mono",
            "full_name": "my-org/mono",
            "clone_url": repository.url,
        },
        "head_commit": commit,
        "commits": [commit],
    }
    body = json.dumps(payload).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": hashlib.md5(body).hexdigest(),
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
        answer = await http.post(f"{shell.url}/hooks/github", content=body, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["delivery"])
