"""Nothing speaks for another: a secret deploys no app of a repository that it does not cover."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.app.keyrings import keyrings_of
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import concerns
from bridge.core.errors import NotFound, Unreachable
from bridge.core.events import RefPushed, Repository
from bridge.core.hooks import scope_named
from bridge.pipeline.deciding import interpret
from bridge.pipeline.deciding.apps import apps_of, index
from bridge.pipeline.deciding.interpret import Later, Meaning, Provenance, Reading
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.settings import Settings

KEY = "the-secret-of-one-team-0123456789"
HOMES = {
    "github": "https://github.com",
    "gitlab": "https://gitlab.com",
    "gitea": "https://gitea.com",
}
NUMBERS = {"team-b/site": 7, "team-b/docs": 8, "victim/prod": 9}
SCOPES = ["team-b/site", "team-b/*"]


@dataclass(frozen=True)
class Body:
    """A body in memory; see `StoredBody`."""

    text: bytes

    @property
    def size(self) -> int:
        return len(self.text)

    def whole(self) -> bytes:
        return self.text

    def pieces(self) -> Iterator[bytes]:
        yield self.text


@dataclass
class Names:
    """A host's API that only tells which repository has a name.

    Attributes:
        shows: the names that our credential sees.
    """

    host: str
    shows: Mapping[str, int] = field(default_factory=lambda: NUMBERS)
    asked: list[str] = field(default_factory=list)
    away: bool = False

    async def repository(self, name: str) -> Repository:
        self.asked.append(name)
        if self.away:
            raise Unreachable(self.host, "it is down")
        if name not in self.shows:
            raise NotFound(f"no {name}")
        return Repository(self.host, str(self.shows[name]), name)


def app(host: str, name: str, kind: str) -> App:
    """An app of a repository: found by its name, its number, or one of its addresses."""
    home = HOMES[host].removeprefix("https://")
    sources = {
        "name": Source(SourceType(host), name, branch="main"),
        "number": Source(SourceType(host), name, repository_id=str(NUMBERS[name]), branch="main"),
        "url": Source(SourceType.GIT, url=f"{home}/{name}", branch="main"),
        "disk": Source(SourceType.GIT, url=f"file:/srv/{name}", branch="main"),
    }
    return App(f"{name} {kind}", kind, name, source=sources[kind])


def apps(host: str) -> dict[str, str]:
    """Return the repository of each app by its id."""
    return {one.id: one.project for one in all_apps(host)}


def all_apps(host: str) -> list[App]:
    kinds = ["name", "url", "disk", *(["number"] if host == "gitlab" else [])]
    return [app(host, name, kind) for name in NUMBERS for kind in kinds]


def push(host: str, name: str, number: int, at: str, page: str) -> dict[str, Any]:
    """Return a push's body that says this of its repository."""
    commit = {"id": "b" * 40, "message": "x", "author": {"name": "eve"}}
    said = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "commits": [commit]}
    if host == "gitlab":
        project = {"id": number, "path_with_namespace": name, "web_url": page, "git_http_url": at}
        event = {"object_kind": "push", "event_name": "push", "checkout_sha": "b" * 40}
        return said | event | {"project_id": number, "project": project}
    repository = {"id": number, "name": name, "full_name": name, "html_url": page, "clone_url": at}
    return said | {"repository": repository, "head_commit": commit, "pusher": {"login": "eve"}}


