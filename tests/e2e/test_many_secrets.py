"""Of a hundred secrets, few are tried for a webhook: those of the repositories that it names."""

import asyncio
import hmac
import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote_plus

import pytest

from bridge.core.errors import UnknownSecret
from bridge.core.events import FromRepository
from bridge.core.hooks import Scope, ScopeKind, named_in, scope_named, signed_by
from bridge.githosts.github.webhooks import GitHub
from bridge.pipeline.deciding.ingest import FEW, MOST_QUEUED, Key, Keyring
from tests.worlds.doors import Opened, signed
from tests.worlds.hosts import webhooks_of

PAYLOADS = Path(__file__).parents[1] / "fixtures" / "payloads"
MANY = 100
WITHOUT_A_NAME = {
    "push_delete_file_2012.json",
    "push_forced_reset_no_commits_2012.json",
    "job.json",
}
"""Recorded payloads without a full name: each secret that no header points to is tried."""


def secret(number: int) -> str:
    return f"the secret of team-{number}/site"


def key(number: int, scope: Scope | None = None) -> Key:
    scope = scope or scope_named(f"team-{number}/site")
    return Key(GitHub([secret(number)]), scope, signed_by(scope, secret(number)))


def keyring(*more: Key) -> Keyring:
    return ring_of([*more, *map(key, range(MANY))])


def ring_of(keys: Sequence[Key], kind: type[Keyring] = Keyring) -> Keyring:
    parser, hint_in = GitHub(["any"]), lambda headers: headers.get("X-Hint", "")
    return kind("github", parser, keys, hint_in, lambda repository: repository)


def push_of(name: str, **more: Any) -> bytes:
    return json.dumps({"ref": "refs/heads/main", "repository": {"full_name": name} | more}).encode()


def by(number: int, body: bytes, **others: Any) -> dict[str, Any]:
    """Return the headers of a body that is signed with one of the secrets."""
    signature = hmac.new(secret(number).encode(), body, "sha256").hexdigest()
    return signed(body, X_Hub_Signature_256=f"sha256={signature}", **others)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The passes over a body until now, each by the thread that made it."""
    made: list[threading.Thread] = []

    def digest(*words: Any) -> bytes:
        made.append(threading.current_thread())
        return hmac.digest(*words)

    place = "bridge.githosts.base.payloads.hmac"
    monkeypatch.setattr(place, SimpleNamespace(digest=digest, compare_digest=hmac.compare_digest))
    return made


@pytest.mark.parametrize(
    ("body", "signer", "status", "most"),
    [
        (push_of("team-7/site"), 7, 202, 1),
        (push_of("Team-7/Site"), 7, 202, 1),
        (push_of("team-7/site"), 8, 401, 1),
        (push_of("a-stranger/site"), 8, 401, 0),
        (push_of("renamed/now", id=583231), 101, 202, 1),
        (push_of("team-7/site", id=583231), 101, 202, 2),
        (push_of("my-org/anything"), 102, 202, 1),
        (b"{}", 99, 202, MANY + 2),
        (b"payload=" + quote_plus(push_of("team-7/site")).encode(), 7, 202, 1),
        (b"payload=" + quote_plus(push_of("renamed/now", id=583231)).encode(), 101, 202, 1),
        (b"payload=" + quote_plus(push_of("a-stranger/site")).encode(), 8, 401, 0),
    ],
    ids=["named", "in capitals", "wrong", "no name of ours", "renamed", "renamed, and another name",
         "of an owner", "nameless", "a form", "a form of a renamed one",
         "a form with no name of ours"],
)  # fmt: skip
async def test_a_webhook_costs_a_pass_for_each_secret_that_it_names(
    opened: Opened,
    passes: list[threading.Thread],
    body: bytes,
    signer: int,
    status: int,
    most: int,
) -> None:
    renamed = key(101, Scope(ScopeKind.REPOSITORY, "renamed/before", "583231"))
    door = await opened({"github": keyring(renamed, key(102, scope_named("my-org/*")))})

    answer = await door.post("/hooks/github", by(signer, body), body)

    assert answer.status == status
    assert len(passes) <= most
    assert len(passes) <= FEW or threading.main_thread() not in passes


def test_a_secret_with_a_hint_is_tried_for_no_webhook_without_it() -> None:
    scope = scope_named("team-1/site")
    hinted = Key(GitHub([secret(1)]), scope, signed_by(scope, secret(1)), "4711")
    ring = ring_of([hinted])
    body = push_of("team-1/site")
    headers = by(1, body)

    for hint in ({}, {"X-Hint": "4712"}):
        with pytest.raises(UnknownSecret):
            ring.open(headers | hint, 0.0)
    assert ring.verify(ring.open(headers | {"X-Hint": "4711"}, 0.0), body) == hinted.signed_by


@pytest.mark.parametrize(
    "named",
    [push_of("team-7/site"), push_of("rotated/site"), push_of("rotated/site", note="x" * 400_000)],
    ids=["one secret", "eight secrets", "eight secrets and a large body"],
)
async def test_who_names_nothing_waits_in_a_short_queue_of_its_own(
    opened: Opened, named: bytes
) -> None:
    let_go = threading.Event()

    class Slow(Keyring):
        def verify(self, envelope: Any, body: Any) -> Any:
            if body == nameless:
                let_go.wait(10)
            return super().verify(envelope, body)

    rotated = [key(number, scope_named("rotated/site")) for number in range(7, 15)]
    ring = ring_of([*rotated, *map(key, range(MANY))], Slow)
    door = await opened({"github": ring})
    nameless = b"{}"
    posts = [
        asyncio.create_task(door.post("/hooks/github", by(1, nameless, id_=str(n)), nameless))
        for n in range(MOST_QUEUED + 2)
    ]

    early, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    good = await door.post("/hooks/github", by(7, named), named)
    let_go.set()

    assert {one.result().status for one in early} == {503}
    assert good.status == 202
    assert {one.status for one in await asyncio.gather(*posts)} == {202, 503}


# ── names ────────────────────────────────────────────────────────────────────────────────────────


def recorded() -> list[tuple[str, Mapping[str, Any], bytes]]:
    """All recorded payloads that are of a repository: host, entry of the index, body."""
    return [
        (host, entry, (PAYLOADS / host / entry["file"]).read_bytes())
        for host in ("github", "gitlab")
        for entry in json.loads((PAYLOADS / host / "index.json").read_text("utf-8"))
    ]


def test_every_recorded_payload_names_its_repository() -> None:
    nameless = set()
    for host, entry, body in recorded():
        headers = {name.lower(): value for name, value in entry["headers"].items()}
        event = webhooks_of(host, "any secret").parse(entry["event"], headers, body)
        if not isinstance(event, FromRepository):
            continue
        named, repository = named_in(body), event.repository
        if not named.names:
            nameless.add(entry["file"])
        else:
            assert named.by_name(Scope(ScopeKind.REPOSITORY, repository.name)), entry["file"]
            assert named.by_id(Scope(ScopeKind.REPOSITORY, "?", repository.id)), entry["file"]
    assert nameless == WITHOUT_A_NAME
