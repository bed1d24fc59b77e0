"""Every client, and Git, connects alike: proxy, NO_PROXY, authorities, user agent."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge.app.doctor.itself import of_public_url
from bridge.app.providers import run_embedded
from bridge.backends.dokploy.client import Dokploy
from bridge.chats.discord.api import DiscordClient
from bridge.chats.discord.settings import Webhook
from bridge.chats.slack.api import SlackClient
from bridge.chats.slack.door import Socket
from bridge.cli.new_site import NewSite, must_fit
from bridge.connecting import AGENT, CannotConnect
from bridge.connecting.proxies import proxy_for
from bridge.connecting.trust import VARIABLES, authorities_folder, names_authorities, trusted
from bridge.core.errors import BridgeError
from bridge.embedded.building.checkout import clone
from bridge.embedded.building.logs import Growth, Log
from bridge.embedded.building.process import Limits, Runner
from bridge.embedded.building.sources import Clone
from bridge.embedded.storage.paths import BuildFailed
from bridge.githosts.gitea.api import gitea_api
from bridge.githosts.github.api import github_api
from bridge.githosts.github.settings import Github as GithubSettings
from bridge.githosts.github.setup import SETUP as GITHUB_SETUP
from bridge.githosts.gitlab.api import gitlab_api
from bridge.oauth.http import Asks
from bridge.outbound import Guard, Outbound
from bridge.ports.probes import Silent, Unprobed
from bridge.settings import Settings
from tests.fakes.proxy import Proxy, running_proxy
from tests.fakes.serving import served
from tests.worlds.certificates import certificate
from tests.worlds.embedded import client_of
from tests.worlds.hosts import FEW, NAME
from tests.worlds.rows import each_row

HOST = "server.test"
TOKEN = SecretStr("a-token")
PATIENCE = 20.0


@dataclass
class Server:
    """Answers any request with nothing of use.

    Attributes:
        agents: who asked, by `User-Agent`.
        linked: a WebSocket has been opened.
    """

    ca: str
    port: int = 0
    agents: list[str] = field(default_factory=list)
    linked: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.agents.append(request.headers.get("User-Agent", ""))
        if request.path.endswith("/apps.connections.open"):
            return web.json_response({"ok": True, "url": f"wss://{HOST}:{self.port}/link"})
        if request.path != "/link":
            return web.json_response({})
        link = web.WebSocketResponse()
        await link.prepare(request)
        self.linked.set()
        async for _ in link:
            pass
        return link


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    pem, key = certificate(tmp_path_factory.mktemp("authority"), HOST)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem, key)
    return str(pem), context


@asynccontextmanager
async def running(server: Server, context: ssl.SSLContext | None) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.take)
    async with served(app, context=context) as url:
        server.port = urlsplit(url).port or 0
        yield server


@pytest.fixture
async def server(authority: tuple[str, ssl.SSLContext]) -> AsyncIterator[Server]:
    async with running(Server(authority[0]), authority[1]) as server:
        yield server


@pytest.fixture(autouse=True)
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    async with running_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        yield proxy


# ── The clients; each asks once, and the answer is of no use to it ────────────────────────────────


Ask = Callable[[Server, str, "str | None", Path], Awaitable[object]]


def client(
    make: Callable[[str, str | None], Any], ask: Callable[[Any, str], Awaitable[object]]
) -> Ask:
    """Make a client of an address and an authority, let it ask, and close it."""

    async def asks(_server: Server, url: str, ca: str | None, _folder: Path) -> None:
        one = make(url, ca)
        try:
            await ask(one, url)
        finally:
            await one.close()

    return asks


def git_host(make: Callable[..., Any], setting: str) -> Ask:
    return client(
        lambda url, ca: make(**{"token": TOKEN, setting: url, "ca": ca, "bounds": FEW}),
        lambda api, _: api.repository(NAME),
    )


def slack(ask: Callable[[SlackClient, str], Awaitable[object]]) -> Ask:
    return client(lambda url, _: SlackClient("xoxb-1", url), ask)


async def sign_in(_server: Server, url: str, ca: str | None, _folder: Path) -> None:
    await Asks("a provider", ca=ca).get(url)


async def register_github_app(_server: Server, url: str, ca: str | None, _folder: Path) -> None:
    assert GITHUB_SETUP.register is not None
    await GITHUB_SETUP.register.redeem(GithubSettings(api_url=url, ca=ca), "code")


async def slack_socket(server: Server, url: str, _ca: str | None, _folder: Path) -> None:
    from slack_bolt.async_app import AsyncApp

    client = SlackClient("xoxb-1", url)
    bolt = AsyncApp(token="xoxb-1", request_verification_enabled=False)
    connected = asyncio.create_task(Socket(bolt, client, "xapp-1").run())
    try:
        await server.linked.wait()
    finally:
        connected.cancel()
        await asyncio.wait([connected])
        await client.close()


async def public_url(_server: Server, url: str, _ca: str | None, _folder: Path) -> None:
    [_ async for _ in of_public_url(url, None, runs=True)]


async def git_clone(_server: Server, url: str, ca: str | None, folder: Path) -> None:
    log, authorities = Log(folder / "log", Growth(), limit=2**20), {} if ca is None else {url: ca}
    await log.open()
    home = folder / "home"
    home.mkdir()
    urls = (f"{url}/{NAME}.git",)
    source = Clone(urls, "main", "/", submodules=False, shown="Custom", authorities=authorities)
    await clone(source, folder / "code", Runner(log, Limits()), home)


async def git_of_app_create(_server: Server, url: str, ca: str | None, _folder: Path) -> None:
    site = NewSite("web", f"{url}/{NAME}.git", "main", ".", (), "shop")
    await asyncio.to_thread(must_fit, site, "exclude", {} if ca is None else {url: ca})


OF_GIT: dict[str, Ask] = {"git clone": git_clone, "git of app create": git_of_app_create}

WITH_A_CA: dict[str, Ask] = OF_GIT | {
    "dokploy": client(
        lambda url, ca: Dokploy(url, TOKEN, ca=ca, read_retries=0), lambda one, _: one.apps()
    ),
    "sign-in": sign_in,
    "github's registration": register_github_app,
    "github": git_host(github_api, "api_url"),
    "gitlab": git_host(gitlab_api, "url"),
    "gitea": git_host(gitea_api, "url"),
}

CLIENTS: dict[str, Ask] = WITH_A_CA | {
    "discord": client(
        lambda url, _: DiscordClient(url), lambda one, _: one.about(Webhook("team", "1", "token"))
    ),
    "slack": slack(lambda one, _: one.call("auth.test")),
    "slack's response_url": slack(lambda one, url: one.answer(f"{url}/commands/1", {})),
    "slack's socket": slack_socket,
    "doctor of the public url": public_url,
}


async def asked(name: str, server: Server, folder: Path, *, ca: str | None = None) -> None:
    """Let a client ask; what it makes of the answer is not our matter."""
    with suppress(BridgeError, BuildFailed):
        async with asyncio.timeout(PATIENCE):
            await CLIENTS[name](server, server.url, ca, folder)


def asked_by(server: Server) -> set[bool]:
    """Whether those that asked said who they are."""
    return {AGENT in agent for agent in server.agents}


@pytest.mark.parametrize("name", CLIENTS)
async def test_each_client_trusts_the_environment_and_asks_through_its_proxy_or_by_no_proxy_not(
    server: Server, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", server.ca)
    await asked(name, server, tmp_path)
    assert asked_by(server) == {True}
    assert set(proxy.asked) == {("CONNECT", f"{HOST}:{server.port}")}

    monkeypatch.setenv("NO_PROXY", "elsewhere.example,.test")
    resolve = socket.getaddrinfo

    def resolved(host: Any, *more: Any, **named: Any) -> Any:
        return resolve("127.0.0.1" if host in (HOST, HOST.encode()) else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    for kept in (server.agents, proxy.asked, server.linked):
        kept.clear()
    (tmp_path / "again").mkdir()
    await asked(name, server, tmp_path / "again")
    assert proxy.asked == []
    assert asked_by(server) == (set() if name in OF_GIT else {True})  # Git finds no such name


@pytest.mark.parametrize("name", WITH_A_CA)
async def test_a_server_s_own_authority_is_trusted_besides_the_system_s(
    server: Server, tmp_path: Path, name: str
) -> None:
    await asked(name, server, tmp_path)
    without = list(server.agents)
    (tmp_path / "with").mkdir()
    await asked(name, server, tmp_path / "with", ca=server.ca)

    assert without == []
    assert asked_by(server) == {True}


async def test_the_authority_of_a_git_host_is_trusted_where_its_code_is_cloned(
    server: Server, tmp_path: Path
) -> None:
    host = {"url": server.url, "ca": server.ca}
    values = {"data": tmp_path / "data", "gitlab": host, "embedded": {"port": 0}}
    async with (
        run_embedded(Settings.model_validate(values)) as embedded,
        client_of(embedded) as client,
    ):
        app = await client.app("web", f"{server.url}/{NAME}.git")
        await client.deployed(app["applicationId"])

    assert asked_by(server) == {True}


async def test_what_people_name_is_never_asked_through_a_proxy_which_would_resolve_it(
    server: Server, proxy: Proxy
) -> None:
    async with Outbound(Guard()) as outbound:
        with pytest.raises((Silent, Unprobed)):
            await outbound.get(server.url, body=False)

    assert (proxy.asked, server.agents) == ([], [])


@pytest.mark.parametrize(
    ("proxy_is", "words"),
    [
        ("socks5://ada:secret@127.0.0.1:9", "write its address as http://"),
        ("http://ada:secret@127.0.0.1:9", "the proxy in HTTPS_PROXY"),
    ],
)
@pytest.mark.parametrize("name", sorted(CLIENTS.keys() - OF_GIT.keys() - {"slack's socket"}))
async def test_a_proxy_that_can_not_be_used_is_said(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    proxy_is: str,
    words: str,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy_is)

    if name == "doctor of the public url":
        (found,) = [one async for one in of_public_url(server.url, None, runs=True)]
        said = found.says
    else:
        with pytest.raises(BridgeError) as refused:
            await CLIENTS[name](server, server.url, None, tmp_path)
        said = str(refused.value)

    assert words in said
    assert "secret" not in said


async def test_app_create_asks_with_the_agent_that_holds_the_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$SSH_AUTH_SOCK" > {said}\nexit 1\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")

    must_fit(NewSite("web", "git@git.test:a/b.git", "main", ".", (), "shop"), "exclude")

    assert said.read_text() == "/run/agent\n"


@each_row(
    ("url", "exceptions", "through"),
    [
        ("https://git.example.com/x", "", "https"),
        ("wss://git.example.com/x", "", "https"),
        ("http://git.example.com/x", "", "http"),
        ("https://git.example.com", "example.com", None),
        ("https://git.example.com", ".example.com", None),
        ("https://GIT.example.com:8443", "git.example.com:8443", None),
        ("https://git.example.com", "git.example.com:8443", "https"),
        ("https://badexample.com", "example.com", "https"),
        ("https://git.example.com", "other.example , git.example.com", None),
        ("https://git.example.com", "*", None),
        ("https://10.1.2.3", "10.0.0.0/8", None),
        ("https://11.1.2.3", "10.0.0.0/8", "https"),
        ("https://10.1.2.3", "10.1.2.3", None),
        ("https://[fd00::1]:8443", "fd00::/8", None),
        ("https://[fd00::1]", "[fd00::1]", None),
        ("http://localhost:3000", "", None),
        ("http://127.0.0.1:3000", "", None),
        ("http://[::1]:3000", "", None),
    ],
)
def test_which_addresses_go_through_which_proxy(
    monkeypatch: pytest.MonkeyPatch, url: str, exceptions: str, through: str | None
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "of-https:3128")
    monkeypatch.setenv("http_proxy", "http://of-http:3128")
    monkeypatch.setenv("HTTP_PROXY", "http://upper:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert proxy_for(url) == (through and f"http://of-{through}:3128")


def test_a_variable_may_name_a_folder_with_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_DIR", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))

    assert trusted().get_ca_certs()
    assert authorities_folder() == str(tmp_path)
    assert not names_authorities()


def test_one_proxy_serves_every_scheme_that_has_none_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv("ALL_PROXY", "http://of-all:3128")

    assert proxy_for("https://git.example.com") == "http://of-all:3128"
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:1080")
    with pytest.raises(CannotConnect):
        proxy_for("https://git.example.com")
