"""Addresses that the embedded backend tells: each is one that works, or none is told."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from bridge.backends import embedded_client
from bridge.backends.dokploy.client import Dokploy
from bridge.core.errors import Unreachable
from bridge.settings import Settings
from tests.worlds.cli import Cli
from tests.worlds.embedded import Repository, running_server
from tests.worlds.rows import each_row

PUBLIC = "https://sites.example.com/of/us"


@pytest.mark.parametrize("public", [None, f"{PUBLIC}/"])
async def test_only_a_public_address_that_is_set_is_told_to_people(
    tmp_path: Path, repository: Repository, public: str | None
) -> None:
    async with running_server(tmp_path / "data", sites_url=public) as client:
        site = await client.app("web", repository.url)
        await client.app("api", repository.url, buildType="dockerfile")
        backend = Dokploy(client.server.url, client.server.api_key)
        try:
            await backend.healthy()  # the answer to this tells of no dashboard, too
            apps = {app.name: app for app in await backend.apps()}
        finally:
            await backend.close()

    assert apps["web"].url == (f"{PUBLIC}/apps/{site['appName']}" if public else None)
    assert apps["api"].url is None
    assert [app.page for app in apps.values()] == [None, None]  # there is no dashboard


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.make(tmp_path / "repository")


def created(cli: Cli, repository: Repository, **environment: Any) -> Any:
    words = ("app", "create", "web", "--repo", str(repository.path), "--project", "p")
    made = cli.json(*words, **environment)
    cli("app", "delete", "p/web", "--yes", **environment)
    assert made["page"] is None
    return made["url"]


@each_row(
    ("environment", "base"),
    [
        ({}, "http://127.0.0.1:8091"),
        ({"PORT": "9000"}, "http://127.0.0.1:9001"),
        ({"HOST": "0.0.0.0"}, "http://127.0.0.1:8091"),
        ({"HOST": "::"}, "http://[::1]:8091"),
        ({"SITES_URL": f"{PUBLIC}/"}, PUBLIC),
        ({"PORT": "0"}, None),
        ({"SITES_PORT": "0"}, None),
    ],
)
def test_a_new_app_is_said_to_be_where_it_will_be(
    cli: Cli, repository: Repository, environment: dict[str, str], base: str | None
) -> None:
    given = {f"BRIDGE_EMBEDDED_{name}": value for name, value in environment.items()}

    url = created(cli, repository, **given)

    assert url is None if base is None else url.startswith(f"{base}/apps/web-")


async def test_beside_a_running_backend_its_own_address_is_told(
    cli: Cli, repository: Repository
) -> None:
    async with running_server(cli.data / "embedded") as client:
        words = ("app", "create", "web", "--repo", str(repository.path))
        made = await asyncio.to_thread(cli.json, *words)
        await client.deployed(made["id"])
        async with httpx.AsyncClient(trust_env=False) as http:
            page = await http.get(made["url"])

    assert page.text == "<h1>first</h1>"


def test_the_api_and_the_sites_need_two_ports() -> None:
    with pytest.raises(ValidationError, match="the sites need a port of their own"):
        Settings.model_validate({"embedded": {"port": 8090, "sites_port": 8090}})
    with pytest.raises(ValidationError, match="there is no next one for the sites"):
        Settings.model_validate({"embedded": {"port": 65535}})
    assert Settings.model_validate({"embedded": {"port": 0}}).embedded.port_of_sites == 0


async def test_the_bridge_reaches_it_without_the_proxy_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # nobody listens there
    async with running_server(tmp_path / "data", host="127.0.0.2") as client:
        url, key = client.server.url, client.server.api_key
        ours, another = embedded_client(url, key), Dokploy(url, key, read_retries=0)
        try:
            assert await ours.apps() == []
            with pytest.raises(Unreachable):
                await another.apps()
        finally:
            await ours.close()
            await another.close()
