"""What the client sends to make and remove applications, against a real Dokploy v0.30.2's answers.

The answers are recorded ones; only descriptions are replaced, which hold the markers.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.health.containers import Container
from bridge.ports.backends import Address
from tests.oracles.dokploy_recordings import recording

ROWS = {
    row["name"]: row
    for name in ("recorded", "recorded-2")
    for row in recording(name)
    if "response" in row
}
MARKER = "bridge:github:my-org/mono#7:web"
PROJECT = "Kal6ClWHdNZpqOnXTj2CS"
MODEL = App("ZT6A95NobTiob085n0lpt", "web", "shop")


class Replayed:
    """Answers by `METHOD path` with rows in their order, the last one again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, Any]] = []

    def play(self, *names: str) -> None:
        for name in names:
            row = ROWS[name]
            path = httpx.URL(row["request"]["url"]).path.removeprefix("/api/")
            said = row["response"]["json"] if row["response"]["bodyBytes"] else None
            self.say(path, row["response"]["status"], said)

    def say(self, path: str, status: int, said: Any) -> None:
        self.answers.setdefault(path, []).append((status, said))

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/")
        body = httpx.Response(200, content=request.content).json() if request.content else None
        self.asked.append((path, dict(request.url.params) if body is None else body))
        those = self.answers[path]
        status, said = those.pop(0) if len(those) > 1 else those[0]
        return httpx.Response(status, json=said) if said is not None else httpx.Response(status)

    def changes(self) -> list[tuple[str, Any]]:
        return [(path, body) for path, body in self.asked if path not in READS]


READS = ("project.one", "application.one", "domain.byApplicationId")


@pytest.fixture
def replayed() -> Replayed:
    return Replayed()


@pytest.fixture
async def dokploy(replayed: Replayed) -> AsyncIterator[Dokploy]:
    transport = httpx.MockTransport(replayed.answer)
    client = Dokploy("https://dokploy.example.com", "any-key", transport=transport, read_retries=0)
    yield client
    await client.close()


def row(name: str) -> Any:
    return ROWS[name]["response"]["json"]


def sent(name: str) -> Any:
    return ROWS[name]["request"]["body"]


def project(*environments: Any) -> Any:
    return row("21-project.one") | {
        "environments": row("21-project.one")["environments"] + list(environments)
    }


def environment(name: str = "211-environment.create", *apps: Any) -> Any:
    return row(name) | {"applications": list(apps)}


def listed() -> Any:
    """An application as `project.one` lists it, with our marker."""
    apps = row("85-project.one-final")["environments"][0]["applications"]
    return apps[0] | {"description": MARKER}


def own(**columns: Any) -> Any:
    return row("212-application.create") | {"description": MARKER} | columns


async def test_an_environment_and_an_app_are_made(replayed: Replayed, dokploy: Dokploy) -> None:
    replayed.play(
        "22-application.one-fresh",
        "211-environment.create",
        "212-application.create",
    )
    for said in (
        project(),
        project(environment()),
        project(environment("211-environment.create", listed())),
    ):
        replayed.say("project.one", 200, said)

    made = await dokploy.make("one", MARKER, MODEL, "staging")

    assert (made.marker, made.service) == (MARKER, listed()["appName"])
    assert replayed.changes() == [
        (
            "environment.create",
            sent("211-environment.create")
            | {"projectId": PROJECT, "description": replayed.changes()[0][1]["description"]},
        ),
        (
            "application.create",
            sent("212-application.create") | {"description": MARKER},
        ),
    ]
    assert replayed.asked[0] == ("application.one", {"applicationId": MODEL.id})
    assert replayed.asked[1] == ("project.one", {"projectId": PROJECT})


async def test_domains_are_created_and_deleted(replayed: Replayed, dokploy: Dokploy) -> None:
    replayed.say("application.one", 200, own())
    replayed.play("221-domain.byApplicationId", "220-domain.create", "225-domain.delete-again")
    stored = row("221-domain.byApplicationId")
    app = App(own()["applicationId"], "one", "shop")

    await dokploy.set_addresses(app, [Address("one.example.test"), Address("new.example.test")])

    kept = next(one["domainId"] for one in stored if one["host"] == "one.example.test")
    deleted = [body["domainId"] for path, body in replayed.changes() if path == "domain.delete"]
    assert sorted([kept, *deleted]) == sorted(one["domainId"] for one in stored)
    created = [body for path, body in replayed.changes() if path == "domain.create"]
    assert created == [
        sent("220-domain.create")
        | {"host": "new.example.test", "applicationId": app.id, "customCertResolver": ""}
    ]


async def test_containers_are_compared_by_their_whole_name(
    replayed: Replayed, dokploy: Dokploy
) -> None:
    replayed.play("264-docker.getContainersByAppNameMatch")

    left = await dokploy.left_behind(App("x", "busy", "shop", service="busy-bcjg0v@s1"))

    assert left == [
        Container("busy-bcjg0v.1.abcdefghijklmnopqrstuvwxy", "running", "Up 2 minutes"),
        Container("busy-bcjg0v.1.zyxwvutsrqponmlkjihgfedcb", "exited", "Exited (1) 3 minutes ago"),
    ]
    query = {"appName": "busy-bcjg0v", "serverId": "s1"}
    assert replayed.asked == [("docker.getContainersByAppNameMatch", query)]


async def test_a_project_that_a_member_may_not_see_is_named(
    replayed: Replayed, dokploy: Dokploy
) -> None:
    replayed.play("22-application.one-fresh", "210-project.one-member-no-access")

    with pytest.raises(Forbidden, match="access to this project: give the key's user access to it"):
        await dokploy.make("one", MARKER, MODEL, "staging")
