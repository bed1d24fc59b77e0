"""Webhooks: what is wrong with one, whose an address is, and when secrets are read again."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.errors import Rejected, Unreachable
from bridge.core.events import Repository
from bridge.core.hooks import (
    HostHook,
    Scope,
    ScopeKind,
    faults,
    is_ours,
    same_url,
    scope_named,
    shown_url,
)
from bridge.pipeline.deciding.hooks import MOST_WAITING, PAUSE, HookSecrets
from bridge.ports.hooks import MadeHook
from tests.worlds.rows import each_row

# ── what is wrong with one, and which address is whose ────────────────────────────

AT = "https://bridge.example.com"
URL = f"{AT}/hooks/github"
MONO = Scope(ScopeKind.REPOSITORY, "my-org/mono", "1")


@each_row(
    ("wrong", "said"),
    [
        ({}, None),
        ({"url": "HTTPS://Bridge.Example.com:443/hooks/github/"}, None),
        ({"url": URL.replace("s:", ":")}, f"it sends to http://…, and the bridge is at {URL}"),
        ({"url": f"{AT}/webhook?token=hunter2"}, "it sends to the wrong path, /webhook instead of"),
        ({"active": False}, "it is switched off"),
        ({"missing": ("push", "delete")}, "it does not send push, delete"),
        ({"as_json": False}, "it sends a form instead of JSON"),
        (
            {"checks_tls": False},
            "it does not check the bridge's certificate (SSL verification is off)",
        ),
        ({"trouble": "its last delivery failed (401)"}, "its last delivery failed (401)"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said(wrong: dict[str, Any], said: str | None) -> None:
    hook = replace(HostHook(MONO, "12", URL), **wrong)

    assert [one.startswith(str(said)) for one in faults(hook, URL)] == [True] * bool(said)


@each_row(
    ("url", "base", "ours"),
    [
        ("http://bridge.example.com/webhook", AT, True),
        (f"{AT}:8443/hooks/github", AT, False),
        ("https://other.example.com/hooks/github", AT, False),
        ("https://example.com/bridge/hooks/github", "https://example.com/bridge", True),
        ("https://example.com/bridges/hooks", "https://example.com/bridge/", False),
        ("https://[::1/x", AT, False),
    ],
)
def test_an_address_of_this_bridge_is_known_however_it_is_written(url, base, ours) -> None:
    assert is_ours(url, base) is ours
    assert same_url(URL, "https://BRIDGE.example.com:443/hooks/github/")
    assert not same_url(URL, "https://bridge.example.com/Hooks/github")
    assert not same_url(URL, f"{URL}?a=b")
    assert same_url("nothing", "nothing")


def test_no_secret_in_an_address_is_shown() -> None:
    url = "https://ada:hunter2@dokploy.example.com:3000/api/deploy/hunter2?token=hunter2"

    assert shown_url(url, whole=False) == "https://dokploy.example.com:3000/…"
    assert shown_url(URL) == URL
    assert "hunter2" not in shown_url("https://a:hunter2@b.example.com/x?y=hunter2")
    assert shown_url("hunter2") == "(no address)"


@each_row(
    ("scope", "covered"),
    [
        (MONO, True), (replace(MONO, name="renamed/since"), True), (replace(MONO, id="2"), False),
        (replace(MONO, id="", name="MY-ORG/Mono"), True),
        (replace(MONO, id="", name="my-org/mon"), False), (Scope(ScopeKind.APP, "", "5"), True),
        (Scope(ScopeKind.OWNER, "renamed", "77"), True),
        (Scope(ScopeKind.OWNER, "my-org", "78"), False), (scope_named("My-Org/*"), True),
        (scope_named("my-or/*"), False), (scope_named("my-org/mono"), True),
    ],
)  # fmt: skip
def test_a_secret_speaks_for_its_own_repositories(scope: Scope, covered: bool) -> None:
    repository = Repository("github", "1", "my-org/mono", owner_id="77")

    assert scope.covers(repository) is covered
    assert Scope.read(scope.written()) == scope
    group = Scope(ScopeKind.OWNER, "group", "5")  # of a host that names no owner by id
    assert group.covers(Repository("gitlab", "1", "group/sub/project"))
    assert not group.covers(Repository("gitlab", "1", "groups/project"))
    with pytest.raises(Rejected, match="can't be read"):
        Scope.read("anything")


# ── when secrets are read again ───────────────────────────────────────────────────


class World:
    """Counts the readings of a store, which can't be reached where `hooks` is None."""

    def __init__(self) -> None:
        self.hooks: list[MadeHook] | None = []
        self.used: list[Sequence[MadeHook]] = []
        self.readings, self.pauses = 0, list[float]()
        self.go_on = asyncio.Event()
        store: Any = self
        self.secrets = HookSecrets(store, self.used.append, self.sleep)

    async def made_hooks(self) -> list[MadeHook]:
        self.readings += 1
        if self.hooks is None:
            raise Unreachable("the journal", "nothing listens")
        return list(self.hooks)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.go_on.wait()
        self.go_on.clear()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    found = World()
    task = asyncio.create_task(found.secrets.run())
    yield found
    task.cancel()


async def test_all_who_wait_share_one_reading_and_only_so_many_wait(world: World) -> None:
    new = MadeHook("github", MONO, "sealed", 0.0)
    world.hooks = [new]

    assert await asyncio.gather(*(world.secrets.renew() for _ in range(20))) == [True] * 20
    assert (world.readings, world.used, world.pauses) == (1, [[new]], [PAUSE])

    waiting = [asyncio.create_task(world.secrets.renew()) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    assert world.secrets.full
    assert not await world.secrets.renew()
    assert world.readings == 1

    world.go_on.set()  # the next reading comes a second later
    assert await asyncio.gather(*waiting) == [True] * MOST_WAITING
    assert world.readings == 2
    assert not world.secrets.full


async def test_while_the_store_is_away_nobody_is_told_of_new_secrets_and_the_old_ones_stay(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.hooks = None

    assert not await world.secrets.renew()

    assert world.used == []
    assert [record.message for record in caplog.records] == ["secrets of webhooks can't be read"]
