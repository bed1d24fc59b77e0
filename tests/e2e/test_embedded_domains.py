"""Sites of the embedded server under host names of their own, and what deleting one leaves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.worlds.embedded import Client, Repository, running_server, until


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(
        tmp_path / "repository", {"index.html": "first", "docs/index.html": "docs"}
    )


async def site(client: Client, repository: Repository, name: str = "web") -> dict[str, Any]:
    app = await client.app(name, repository.url)
    await client.deployed(app["applicationId"])
    return app


async def domain(client: Client, app: dict[str, Any], host: str, **others: Any) -> str:
    fields = {"host": host, "applicationId": app["applicationId"]} | others
    made = await client.ask("POST", "domain.create", **fields)
    return str(made["domainId"])


async def page(client: Client, host: str, path: str = "/", method: str = "GET") -> httpx.Response:
    port = urlsplit(client.server.sites_url).port
    async with httpx.AsyncClient(trust_env=False) as http:
        headers = {"Host": f"{host}:{port}"}
        return await http.request(method, f"http://127.0.0.1:{port}{path}", headers=headers)


async def test_a_site_answers_to_the_hosts_of_its_domains(
    client: Client, repository: Repository
) -> None:
    app = await site(client, repository)
    assert (await page(client, "pr-7.example.com")).status_code == 404

    id_ = await domain(client, app, "PR-7.example.com")

    assert (await page(client, "pr-7.Example.com")).text == "first"
    assert (await page(client, "pr-7.example.com", "/docs/")).text == "docs"
    moved = await page(client, "pr-7.example.com", "/docs")
    assert (moved.status_code, moved.headers["Location"]) == (308, "/docs/")
    posted = await page(client, "pr-7.example.com", method="POST")
    assert (posted.status_code, posted.headers["Allow"]) == (405, "GET, HEAD")
    assert (await client.page(app)).text == "first"

    await client.ask("POST", "domain.delete", domainId=id_)
    assert (await page(client, "pr-7.example.com")).status_code == 404
    assert (await page(client, f"{app['appName']}.localhost")).text == "first"


async def test_a_domain_with_a_path_serves_what_is_below_it(
    client: Client, repository: Repository
) -> None:
    app, other = await site(client, repository), await site(client, repository, "other")
    await domain(client, app, "example.com", path="/docs")

    assert (await page(client, "example.com", "/docs/")).text == "docs"
    assert (await page(client, "example.com", "/docs2/")).status_code == 404
    assert (await page(client, "example.com")).status_code == 404

    await domain(client, other, "example.com")
    repository.commit("feat: more", {"docs/index.html": "new docs", "index.html": "second"})
    await client.deployed(other["applicationId"])
    assert (await page(client, "example.com")).text == "second"
    assert (await page(client, "example.com", "/docs/")).text == "docs"


@pytest.mark.journey
async def test_no_deployment_begins_while_its_application_is_deleted(
    client: Client, repository: Repository, tmp_path: Path
) -> None:
    environment = await client.environment()
    for number in range(10):
        app = await client.app(f"web-{number}", repository.url, environment=environment)
        id_ = app["applicationId"]
        await client.deploy(id_)
        deploys = [client.send("POST", "application.deploy", applicationId=id_) for _ in range(5)]
        await asyncio.gather(client.ask("POST", "application.delete", applicationId=id_), *deploys)
    await until(client.queue, lambda jobs: jobs == [])

    await client.server.stop()  # which waits for what still runs

    for kind in ("applications", "sites", "logs"):
        assert list((tmp_path / "data" / kind).glob("*")) == []
