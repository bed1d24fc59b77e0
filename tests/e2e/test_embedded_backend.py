"""The embedded backend through the client that the bridge has for it, and its documentation."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.core.errors import Unreachable
from bridge.embedded.http.api import MOST_IN_A_BATCH
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import Progress
from tests.worlds.embedded import Maker, maker_of, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(tmp_path / "data") as server:
        yield server


@pytest.fixture
async def backend(server: EmbeddedServer) -> AsyncIterator[Maker]:
    async with maker_of(server, "here") as backend:
        yield backend


@pytest.mark.parametrize("step", ["jobs", "finish"])
@pytest.mark.parametrize(
    ("error", "traced"),
    [(sqlite3.OperationalError("database or disk is full"), False), (KeyError("a bug"), True)],
)
async def test_whatever_fails_once_is_tried_again_and_only_a_bug_leaves_its_trace(
    server: EmbeddedServer,
    backend: Maker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
    error: Exception,
    traced: bool,
) -> None:
    history = server.parts.history
    working = getattr(history, step)

    async def fails_once(*given: Any, **named: Any) -> Any:
        monkeypatch.setattr(history, step, working)
        raise error

    monkeypatch.setattr("bridge.embedded.building.queue._RETRY_SECONDS", 0.01)
    app = await backend.create_app("web", project="shop")
    monkeypatch.setattr(history, step, fails_once)
    await backend.deploy(app, title="t", description="d")
    await until(
        lambda: backend.deployments(app), lambda all_: all_ and all_[0].status is Progress.ERROR
    )

    (told,) = [one for one in caplog.records if one.name.endswith("building.queue")]
    assert str(error) == told.__dict__["why"]
    assert bool(told.exc_info) is traced


async def test_other_users_can_not_read_the_records(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path):
        files = await asyncio.to_thread(lambda: list(tmp_path.glob("embedded.db*")))

        assert files
        assert {oct(one.stat().st_mode & 0o077) for one in files} == {"0o0"}


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_full_disk_has_done_nothing_so_that_clients_ask_again(
    server: EmbeddedServer, backend: Maker, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    app = await backend.create_app("web", project="shop")
    history = server.parts.history

    async def full(*_: Any, **__: Any) -> Any:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(history, "ask" if method == "POST" else "of", full)
    asked = (
        backend.deploy(app, title="t", description="d")
        if method == "POST"
        else backend.deployments(app)
    )

    with pytest.raises(Unreachable, match="can't use its own disk now") as away:
        await asked
    assert away.value.retry_after == 1


async def test_a_batch_says_of_each_query_why_it_failed(backend: Maker) -> None:
    app = await backend.create_app("web", project="shop")
    names = "application.one,application.one,application.one,application.delete,no.such"
    asked = [{"applicationId": app.id}, {"applicationId": "gone"}, {"applicationId": 1}, {}, {}]
    inputs = {str(at): {"json": one} for at, one in enumerate(asked)}
    http = backend.client.http
    query = {"batch": "1", "input": json.dumps(inputs)}

    answer = await http.get(f"/api/trpc/{names}", params=query)
    refused = await http.get(f"/api/trpc/{names}", params=query, headers={"x-api-key": "no"})
    garbled = await http.get(f"/api/trpc/{names}", params=query | {"input": "{"})
    longest = ",".join(["settings.health"] * (MOST_IN_A_BATCH + 1))
    too_many = await http.get(f"/api/trpc/{longest}", params=query)

    assert answer.status_code == 207
    first, *others = answer.json()
    assert first["result"]["data"]["json"]["name"] == "web"
    assert [one["error"]["json"]["data"]["httpStatus"] for one in others] == [404, 400, 404, 404]
    assert [one.status_code for one in (refused, garbled, too_many)] == [401, 400, 404]


async def test_the_health_of_its_database_is_told_without_a_key(server: EmbeddedServer) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        answer = await http.get("/api/trpc/settings.health")

    assert answer.json() == {"result": {"data": {"json": {"status": "ok"}}}}
