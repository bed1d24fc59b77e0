"""The embedded backend through the client that the bridge has for it, and its documentation."""

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bridge.core.apps import SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
)
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.embedded.http.api import MOST_IN_A_BATCH, PROCEDURES
from bridge.embedded.server import EmbeddedServer
from bridge.embedded.storage.paths import undivided
from bridge.ports.backends import Backend, Configures, Progress
from tests.worlds.embedded import Maker, Repository, add_github, maker_of, until

STATIC = BuildType(build_type="static")
GIT_NOWHERE = GitSource(url="file:///no/such/repository", branch="main")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer(tmp_path / "data") as server:
        yield server


@pytest.fixture
async def backend(server: EmbeddedServer) -> AsyncIterator[Maker]:
    async with maker_of(server, "here") as backend:
        yield backend


async def test_an_app_is_made_deployed_and_deleted(backend: Maker, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    source = GitSource(url=repository.url, branch="main", watch_paths=("src/**",))

    app = await backend.create_app("web", project="shop", source=source, build=STATIC)
    again = await backend.create_app("api", project="shop")
    await backend.deploy(app, title="t", description="d")
    found = await until(
        lambda: backend.deployments(app), lambda all_: all_ and all_[0].status is Progress.DONE
    )

    assert isinstance(backend, Configures)
    as_port: Backend = backend
    assert as_port.name == app.backend == "here"
    assert (app.label, again.label) == ("shop/web", "shop/api")
    assert app.watch_paths == ("src/**",)
    assert len(found[0].commit or "") == 40
    page = await backend.client.http.get(await backend.site_url(app))
    assert page.text == "<h1>first</h1>"

    await backend.delete_app(app)

    assert [one.name for one in await backend.apps()] == ["api"]
    with pytest.raises(NotFound):
        await backend.app(app.id)
    with pytest.raises(Refused) as refused:
        await backend.deploy(app, title="", description="")
    assert refused.value.status == 404


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


async def test_every_kind_of_source_is_kept(backend: Maker, server: EmbeddedServer) -> None:
    github = (await add_github(server.parts, "gh", "https://github.com"))["githubId"]
    made = {"name": "gl", "authId": "x", "gitlabUrl": "https://git.example.com"}
    await backend.client.ask("POST", "gitlab.create", **made)
    (gitlab,) = [one.id for one in await backend.pickers.git_providers() if one.id != github]
    sources: list[GithubSource | GitlabSource | GitSource | DockerSource] = [
        GithubSource(
            owner="o", repository="r", branch="main", provider_id=github, trigger=Trigger.TAG
        ),
        GitlabSource(
            owner="g",
            repository="p",
            branch="main",
            provider_id=gitlab,
            project_id=7,
            path="g/s/p",
        ),
        GitSource(url="git@host:o/r.git", branch="main"),
        DockerSource(image="nginx:1.27", username="ada", password=SecretStr("pw")),
    ]

    apps = [
        await backend.create_app(str(number), project="shop", source=source)
        for number, source in enumerate(sources)
    ]

    kept = [app.source for app in apps]
    assert [one and one.type for one in kept] == [
        SourceType.GITHUB,
        SourceType.GITLAB,
        SourceType.GIT,
        SourceType.DOCKER,
    ]
    assert kept[1] is not None
    assert (kept[1].repository, kept[1].repository_id) == ("g/s/p", "7")
    assert kept[2] is not None
    assert kept[2].url == "host/o/r"
    assert apps[0].trigger is Trigger.TAG
    await backend.disconnect_provider(apps[0])
    assert (await backend.app(apps[0].id)).source is None


async def test_a_refusal_says_why(backend: Maker) -> None:
    app = await backend.create_app("web", project="shop")
    source = GithubSource(
        owner="o", repository="r", branch="main", provider_id="zz", trigger=Trigger.PUSH
    )

    with pytest.raises(Refused, match="Github Provider not found"):
        await backend.save_provider(app, source)
    with pytest.raises(Refused, match="name: Too small"):
        await backend.create_project("")
    with pytest.raises(Refused, match="No deployment of this application is running"):
        await backend.cancel(app)


async def test_the_environment_is_kept(backend: Maker, server: EmbeddedServer) -> None:
    environment = Environment(env=SecretStr("A=1"), build_secrets=SecretStr("S=2"))

    app = await backend.create_app("web", project="shop", environment=environment)

    record = await server.parts.catalog.application(app.id)
    assert record is not None
    assert (record["env"], record["buildArgs"], record["buildSecrets"]) == ("A=1", None, "S=2")


async def test_a_stopped_server_is_unreachable_and_starts_again(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    await server.start()
    async with maker_of(server) as backend:
        await backend.create_app("web", project="shop")
        assert await backend.healthy()
        await server.stop()

        assert not await backend.healthy()
        with pytest.raises(Unreachable):
            await backend.apps()

    async with server, maker_of(server) as backend:
        assert [app.name for app in await backend.apps()] == ["web"]


async def test_the_rest_of_a_killed_build_is_swept(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server, maker_of(server) as backend:
        app = await backend.create_app("web", project="shop")
    folder = tmp_path / "applications" / app.id
    left = folder / "build-abc" / "secret-TOKEN"
    left.parent.mkdir(parents=True)
    left.touch()
    (folder / "code").mkdir()

    async with EmbeddedServer(tmp_path):
        pass

    assert [one.name for one in folder.iterdir()] == ["code"]


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


async def test_many_apps_are_read_by_one_request(backend: Maker) -> None:
    known = [await backend.create_app(name, project="shop") for name in ("web", "api", "old")]
    await backend.delete_app(known[2])

    found = await backend.read_apps(known)

    assert found == known[:2]
    assert backend.apps_per_request > 1  # it was not found to answer one by one only


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


async def test_answers_are_dated_by_the_clock_of_the_records(tmp_path: Path) -> None:
    ahead = 3600.0
    async with (
        EmbeddedServer(tmp_path, clock=lambda: time.time() + ahead) as server,
        maker_of(server) as backend,
    ):
        app = await backend.create_app("web", project="shop", source=GIT_NOWHERE)
        before = time.time()
        await backend.deploy(app, title="t", description="d")
        (record,) = await until(lambda: backend.deployments(app), bool)

    known = backend.clock_ahead(before)
    assert known is not None
    assert ahead - 2 < known <= ahead
    assert record.created_at >= before + known


# ── Documentation ────────────────────────────────────────────────────────────


async def test_the_api_describes_itself(server: EmbeddedServer) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        description = (await http.get("/api/openapi.json")).json()
        page = await http.get("/docs")

    described = {path.removeprefix("/") for path in description["paths"]}
    assert described == PROCEDURES.keys() | {"health"}
    assert all(
        operation["summary"]
        for methods in description["paths"].values()
        for operation in methods.values()
    )
    schemas = description["components"]["schemas"]
    assert schemas["GitProvider"]["required"] == [
        "applicationId",
        "customGitBuildPath",
        "customGitUrl",
        "watchPaths",
        "customGitBranch",
    ]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


# ── Threads and cancellation ─────────────────────────────────────────────────


async def test_a_cancellation_waits_for_its_thread() -> None:
    started, stop, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        assert stop.wait(10)
        ended.set()

    task = asyncio.create_task(undivided(work, on_cancel=stop.set))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended.is_set()
