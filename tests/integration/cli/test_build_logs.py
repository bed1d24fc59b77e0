"""A log is followed until its deployment has ended, each line once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.app.storage import Stores, open_stores
from bridge.cli import build_logs
from bridge.cli.build_logs import followed
from bridge.core.errors import NotFound
from bridge.core.lifecycle import State
from bridge.ports.backends import BackendDeployment, Progress
from bridge.settings import read_settings
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.cli import WEB, Cli

LOG = [f"step {number}" for number in range(1, 6)]


class Growing(FakeBackend):
    """A backend whose log has a line more each second."""

    async def log_tail(self, deployment: BackendDeployment, lines: int) -> str:
        began = deployment.started_at or 0.0
        written = LOG[: int(self.clock() - began) + 1]
        return "".join(f"{line}\n" for line in written[-lines:])


async def test_every_line_is_told_once() -> None:
    clock = ManualClock()
    backend = Growing(clock, waits=0.0, builds=4.5)
    await backend.deploy(app(), title="t", description="d")
    clock.now += 1.0
    (newest,) = await backend.deployments(app())
    told: list[str] = []

    first = await backend.log_tail(newest, 9)
    ended, whole = await followed(backend, app(), newest, first, told.extend, clock.sleep)

    assert first.splitlines() + told == whole.splitlines() == LOG
    assert ended.status is Progress.DONE


async def test_a_deployment_that_is_not_kept_any_more_ends_it() -> None:
    clock = ManualClock()
    backend = Growing(clock, waits=0.0)
    await backend.deploy(app(), title="t", description="d")
    (newest,) = await backend.deployments(app())
    clock.after(2.0, backend.jobs.clear)

    ended, whole = await followed(backend, app(), newest, "", None, clock.sleep)

    assert ended == newest
    assert whole.splitlines() == LOG[: len(whole.splitlines())]
    assert clock.slept


async def test_a_log_that_the_backend_has_forgotten_is_shown_as_far_as_it_was_kept(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = FakeBackend(ManualClock())

    @asynccontextmanager
    async def reached(settings: Any, name: str) -> AsyncIterator[Any]:
        async with open_stores(settings) as stores:
            yield SimpleNamespace(stores=stores, backend=backend, app=WEB)

    monkeypatch.setattr(build_logs, "reached", reached)
    settings = read_settings(None, {})
    wanted = build_logs.Wanted("web", "1", 1, follow=False, json=False)

    with pytest.raises(NotFound, match="no log of deployment 1 of shop/web: the backend never"):
        await build_logs._shown(settings, wanted)
    async with open_stores(settings) as stores:
        id_ = "0000000000000001.app_web"
        facts = {"log_tail": "step 1\nfatal: gone", "backend_id": "dep_1"}
        await stores.journal.move(id_, State.FAILED, "no", **facts)
    assert await build_logs._shown(settings, wanted) == 0
    with pytest.raises(NotFound, match="shop/web has no deployment '2'; `dokploy-bridge deploym"):
        await build_logs._shown(settings, replace(wanted, deployment="2"))


def test_only_the_end_that_was_asked_for_is_shown_of_a_deleted_app(filled: Cli) -> None:
    async def go(stores: Stores) -> None:
        facts = {"log_tail": "step 1\nfatal: gone", "backend_id": "dep_1"}
        await stores.journal.move("0000000000000001.app_web", State.FAILED, "no", **facts)
        await stores.journal.renew_apps([], gone=[WEB.id])

    filled.with_stores(go)

    for name in ("1", "dep_1", "#1"):
        shown = filled("logs", "shop/web", "--deployment", name, "--lines", "1").stdout
        assert shown == "fatal: gone\n"
    assert "is gone from the backend" in filled("logs", "web", "-d", "7", code=4).stderr


def test_logs_masks_as_the_console_does_and_shows_all_only_if_asked(
    filled: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens: dict[str, Any] = {
        "BRIDGE_DOKPLOY_URL": "http://localhost:1",
        "BRIDGE_DOKPLOY_API_KEY": "our-own-k3y",
    }
    clock = ManualClock()
    backend = FakeBackend(clock, waits=0.0, variables="GREETING=Tr0ub4dor+3")
    backend.log = "it says Tr0ub4dor+3\nDB_PASS=hunter2 is our-own-k3y\n"
    asyncio.run(backend.deploy(WEB, title="t", description="d"))
    clock.now += 60

    @asynccontextmanager
    async def reached(settings: Any, _name: str) -> AsyncIterator[Any]:
        async with open_stores(settings) as stores:
            yield SimpleNamespace(stores=stores, backend=backend, app=WEB)

    monkeypatch.setattr(build_logs, "reached", reached)
    masked, raw = ["it says ***", "DB_PASS=*** is ***"], backend.log.splitlines()

    assert filled("logs", "shop/web", **tokens).stdout.splitlines() == masked
    assert filled("logs", "shop/web", "--follow", **tokens).stdout.splitlines() == masked
    assert filled.json("logs", "shop/web", **tokens)["log"] == masked
    assert filled("logs", "shop/web", "--raw", **tokens).stdout.splitlines() == raw
    assert filled.json("logs", "shop/web", "--raw", **tokens)["log"] == raw
