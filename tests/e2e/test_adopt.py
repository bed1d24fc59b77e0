"""`adopt`: the backend's own deploys are switched off for the apps that the bridge deploys."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from typer.testing import Result

from tests.scenes.dokploy import APPLICATIONS, KEY, STACKS, _Handler, answer
from tests.worlds.cli import Cli

THOSE = ("app_web", "app_worker", "app_odd", "app_image", "app_half")
KINDS = {**dict.fromkeys(THOSE, "application"), **dict.fromkeys(STACKS, "compose")}


def project() -> dict[str, Any]:
    applications = [
        {"applicationId": id_, "name": APPLICATIONS[id_]["name"], "applicationStatus": "done"}
        for id_ in THOSE
    ]
    stacks = [
        {"composeId": id_, "name": one["name"], "composeStatus": "done"}
        for id_, one in STACKS.items()
    ]
    environment = {"environmentId": "e", "name": "production", "isDefault": True}
    inside = {"applications": applications, "compose": stacks}
    return {"projectId": "p", "name": "shop", "environments": [environment | inside]}


class Recorded(_Handler):
    """A Dokploy with recorded answers, whose apps keep what an update names."""

    written: dict[str, dict[str, Any]]
    updates: list[tuple[str, dict[str, Any]]]
    silent: set[str]

    def do_GET(self) -> None:  # noqa: N802 - the library's
        parts = urlsplit(self.path)
        procedure = parts.path.removeprefix("/api/")
        asked = {name: value[0] for name, value in parse_qs(parts.query).items()}
        id_ = asked.get("applicationId") or asked.get("composeId") or ""
        if procedure == "project.all":
            self._send(200, [project()])
            return
        if not procedure.endswith(".one") or id_ not in KINDS:
            super().do_GET()
            return
        status, said = answer(procedure, asked)
        self._send(status, said | self.written.get(id_, {}))

    def do_POST(self) -> None:  # noqa: N802 - the library's
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        procedure = self.path.removeprefix("/api/")
        self.updates.append((procedure, dict(body)))
        id_ = body.pop("applicationId", None) or body.pop("composeId")
        if id_ not in self.silent:
            self.written.setdefault(id_, {}).update(body)
        self._send(200, True)

    def _send(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server:
    """The server, and how its apps are."""

    def __init__(self, url: str, handler: type[Recorded]) -> None:
        self.url, self.handler = url, handler
        self.environment = {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": KEY}

    def apps(self) -> dict[str, Any]:
        """Return everything that it says of each app."""
        with httpx.Client(base_url=self.url, headers={"x-api-key": KEY}, trust_env=False) as http:
            return {
                id_: http.get(f"/api/{kind}.one", params={f"{kind}Id": id_}).json()
                for id_, kind in KINDS.items()
            }


@contextmanager
def recorded(on: set[str]) -> Iterator[Server]:
    state = {"written": {id_: {"autoDeploy": id_ in on} for id_ in KINDS}}
    handler = type("Handler", (Recorded,), {**state, "updates": [], "silent": set()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{server.server_port}", handler)
        finally:
            server.shutdown()
            thread.join()


ON = set(KINDS) - {"app_half"}
PUSHED = {"github", "gitlab", "gitea", "git", "bitbucket"}


def pushed(apps: dict[str, Any]) -> set[str]:
    return {id_ for id_, one in apps.items() if one["sourceType"] in PUSHED}


def call(cli: Cli, server: Server, *words: str, code: int = 0) -> Result:
    return cli(*words, code=code, **server.environment)


@pytest.fixture
def server() -> Iterator[Server]:
    with recorded(on=ON) as found:
        yield found


def test_it_switches_auto_deploy_off_and_nothing_else_and_undo_puts_all_back(
    cli: Cli, server: Server
) -> None:
    before = server.apps()
    expected = {id_ for id_ in pushed(before) if before[id_]["autoDeploy"]}
    assert expected == {"app_web", "app_worker", "app_odd"} | set(STACKS) & pushed(before)

    told = call(cli, server, "adopt", "--all", "--yes").stdout

    assert f"Auto Deploy switched off for {len(expected)}" in told
    after = server.apps()
    for id_, one in before.items():
        assert after[id_] == one | ({"autoDeploy": False} if id_ in expected else {}), id_
    assert {id_ for _, body in server.handler.updates for id_ in body.values()} - {False} == (
        expected
    )
    notes = cli.json("audit", **server.environment)
    assert {one["action"] for one in notes} == {"adopt"}
    assert {one["outcome"] for one in notes} == {"done"}

    call(cli, server, "adopt", "--all", "--undo", "--yes")

    assert server.apps() == before
    again = call(cli, server, "adopt", "--all", "--undo", "--yes")
    assert "no app was adopted" in again.stderr


def test_undo_leaves_alone_what_adopt_has_not_switched(cli: Cli, server: Server) -> None:
    label = "shop/web"
    call(cli, server, "adopt", label, "--yes")
    server.handler.written["app_worker"]["autoDeploy"] = False  # by hand, in the dashboard

    shown = call(cli, server, "adopt", "--all", "--undo", "--json", "--yes").stdout

    assert [one["app"] for one in json.loads(shown)] == [label]
    assert server.apps()["app_web"]["autoDeploy"] is True
    assert server.apps()["app_worker"]["autoDeploy"] is False


def test_it_asks_first(cli: Cli, server: Server) -> None:
    told = call(cli, server, "adopt", "--all", code=2)

    assert "Auto Deploy off: shop/web (dokploy)" in told.stdout
    assert "give --yes" in told.stderr
    assert server.handler.updates == []
    for words in (["adopt"], ["adopt", "shop/web", "--all"]):
        assert "name apps, or use --all" in call(cli, server, *words, code=2).stderr


def test_what_does_not_change_is_told(cli: Cli, server: Server) -> None:
    server.handler.silent.add("app_web")

    told = call(cli, server, "adopt", "shop/web", "--yes", code=1)

    assert "Auto Deploy of shop/web is still as it was" in told.stderr
    (note,) = cli.json("audit", **server.environment)
    assert note["outcome"].startswith("Refused: ")


def test_a_change_of_the_source_is_still_undone_after_it(cli: Cli, server: Server) -> None:
    call(cli, server, "provider", "set", "github", "shop/web", "--branch", "next", "--yes")
    call(cli, server, "adopt", "shop/web", "--yes")

    told = call(cli, server, "provider", "undo", "shop/web", "--yes").stdout

    assert "branch: next → main" in told
    assert server.apps()["app_web"]["autoDeploy"] is False
