"""The examples of Nginx and Caddy, each in front of a real bridge."""

import asyncio
import os
import ssl
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from aiohttp import web
from playwright.async_api import expect

from tests.chaos.recording_backend import free_port
from tests.fakes.serving import served
from tests.oracles.programs import program, said
from tests.worlds.bridge import World, hook_headers, running_world
from tests.worlds.browser import browsing
from tests.worlds.certificates import certificate
from tests.worlds.console import console_world
from tests.worlds.embedded import until

DEPLOY = Path(__file__).parents[2] / "deploy"
CLIENT = "127.5.6.7"
"""Where requests come from; the proxy itself reaches the bridge from 127.0.0.1."""
PATIENCE = 20.0
MB = 1_000_000


@dataclass
class Example:
    """An example as it is but for addresses and certificates, and how to check and start it."""

    check: list[str]
    start: list[str]
    url: str
    trusted: ssl.SSLContext | bool = True


def instead(file: str, words: dict[str, str]) -> str:
    """Return a file of ours with words replaced, all of which it must have."""
    text = (DEPLOY / file).read_text()
    for old, new in words.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, upstream: int) -> Example:
    path = program("nginx", "nginx-light")
    pem, key = certificate(folder)
    (folder / "site.conf").write_text(
        instead(
            "nginx/dokploy-bridge.conf",
            {
                "listen 443": f"listen 127.0.0.1:{port}",
                "    listen [::]:443 ssl;\n": "",
                "/etc/letsencrypt/live/bridge.example.com/fullchain.pem": str(pem),
                "/etc/letsencrypt/live/bridge.example.com/privkey.pem": str(key),
                "http://127.0.0.1:8080;\n": f"http://127.0.0.1:{upstream};\n",
            },
        )
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"{'user root;' if os.geteuid() == 0 else ''} pid {folder}/pid; worker_processes 1;\n"
        f"error_log stderr warn; events {{}}\n"
        f"http {{ access_log off;\n{temporary} include {folder}/site.conf; }}\n"
    )
    start = [path, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-g", "daemon off;"]
    trusted = ssl.create_default_context(cafile=str(pem))
    return Example([*start, "-t"], start, f"https://127.0.0.1:{port}", trusted)


def caddy(folder: Path, port: int, upstream: int) -> Example:
    path = program("caddy")
    words = {
        "bridge.example.com {": f"http://:{port} {{\n\tbind 127.0.0.1",
        "127.0.0.1:8080 {": f"127.0.0.1:{upstream} {{",
    }
    site = instead("caddy/Caddyfile", words)
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
    file = ["--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return Example([path, "validate", *file], [path, "run", *file], f"http://127.0.0.1:{port}")


CADDY = pytest.mark.parametrize("proxy", [caddy], indirect=True)
Proxy = Callable[[str], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(params=[nginx, caddy], ids=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Proxy:
    """Start a proxy in front of an address; yields a client that goes through it."""
    folder = tmp_path / "proxy"
    folder.mkdir()

    @asynccontextmanager
    async def started(upstream: str) -> AsyncIterator[httpx.AsyncClient]:
        port = free_port()
        example = request.param(folder, port, int(upstream.rpartition(":")[2]))
        home = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        await asyncio.to_thread(said, *example.check, environment=home)
        with (folder / "log").open("w") as log:
            process = await asyncio.create_subprocess_exec(
                *example.start, env=home, stdout=log, stderr=log
            )
        try:
            await until(lambda: listens(port, process), bool)
            way = httpx.AsyncHTTPTransport(verify=example.trusted, local_address=CLIENT)
            async with httpx.AsyncClient(
                base_url=example.url, transport=way, timeout=PATIENCE
            ) as http:
                yield http
        finally:
            process.terminate()
            await process.wait()

    return started


async def listens(port: int, process: asyncio.subprocess.Process) -> bool:
    assert process.returncode is None, "it ended"
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_the_bridge_behind_it_gets_each_webhook_as_it_was_sent(
    world: World, proxy: Proxy
) -> None:
    body = '{ "zen":\t"ünusual\\u2028 text" ,"ref" : "x" }\r\n\r\n'.encode()
    async with proxy(world.bridge.url) as http:
        headers = hook_headers("github", {}, body, "1") | {"X-GitHub-Event": "ping"}
        answer = await http.post("/hooks/github", content=body, headers=headers)
        metrics = await http.get("/metrics")
        healthy = await http.get("/healthz")

    assert answer.status_code == 202, answer.text
    kept = await world.stores.inbox.find("github", "1")
    assert kept is not None
    assert kept.body == body
    assert (metrics.status_code, healthy.status_code) == (403, 200)


def scrape_job(url: str, token: str) -> dict[str, Any]:
    """Return the sample in alerts.yaml with an address, a token and our certificate."""
    lines = (DEPLOY / "prometheus" / "alerts.yaml").read_text().splitlines()
    begin = lines.index("#     scrape_configs:")
    sample = [line.removeprefix("#") for line in lines[begin : lines.index("#", begin)]]
    job: dict[str, Any] = yaml.safe_load("\n".join(sample))["scrape_configs"][0]
    place = urlsplit(url)
    return job | {
        "authorization": {"credentials": token},
        "static_configs": [{"targets": [place.netloc]}],
        "scheme": place.scheme,
        "tls_config": {"insecure_skip_verify": True},
        "scrape_interval": "1s",
    }


@CADDY
async def test_the_sample_scrape_job_reads_the_metrics_through_it(
    tmp_path: Path, proxy: Proxy
) -> None:
    async with (
        running_world(tmp_path / "bridge", BRIDGE_WEB_METRICS_TOKEN="a" * 32) as world,
        proxy(world.bridge.url) as http,
    ):
        job = scrape_job(str(http.base_url), "a" * 32)
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump({"scrape_configs": [job]}))
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            program("prometheus"),
            f"--config.file={tmp_path}/prometheus.yaml",
            f"--storage.tsdb.path={tmp_path}/series",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            await until(lambda: listens(port, process), bool)
            asked = f"http://127.0.0.1:{port}/api/v1/targets"

            async def target() -> dict[str, Any]:
                async with httpx.AsyncClient(trust_env=False) as web:
                    answer = await web.get(asked)
                those = answer.json()["data"]["activeTargets"] if answer.is_success else []
                return dict(*those)

            found = await until(target, lambda one: one.get("health") in ("up", "down"))
        finally:
            process.terminate()
            await process.wait()

    assert (found["health"], found["lastError"]) == ("up", "")


@CADDY
async def test_eight_tabs_of_the_console_load_behind_it(tmp_path: Path, proxy: Proxy) -> None:
    """Over HTTP/1.1 a browser has six connections to a host."""
    async with (
        console_world(tmp_path / "bridge") as console,
        proxy(console.url) as http,
        browsing() as browser,
    ):
        here = str(http.base_url).rstrip("/")
        tab = await browser.new_page()
        await tab.goto((await console.link()).replace(console.url, here))
        for _ in range(7):
            tab = await browser.new_page()
            await tab.goto(f"{here}/console", timeout=20_000)
            await expect(tab.locator("main[data-live]")).to_be_visible()
        spoken = await tab.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")

    assert spoken == "http/1.1"


async def test_the_largest_webhooks_pass_and_larger_ones_do_not(world: World, proxy: Proxy) -> None:
    """A proxy may end the connection of a larger one while its body is being sent."""
    sizes: dict[int, int | None] = {25 * MB: None, 30 * MB: None}
    async with proxy(world.bridge.url) as http:
        for size in sizes:
            body = b'{"x":"' + b"a" * (size - 8) + b'"}'
            headers = hook_headers("github", {}, body, str(size)) | {"X-GitHub-Event": "ping"}
            with suppress(httpx.ReadError, httpx.WriteError):
                answer = await http.post("/hooks/github", content=body, headers=headers)
                sizes[size] = answer.status_code

    assert sizes in ({25 * MB: 202, 30 * MB: 413}, {25 * MB: 202, 30 * MB: None})
    assert await world.stores.inbox.find("github", str(30 * MB)) is None


async def test_the_bridge_learns_where_a_refused_webhook_came_from(
    world: World, proxy: Proxy
) -> None:
    wrong = hook_headers("github", {}, b"other", "1") | {"X-Forwarded-For": "198.51.100.7"}
    async with proxy(world.bridge.url) as http:
        answer = await http.post("/hooks/github", content=b"{}", headers=wrong)
    assert answer.status_code == 401

    found = await until(lambda: world.stores.journal.refused(limit=10), bool)
    assert [one.network for one in found] == ["127.5.6.0/24"]


async def test_a_followed_log_arrives_line_by_line(proxy: Proxy) -> None:
    arrived = asyncio.Event()

    async def follow(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        await arrived.wait()
        await response.write(b"second\n")
        return response

    app = web.Application()
    app.router.add_get("/follow", follow)
    lines = []
    async with (
        served(app) as upstream,
        proxy(upstream) as http,
        http.stream("GET", "/follow") as answer,
    ):
        async for line in answer.aiter_lines():
            lines.append(line)
            arrived.set()

    assert lines == ["first", "second"]
