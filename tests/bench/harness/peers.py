"""Other receivers of webhooks, where `make bench-peers` has installed them.

Each reads a webhook, checks its signature, parses it and answers; none keeps it. `adnanh/webhook`
starts a command for each, which is what it is for.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.harness.servers import ROOT, Server, free_port, started
from tests.bench.harness.webhooks import SECRET

SCRIPTS = Path(__file__).parents[1] / "peers"
INSTALLED = Path(os.environ.get("BENCH_PEERS", ROOT / ".cache" / "peers"))
PYTHON = INSTALLED / "venv" / "bin" / "python"
MODULES = INSTALLED / "node_modules"
GO_WEBHOOK = INSTALLED / "webhook" / "usr" / "bin" / "webhook"

STATUS = {"@octokit/webhooks": 200, "Probot": 200, "adnanh/webhook": 200}
"""What a peer answers a good webhook with, where that is not 202."""


def installed() -> list[str]:
    """The peers that can be measured."""
    found = []
    if (MODULES / "@octokit" / "webhooks").exists():
        found.append("@octokit/webhooks")
    if (MODULES / "probot").exists():
        found.append("Probot")
    if PYTHON.exists():
        found += ["gidgethub", "FastAPI"]
    if _go_webhook():
        found.append("adnanh/webhook")
    return found


def _go_webhook() -> str | None:
    return str(GO_WEBHOOK) if GO_WEBHOOK.exists() else shutil.which("webhook")


def command(name: str, port: int, folder: Path) -> list[str]:
    """What starts a peer on a port."""
    if name in ("gidgethub", "FastAPI"):
        return [str(PYTHON), str(SCRIPTS / f"{name.lower()}_peer.py"), str(port)]
    if name in ("Probot", "@octokit/webhooks"):
        # Modules are looked for beside the script, so it has to stand beside them.
        script = {"Probot": "probot.mjs", "@octokit/webhooks": "octokit.mjs"}[name]
        shutil.copy(SCRIPTS / script, INSTALLED / script)
        return ["node", str(INSTALLED / script), str(port)]
    hooks = folder / "webhook.json"
    rule = {"type": "payload-hmac-sha256", "secret": SECRET}
    parameter = {"source": "header", "name": "X-Hub-Signature-256"}
    hooks.write_text(
        json.dumps(
            [
                {
                    "id": "github",
                    "execute-command": shutil.which("true"),
                    "trigger-rule": {"match": rule | {"parameter": parameter}},
                }
            ]
        )
    )
    program = _go_webhook()
    assert program is not None
    where = ["-ip", "127.0.0.1", "-port", str(port), "-urlprefix", "hooks"]
    return [program, "-hooks", str(hooks), *where]


@contextmanager
def peer(name: str, folder: Path) -> Iterator[Server]:
    """A running peer."""
    port = free_port()
    log = folder / f"{name.replace('/', '-').strip('@')}.log"
    environment = {"SECRET": SECRET, "NODE_ENV": "production"}
    given = command(name, port, folder)
    with started(name, given, port=port, log=log, environment=environment) as server:
        yield server
