"""A command line to call, in a folder of its own, and data for it to show."""

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer import testing
from typer.testing import CliRunner, Result

from bridge.app.storage import Stores, open_stores
from bridge.cli.every import app
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import PUSH
from bridge.ports.inbox import DeliveryState, Finished, NewDelivery
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.settings import read_settings

GUID = "11111111-2222-3333-4444-555555555555"
SHA = "a" * 40
RECEIVED = 1_767_225_600.25
WEB = App(
    "app_web",
    "web",
    "shop",
    source=Source(SourceType.GITHUB, repository="my-org/mono", branch="main"),
    watch_paths=("web/**",),
    auto_deploy=True,
)
DOCS = App(
    "app_docs",
    "docs",
    "shop",
    source=Source(SourceType.GITHUB, repository="my-org/mono", branch="main"),
    watch_paths=("docs/**",),
)

# The runner puts all commands together for each call, which takes longer than most of them run.
testing._get_command = cache(testing._get_command)  # type: ignore[attr-defined]


class Cli:
    """Calls commands as a shell would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / ".bridge"

    def __call__(self, *words: str, code: int = 0, **environment: str) -> Result:
        result = CliRunner().invoke(app, list(words), env=environment)
        assert result.exit_code == code, (result.output, result.stderr, result.exception)
        assert "Traceback" not in result.output + result.stderr
        return result

    def json(self, *words: str, **environment: str) -> Any:
        return json.loads(self(*words, "--json", code=0, **environment).stdout)

    def with_stores(self, work: Callable[[Stores], Any]) -> Any:
        """Do something with the stores, as a bridge would."""

        async def run() -> Any:
            async with open_stores(read_settings(None, {})) as stores:
                return await work(stores)

        return asyncio.run(run())


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line in an empty folder, without settings from outside."""
    import os

    for name in [*os.environ]:
        if name.startswith("BRIDGE_") or name in ("PORT", "DATABASE_URL"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    with logs_kept():
        yield Cli(tmp_path)


@contextmanager
def logs_kept() -> Iterator[None]:
    """A command may turn the logs down for the rest of its process; here they come back."""
    loggers = [logging.getLogger(), logging.getLogger("bridge")]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers


@pytest.fixture
def filled(cli: Cli, filled_once: Path) -> Cli:
    """With two apps, and a push that deploys one of them and skips the other."""
    shutil.copytree(filled_once, cli.data)
    return cli


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such data to copy: making the tables takes longer than most tests."""
    data = tmp_path_factory.mktemp("filled") / ".bridge"

    async def run() -> None:
        async with open_stores(read_settings(None, {"BRIDGE_DATA": str(data)})) as stores:
            await fill(stores)

    asyncio.run(run())
    return data


async def fill(stores: Stores) -> None:
    body = json.dumps(push()).encode()
    kept = await stores.inbox.keep(NewDelivery("github", GUID, "push", {}, body, RECEIVED))
    await stores.journal.save_apps("dokploy", [WEB, DOCS])
    deployment = Deployment(
        id=f"{kept.seq:016d}.app_web",
        seq=kept.seq,
        delivery=GUID,
        app_id=WEB.id,
        app=WEB.label,
        action=Action.DEPLOY,
        origin=PUSH,
        state=State.WAITING,
        created_at=RECEIVED,
        ref="refs/heads/main",
        commit=SHA,
        note="waits for its turn",
    )
    decisions = (
        Decision(WEB.id, WEB.label, Reason.PATH_HIT, "web/index.html matches web/**"),
        Decision(DOCS.id, DOCS.label, Reason.NO_PATH_HIT, "1 file changed, none matches docs/**"),
    )
    seen = PushSeen("github 4711 refs/heads/main", "b" * 40, SHA)
    outcome = Outcome(kept.seq, GUID, decisions, (deployment,), seen)
    await stores.journal.record([outcome], window=600)
    decided = Finished(kept.seq, "github", GUID, DeliveryState.DECIDED)
    await stores.inbox.finish([decided])


def push(**others: Any) -> dict[str, Any]:
    commit = {"id": SHA, "message": "feat: page", "added": [], "removed": []}
    commit["modified"] = ["web/index.html"]
    return {
        "ref": "refs/heads/main",
        "before": "b" * 40,
        "after": SHA,
        "repository": {"id": 4711, "name": "mono", "full_name": "my-org/mono"},
        "head_commit": commit,
        "commits": [commit],
        "pusher": {"name": "ada"},
    } | others
