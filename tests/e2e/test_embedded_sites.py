"""What the embedded server publishes, and the logs that it streams."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.embedded.storage.history import KEPT
from tests.worlds.embedded import Client, Repository, holding, path_with, running_server

FILES = {
    "index.html": "<h1>home</h1>",
    "about/index.html": "about",
    "app.js": "1",
    "module.mjs": "2",
    "grüße.txt": "hallo",
    "unknown.zzz": "bytes",
}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


@pytest.fixture
async def site(client: Client, tmp_path: Path) -> dict[str, Any]:
    repository = Repository.make(tmp_path / "repository", FILES)
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])
    return app


async def test_files_have_their_types(client: Client, site: dict[str, Any]) -> None:
    for path, kind in (
        ("", "text/html; charset=utf-8"),
        ("module.mjs", "text/javascript; charset=utf-8"),
        ("gr%C3%BC%C3%9Fe.txt", "text/plain; charset=utf-8"),
        ("unknown.zzz", "application/octet-stream"),
    ):
        answer = await client.page(site, path)

        assert (answer.status_code, answer.headers["Content-Type"]) == (200, kind)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache"


async def test_folders_get_their_slash(client: Client, site: dict[str, Any]) -> None:
    name = site["appName"]
    root = await client.http.get(client.site(site).rstrip("/") + "?a=1")
    folder = await client.page(site, "about")

    assert (root.status_code, root.headers["Location"]) == (308, f"/apps/{name}/?a=1")
    assert (folder.status_code, folder.headers["Location"]) == (308, f"/apps/{name}/about/")
    assert (await client.page(site, "about/")).text == "about"


async def test_only_a_single_page_application_answers_everywhere(
    client: Client, site: dict[str, Any]
) -> None:
    plain = await client.page(site, "some/route")

    await client.save_build(site["applicationId"], isStaticSpa=True)
    await client.ask("POST", "application.redeploy", applicationId=site["applicationId"])
    await client.ended(site["applicationId"], 2)
    spa = await client.page(site, "some/route")

    assert plain.status_code == 404
    assert (spa.status_code, spa.text) == (200, "<h1>home</h1>")
    assert spa.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_a_site_also_has_a_host_of_its_own(client: Client, site: dict[str, Any]) -> None:
    url = client.server.sites_url
    host = {"Host": f"{site['appName']}.localhost:{url.rpartition(':')[2]}"}

    home = await client.http.get(f"{url}/", headers=host)
    script = await client.http.get(f"{url}/app.js", headers=host)
    api = await client.http.get(f"{url}/api/project.all", headers=host)
    post = await client.http.post(f"{url}/", headers=host)

    assert (home.text, script.text) == ("<h1>home</h1>", "1")
    assert (api.status_code, post.status_code) == (404, 405)


@pytest.mark.parametrize("host", [None, "{app}.localhost"])
async def test_sites_and_the_page_that_asks_for_the_key_share_no_origin(
    client: Client, site: dict[str, Any], host: str | None
) -> None:
    api, sites = client.server.url, client.server.sites_url
    assert api != sites
    headers = {"Host": host.format(app=site["appName"])} if host else {}

    for path in ("/docs", "/api/openapi.json", "/api/health", "/api/project.all"):
        assert (await client.http.get(api + path, headers=headers)).status_code == 200
        assert (await client.http.get(sites + path, headers=headers)).status_code == 404
    assert (await client.http.get(f"{sites}/listen-deployment", headers=headers)).status_code == 404
    for path in (f"/apps/{site['appName']}/", f"/apps/{site['appName']}/app.js", "/", "/app.js"):
        assert (await client.http.get(api + path, headers=headers)).status_code == 404


async def test_who_opens_the_page_of_the_key_can_not_lead_it_elsewhere(client: Client) -> None:
    page = await client.http.get("/docs")

    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


async def test_what_has_not_changed_is_not_sent_again(client: Client, site: dict[str, Any]) -> None:
    first = await client.page(site)
    known = {"If-None-Match": first.headers["ETag"]}
    again = await client.http.get(client.site(site), headers=known)
    head = await client.http.head(client.site(site))

    assert again.status_code == 304
    assert (head.status_code, head.content) == (200, b"")


async def test_a_page_is_there_at_every_moment_of_a_deploy(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"index.html": "0"})
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])
    seen: set[tuple[int, str]] = set()
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            answer = await client.page(app)
            seen.add((answer.status_code, answer.text))

    looking = asyncio.create_task(look())
    for number in range(1, KEPT + 2):
        repository.commit(str(number), {"index.html": str(number)})
        await client.deployed(app["applicationId"])
    done.set()
    await looking

    assert seen <= {(200, str(number)) for number in range(KEPT + 2)}
    releases = tmp_path / "data" / "sites" / app["applicationId"] / "releases"
    assert len(list(releases.iterdir())) == KEPT


# ── Logs over the WebSocket ──────────────────────────────────────────────────


async def test_a_log_is_replayed_and_then_followed(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository", {"Dockerfile": "FROM scratch\n"})
    gate = tmp_path / "gate"
    search_path = path_with(tmp_path / "tools", docker=holding(gate))
    async with running_server(tmp_path / "data", search_path=search_path) as client:
        app = await client.app("web", repository.url, buildType="dockerfile")
        await client.deploy(app["applicationId"])
        running = await client.running(app["applicationId"])
        async with aiohttp.ClientSession(headers={"x-api-key": client.server.api_key}) as session:
            url = f"{client.server.url}/listen-deployment"
            async with session.ws_connect(url, params={"logPath": running["logPath"]}) as socket:
                before = await heard(socket, "building")
                gate.touch()
                after = await heard(socket, "Docker build completed")
                await client.ended(app["applicationId"])
                assert not socket.closed

    assert before.startswith("Initializing deployment\n")
    assert "building" not in after


async def heard(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> str:
    text = ""
    async with asyncio.timeout(10):
        while wanted not in text:
            text += await socket.receive_str()
    return text


async def test_a_listener_needs_the_key_and_a_log(client: Client, site: dict[str, Any]) -> None:
    path = (await client.deployments(site["applicationId"]))[0]["logPath"]
    key = {"x-api-key": client.server.api_key}
    secret = str(Path(path).parents[2] / "api-key")
    url = f"{client.server.url}/listen-deployment"
    async with aiohttp.ClientSession() as session:
        closed = []
        for headers, params in (({}, {"logPath": path}), (key, {}), (key, {"logPath": secret})):
            async with session.ws_connect(url, headers=headers, params=params) as socket:
                message = await socket.receive(timeout=5)
                closed.append((message.type, message.data))

    assert [one[0] for one in closed] == [aiohttp.WSMsgType.CLOSE] * 3
    assert [one[1] for one in closed[1:]] == [4000, 4000]


async def test_the_log_route_is_for_websockets(client: Client) -> None:
    assert (await client.http.get("/listen-deployment")).status_code == 426


async def test_a_server_stops_while_somebody_listens(tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    async with aiohttp.ClientSession() as session:
        async with running_server(tmp_path / "data") as client:
            app = await client.app("web", repository.url)
            ended = await client.deployed(app["applicationId"])
            headers = {"x-api-key": client.server.api_key}
            socket = await session.ws_connect(
                f"{client.server.url}/listen-deployment",
                headers=headers,
                params={"logPath": ended["logPath"]},
            )
            await heard(socket, "Published")
            waiting = asyncio.create_task(socket.receive(timeout=10))
        message = await waiting
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        await socket.close()
