"""The bridge beside Dokploy: a process of its own, its webhooks and its command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.recording_backend import free_port
from tests.trial.dokploy import until
from tests.worlds.bridge import SECRET, TOKEN, hook_headers

ROOT = Path(__file__).parents[2]
READY_WITHIN = 60.0


@dataclass
class BridgeProcess:
    """`python -m bridge serve` with default settings on data of its own."""

    folder: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    running: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, **more: str) -> None:
        """Start it and wait until it is ready."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "serve.log").open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve"],
                cwd=self.folder,
                env=self.environment() | more,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._ready, READY_WITHIN, "the bridge is ready")

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def leave(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def restart(self, **more: str) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start(**more)

    def cli(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """Run a command on the same data."""
        return subprocess.run(
            [sys.executable, "-m", "bridge", *words],
            cwd=self.folder,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def json(self, *words: str, stdin: str = "") -> Any:
        """Return the JSON that a command prints.

        Raises:
            RuntimeError: the command failed.
        """
        done = self.cli(*words, "--json", stdin=stdin)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)}: {done.returncode} {done.stderr[-500:]}")
        return json.loads(done.stdout)

    def hook(self, host: str, payload: Mapping[str, Any], id_: str | None = None) -> str:
        """Deliver a signed webhook as a host does; return the delivery's id."""
        body = json.dumps(payload).encode()
        headers = hook_headers(host, payload, body, id_)
        url = f"{self.url}/hooks/{host}"
        answer = httpx.post(url, content=body, headers=headers, trust_env=False, timeout=20)
        if answer.status_code not in (200, 202):
            raise RuntimeError(f"{url}: {answer.status_code} {answer.text[:300]}")
        return str(answer.json()["delivery"])

    def environment(self) -> dict[str, str]:
        """Return the environment of its processes."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("BRIDGE_") and name not in ("DATABASE_URL", "PORT")
        }
        own = {
            "PYTHONPATH": str(ROOT),
            "BRIDGE_DATA": str(self.folder / "data"),
            "BRIDGE_PORT": str(self.port),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_GITLAB_WEBHOOK_TOKENS": TOKEN,
            "NO_COLOR": "1",
        }
        return inherited | own | dict(self.settings)

    def _ready(self) -> bool:
        assert self.running is not None
        if self.running.poll() is not None:
            log = (self.folder / "serve.log").read_text(errors="replace")
            raise RuntimeError(f"the bridge ended with {self.running.returncode}: {log[-800:]}")
        try:
            answer = httpx.get(f"{self.url}/readyz", trust_env=False, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def _end(self, how: signal.Signals) -> None:
        if self.running is not None and self.running.poll() is None:
            self.running.send_signal(how)
            self.running.wait(60)
