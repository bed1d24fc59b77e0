"""A log is followed until its deployment has ended, each line once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.app.storage import Stores
from bridge.cli.build_logs import followed
from bridge.core.lifecycle import State
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.ports.backends import BackendDeployment, Progress
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.cli import WEB, Cli

LOG = [f"step {number}" for number in range(1, 6)]


class Growing(FakeBackend):
    """A backend whose log has a line more each second."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        began = deployment.started_at or 0.0
        written = LOG[: int(self.clock() - began) + 1]
        return "".join(f"{line}\n" for line in written[-lines:])


async def test_every_line_is_told_once(journal: SqlJournal, clock: ManualClock) -> None:
    backend = Growing(clock, waits=0.0, builds=4.5)
    await backend.deploy(app(), title="t", description="d")
    clock.now += 1.0
    (newest,) = await backend.deployments(app())
    told: list[str] = []

    logs = BuildLogs({"dokploy": backend}, journal)
    first = await logs.text(app(), newest, 9)
    ended, whole = await followed(logs, app(), newest, tuple(first), told.extend, clock.sleep)

    assert first + told == [*whole] == LOG
    assert ended.status is Progress.DONE


async def test_a_deployment_that_is_not_kept_any_more_ends_it(
    journal: SqlJournal, clock: ManualClock
) -> None:
    backend = Growing(clock, waits=0.0)
    await backend.deploy(app(), title="t", description="d")
    (newest,) = await backend.deployments(app())
    clock.after(2.0, backend.jobs.clear)

    logs = BuildLogs({"dokploy": backend}, journal)
    ended, whole = await followed(logs, app(), newest, (), None, clock.sleep)

    assert ended == newest
    assert [*whole] == LOG[: len(whole)]
    assert clock.slept


@pytest.fixture
def backend(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> FakeBackend:
    """The one that commands ask."""
    made = FakeBackend(clock, waits=0.0, variables="GREETING=Tr0ub4dor+3")

    @asynccontextmanager
    async def backends_of(_settings: Any) -> AsyncIterator[Any]:
        yield {"dokploy": made}

    monkeypatch.setattr("bridge.cli.operations.backends_of", backends_of)
    return made


def test_what_was_kept_is_shown_where_the_backend_has_forgotten_or_the_app_is_gone(
    filled: Cli, backend: FakeBackend
) -> None:
    async def fail(stores: Stores) -> None:
        facts = {"log_tail": "step 1\nfatal: gone", "backend_id": "dep_1"}
        await stores.journal.move("0000000000000001.app_web", State.FAILED, "no", **facts)

    told = filled("logs", "web", "-d", "1", code=4).stderr
    assert "no log of deployment 1 of shop/web: the backend never" in told
    filled.with_stores(fail)
    assert filled("logs", "web", "-d", "1", "-n", "1").stdout == "fatal: gone\n"
    told = filled("logs", "web", "-d", "2", code=4).stderr
    assert "shop/web has no deployment '2'; `dokploy-bridge deploym" in told

    filled.with_stores(lambda stores: stores.journal.renew_apps([], gone=[WEB.id]))
    for name in ("1", "dep_1", "#1"):
        shown = filled("logs", "shop/web", "--deployment", name, "--lines", "1").stdout
        assert shown == "fatal: gone\n"
    assert "is gone from the backend" in filled("logs", "web", "-d", "7", code=4).stderr


def test_logs_masks_as_the_console_does_and_shows_all_only_if_asked(
    filled: Cli, backend: FakeBackend, clock: ManualClock
) -> None:
    tokens: dict[str, Any] = {
        "BRIDGE_DOKPLOY_URL": "http://localhost:1",
        "BRIDGE_DOKPLOY_API_KEY": "our-own-k3y",
    }
    backend.log = "it says Tr0ub4dor+3\nDB_PASS=hunter2 is our-own-k3y\n"
    asyncio.run(backend.deploy(WEB, title="t", description="d"))
    clock.now += 60
    masked, raw = ["it says ***", "DB_PASS=*** is ***"], backend.log.splitlines()

    assert filled("logs", "shop/web", **tokens).stdout.splitlines() == masked
    assert filled("logs", "shop/web", "--follow", **tokens).stdout.splitlines() == masked
    assert filled.json("logs", "shop/web", **tokens)["log"] == masked
    assert filled("logs", "shop/web", "--raw", **tokens).stdout.splitlines() == raw
    assert filled.json("logs", "shop/web", "--raw", **tokens)["log"] == raw