def headers_of(host: str, body: bytes) -> dict[str, str]:
    """Return what proves a body by the team's secret."""
    digest = hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    return {
        "github": {
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": "1",
            "X-Hub-Signature-256": f"sha256={digest}",
        },
        "gitlab": {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": KEY, "Idempotency-Key": "1"},
        "gitea": {
            "X-Gitea-Event": "push",
            "X-Gitea-Delivery": "1",
            "X-Gitea-Signature": digest,
            "Content-Type": "application/json",
        },
    }[host] | {"Content-Type": "application/json"}


def reading(host: str, scope: str, *apis: Names) -> Reading:
    """Return what reads deliveries, where only a team's repositories have a secret."""
    settings = Settings.model_validate({host: {"repository_secrets": {scope: KEY}}})
    asked: dict[str, Any] = {one.host: one for one in apis}
    none: Any = None
    return Reading(none, keyrings_of(settings), provenance=Provenance(asked))


async def read(by: Reading, host: str, said: Mapping[str, Any]) -> Meaning | str | Later:
    """Take a body at the door, then interpret it."""
    body = json.dumps(said).encode()
    keyring: Any = by.hosts[host]
    envelope = keyring.open(headers_of(host, body), 0.0)
    signer = keyring.verify(envelope, body)
    headers = {**envelope.headers, **signer.headers}
    kept = Delivery(
        1, host, "1", envelope.event, headers, 0.0, DeliveryState.KEPT, stored=Body(body)
    )
    (found,) = await by.meanings([kept])
    return found


def deployed(host: str, found: Meaning | str | Later) -> set[str]:
    """Return the ids of the apps that a delivery would deploy."""
    if not isinstance(found, Meaning):
        return set()
    assert isinstance(found.event, RefPushed)
    there = apps_of(index(all_apps(host)), found.event.repository)
    return {one.id for one in there if concerns(found.event, one)}


@pytest.mark.parametrize("host", HOMES)
@settings(max_examples=40)
@given(data=st.data())
def test_for_each_app_that_deploys_the_scope_covers_its_repository(
    host: str, data: st.DataObject
) -> None:
    names = st.sampled_from([*NUMBERS, "TEAM-B/Site", "team-b/gone"])
    name, scope = data.draw(names), data.draw(st.sampled_from(SCOPES))
    number = data.draw(st.sampled_from([*NUMBERS.values(), 10]))
    where = st.builds(
        lambda home, name, end: f"{home}/{name}{end}",
        st.sampled_from([*HOMES.values(), "https://evil.example", "file:///srv"]),
        names,
        st.sampled_from(["", ".git"]),
    )
    shows = data.draw(st.sampled_from([NUMBERS, {}, None]))
    apis = () if shows is None else (Names(host, shows),)
    said = push(host, name, number, data.draw(where), data.draw(where))

    found = asyncio.run(read(reading(host, scope, *apis), host, said))

    covers = scope_named(scope)
    for id_ in deployed(host, found):
        repository = apps(host)[id_]
        assert covers.covers(Repository(host, str(NUMBERS[repository]), repository)), (id_, said)


@pytest.mark.parametrize("host", HOMES)
async def test_an_honest_push_deploys_all_that_is_at_its_host(host: str) -> None:
    page = f"{HOMES[host]}/team-b/site"
    said = push(host, "team-b/site", 7, f"{page}.git", page)
    kinds = ["name", "url", *(["number"] if host == "gitlab" else [])]
    for scope, shows in product(SCOPES, (NUMBERS, {}, None)):
        apis = () if shows is None else (Names(host, shows),)

        found = await read(reading(host, scope, *apis), host, said)

        assert deployed(host, found) == {f"team-b/site {kind}" for kind in kinds}


def honest(name: str = "team-b/site", number: int = 7) -> dict[str, Any]:
    page = f"https://github.com/{name}"
    return push("github", name, number, f"{page}.git", page)


async def test_while_its_host_is_away_a_push_waits_and_then_deploys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interpret, "PAUSE", 0.0)
    api = Names("github", away=True)
    by = reading("github", "team-b/*", api)

    assert await read(by, "github", honest()) == Later(
        "github is asked whether team-b/site has this number: github can't be reached: it is down"
    )
    api.away = False
    assert deployed("github", await read(by, "github", honest()))


async def test_what_a_host_has_told_holds_for_a_while_and_while_it_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = Names("github")
    by = reading("github", "team-b/*", api)

    found = [await read(by, "github", honest()) for _ in range(3)]
    assert (len(api.asked), all(deployed("github", one) for one in found)) == (1, True)

    monkeypatch.setattr(interpret, "HOLDS", 0.0)
    other = reading("github", "team-b/*", api)
    assert deployed("github", await read(other, "github", honest()))
    api.away = True
    assert deployed("github", await read(other, "github", honest()))


async def test_a_number_that_its_host_contradicts_is_refused_and_one_made_anew_is_not() -> None:
    api = Names("github", {"team-b/site": 7})
    by = reading("github", "team-b/*", api)
    await read(by, "github", honest())
    assert await read(by, "github", honest(number=9)) == (
        "it calls team-b/site number 9, and at github that is number 7: nothing is deployed for it"
    )
    api.shows = {"team-b/site": 70}

    assert deployed("github", await read(by, "github", honest(number=70)))
