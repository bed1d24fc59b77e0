"""`config check --online`, against backends that take their time and what is no Dokploy."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bridge.app.doctor import collect
from bridge.app.storage import open_stores
from bridge.backends import BACKENDS, EMBEDDED
from bridge.cli.doctor import online
from bridge.core.apps import Source, SourceType
from bridge.settings import read_settings
from tests.fakes.gitea import FakeGitea
from tests.worlds.cli import WEB, Cli


class Silent:
    """A server that is there and answers no question that needs its database."""

    closed = False

    async def version(self) -> str | None:
        await asyncio.Event().wait()
        raise AssertionError

    async def healthy(self) -> bool:
        return True

    async def close(self) -> None:
        self.closed = True


def test_a_server_that_does_not_answer_in_time_is_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    silent: Any = Silent()
    opening = replace(BACKENDS["dokploy"], open=lambda _name, _settings, _parts: silent)
    monkeypatch.setitem(BACKENDS, "dokploy", opening)
    monkeypatch.setattr(collect, "PATIENT_TO_READ_APPS", 0.01)
    settings = read_settings(
        None,
        {
            "BRIDGE_DATA": str(tmp_path),
            "BRIDGE_DOKPLOY_URL": "http://127.0.0.1:1",
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
        },
    )

    (tried,) = online(settings)["online"]

    assert (tried["backend"], tried["state"]) == ("dokploy", "away")
    assert "no answer within 0.01 s, although it is reachable" in tried["why"]
    assert silent.closed


# ── what stands at the address, and is no Dokploy ───────────────────────────────────────────────

PAGE = "<!doctype html><html>Welcome</html>"
NOT_IT = "not Dokploy itself; is it starting, is the url right?"
ANSWERS: dict[str, tuple[int, str, dict[str, str], str, str]] = {
    "404 without a word": (404, "", {}, "not dokploy", f"answered 404, {NOT_IT}"),
    "404 of another API": (404, '{"detail": "x"}', {}, "not dokploy", f"answered 404, {NOT_IT}"),
    "404 with a number": (404, '{"code": 404}', {}, "not dokploy", f"answered 404, {NOT_IT}"),
    "404 in our form": (404, '{"code": "NOT_FOUND"}', {}, "not dokploy", "know project.all"),
    "405": (405, "Method Not Allowed", {}, "not dokploy", f"answered 405, {NOT_IT}"),
    "a page": (200, PAGE, {}, "not dokploy", f"sent a web page, {NOT_IT}"),
    "words": (200, "ok", {}, "not dokploy", f"sent plain text, {NOT_IT}"),
    "nothing": (200, "", {}, "not dokploy", f"sent an empty answer, {NOT_IT}"),
    "a login": (401, "", {"WWW-Authenticate": "Basic"}, "not dokploy", f"answered 401, {NOT_IT}"),
    "a gateway": (502, PAGE, {}, "away", "a proxy answered 502 (Bad Gateway)"),
    "a page of errors": (500, PAGE, {}, "away", "it answered 500: a web page came, not JSON"),
    "a bad redirect": (302, "", {"Location": "http://[::1"}, "refused", "an invalid address"),
    "a login's page": (302, "", {"Location": "/login"}, "refused", "another page of the same"),
    "to https": (308, "", {"Location": "https://d.example/x"}, "refused", "to https://d.example "),
}
"""By name: status, body, headers, the state in which it is found, and what is said of it."""


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Start servers that answer everything alike; return their addresses."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str, headers: dict[str, str]) -> str:
        class Same(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Same)
        servers.append(server)
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_no_dokploy_is_never_ok(cli: Cli, answering: Callable[..., str], name: str) -> None:
    status, body, headers, state, words = ANSWERS[name]
    given = {
        "BRIDGE_DOKPLOY_URL": answering(status, body, headers),
        "BRIDGE_DOKPLOY_API_KEY": "a-key-0123456789",
        "BRIDGE_DOKPLOY_READ_RETRIES": "0",
    }

    told = json.loads(cli("config", "check", "--online", "--json", code=1, **given).stdout)

    assert [one["state"] for one in told["online"]] == [state]
    assert words in told["online"][0]["why"]
    assert words in cli("provider", "show", "web", code=1, **given).stderr


def test_a_webhook_that_a_chat_does_not_know_is_named_with_the_remedy(
    cli: Cli, answering: Callable[..., str]
) -> None:
    url = answering(404, '{"message": "Unknown Webhook", "code": 10015}', {})
    address = f"https://discord.com/api/webhooks/123456789012345678/{'s3cret' * 5}"
    given = {"BRIDGE_DISCORD_WEBHOOK": address, "BRIDGE_DISCORD_API_URL": url}

    told = cli("config", "check", "--online", code=1, **given)
    form = json.loads(cli("config", "check", "--online", "--json", code=1, **given).stdout)

    assert "discord default: discord: the webhook default was deleted: make" in told.stderr
    assert [(one["chat"], one["state"]) for one in form["channels"]] == [("discord", "refused")]
    assert "s3cret" not in told.stderr + told.stdout


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("/api/api", "The url ends with /api/api; /api is added to it anyway: leave it out."),
        ("/dashboard/", "The url has the path /dashboard; leave it out unless Dokploy is served"),
        ("/api/", "is the url right?"),
    ],
)
def test_a_path_that_does_not_belong_into_the_url_is_named(
    cli: Cli, answering: Callable[..., str], path: str, remedy: str
) -> None:
    url = answering(404, "", {}) + path

    told = cli(
        *("config", "check", "--online"),
        code=1,
        BRIDGE_DOKPLOY_URL=url,
        BRIDGE_DOKPLOY_API_KEY="a-key-0123456789",
    )

    assert remedy in told.stderr


@pytest.mark.parametrize(
    ("token", "state", "says"),
    [
        (FakeGitea.token, "ok", "the token of bridge is accepted"),
        ("another", "refused", "set the token of gitea to one that is valid"),
    ],
)
async def test_a_git_host_says_whose_the_token_is_or_that_it_is_not_taken(
    tmp_path: Path, token: str, state: str, says: str
) -> None:
    async with FakeGitea() as fake:
        given = fake.settings | {"BRIDGE_DATA": str(tmp_path), "BRIDGE_GITEA_TOKEN": token}

        form = await asyncio.to_thread(online, read_settings(None, given))

    (tried,) = form["online_hosts"]
    assert (tried["host"], tried["url"], tried["state"]) == ("gitea", fake.web_url, state)
    assert any(says in one["says"] for one in form["findings"])


@pytest.mark.parametrize(
    ("hooks", "events", "state", "says"),
    [
        (
            *(["https://bridge.example.com/hooks/gitea"], ["push"], "ok"),
            "its pushes are sent to bridge.example.com; whether that is this bridge is not known",
        ),
        (["https://bridge.example.com/hooks/gitea/b"], ["push"], "unseen", "add a webhook"),
        ([], ["push"], "unseen", "no webhook sends its pushes to https://…/hooks/gitea"),
        (["off"], ["push"], "trouble", "sends nothing: it is switched off at Gitea"),
        (["https://bridge.example.com/hooks/gitea"], ["issues"], "trouble", "choose its push"),
    ],
)
async def test_webhooks_of_the_apps_repositories_are_looked_at(
    tmp_path: Path, hooks: list[str], events: list[str], state: str, says: str
) -> None:
    source = Source(SourceType.GITEA, repository="my-org/mono", branch="main")
    async with FakeGitea() as fake:
        theirs = fake.repository("my-org/mono")
        for url in hooks:
            hook = fake.hook(theirs, url.replace("off", "https://a.example.com/hooks/gitea"), "s")
            hook.active, hook.events = url != "off", tuple(events)
        given = fake.settings | {"BRIDGE_DATA": str(tmp_path), "BRIDGE_GITEA_WEBHOOK_SECRETS": "s"}
        settings = read_settings(None, given)
        async with open_stores(settings) as stores:
            await stores.journal.save_apps(
                EMBEDDED, [replace(WEB, backend=EMBEDDED, source=source)]
            )

        form = await asyncio.to_thread(online, settings)

    (tried,) = form["webhooks"]
    assert (tried["host"], tried["repository"], tried["state"]) == ("gitea", "my-org/mono", state)
    words = [f"{one['says']}; {one['remedy']}" for one in form["findings"]]
    assert any(says in one for one in words), words


def test_a_host_where_nobody_listens_is_an_error_of_the_check(filled: Cli) -> None:
    given = {
        "BRIDGE_GITHUB_TOKEN": "ghp_0123456789",
        "BRIDGE_GITHUB_API_URL": "http://127.0.0.1:1",
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": "0123456789abcdef",
    }

    told = filled("config", "check", "--online", code=1, **given)

    assert "error: github: can't be reached: nothing listens at its address" in told.stderr
