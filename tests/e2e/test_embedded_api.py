"""The embedded server's API at its edges: keys, broken requests, projects and applications."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.core.errors import Rejected
from bridge.embedded.server import EmbeddedServer
from tests.worlds.embedded import Client, Repository, running_server

DEPLOY = "/api/application.deploy"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


# ── Who may ask ──────────────────────────────────────────────────────────────


@pytest.mark.journey
async def test_nobody_gets_in_without_the_key(client: Client) -> None:
    keys = ("", "nope", "schl\u00fcssel".encode())
    logins = ("Bearer nope", "Basic bm9wZTo=")
    tried: list[dict[str, Any]] = [{}]
    tried += [*({"x-api-key": key} for key in keys), *({"Authorization": one} for one in logins)]
    async with httpx.AsyncClient(base_url=client.server.url, trust_env=False) as http:
        for headers in tried:
            answer = await http.get("/api/project.all", headers=headers)

            assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


@pytest.mark.journey
async def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        first = server.api_key
    async with EmbeddedServer(tmp_path) as server:
        second = server.api_key
    async with EmbeddedServer(tmp_path, api_key="given") as server:
        given = server.api_key

    assert first == second != given == "given"
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o600


async def test_an_empty_key_file_does_not_let_everybody_in(tmp_path: Path) -> None:
    (tmp_path / "api-key").touch()

    async with EmbeddedServer(tmp_path) as server:
        assert server.api_key


async def test_a_data_directory_has_one_server_at_a_time(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path):
        with pytest.raises(Rejected, match="another embedded backend"):
            await EmbeddedServer(tmp_path).start()
    async with EmbeddedServer(tmp_path) as server:
        assert server.url


# ── Broken requests ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"applicationId": NaN}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_json_is_told_in_plain_text(client: Client, body: bytes) -> None:
    answer = await client.http.post(DEPLOY, content=body, headers=JSON)

    assert (answer.status_code, answer.text) == (400, "Invalid JSON")
    assert answer.headers["Content-Type"].startswith("text/plain")


async def test_a_body_has_its_limit(client: Client) -> None:
    body = b'{"applicationId": "' + b"x" * 3_000_000 + b'"}'

    answer = await client.http.post(DEPLOY, content=body, headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["data"]["httpStatus"] == 413


async def test_a_disk_that_fails_is_no_traceback(client: Client) -> None:
    await client.server._database.close()

    answer = await client.send("POST", "project.create", name="shop")

    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "closed" not in answer.text


# ── Projects, environments, applications ─────────────────────────────────────


async def test_removing_a_project_removes_its_applications(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])
    project = (await client.ask("GET", "project.all"))[0]

    await client.ask("POST", "project.remove", projectId=project["projectId"])

    assert await client.ask("GET", "project.all") == []
    assert (await client.page(app)).status_code == 404
