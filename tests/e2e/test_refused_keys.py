"""A Dokploy that answers 401 loses no push: to all keys while its database is away, or to ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment
from bridge.pipeline.deciding.apps import NOTED
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.worlds.bridge import SECRET, World, running_world
from tests.worlds.embedded import until
from tests.worlds.guarded import Guard
from tests.worlds.shell import command

KEY = "a-key"
ZERO, FIRST, SECOND = "0" * 40, "1" * 40, "2" * 40


class Stage:
    """A bridge, its backend, and who stands at the backend's door."""

    def __init__(self, data: Path, world: World, backend: RecordingBackend, guard: Guard) -> None:
        self.data = data
        self.world = world
        self.backend = backend
        self.guard = guard

    async def push(self, before: str = ZERO, after: str = FIRST) -> None:
        answer = await self.world.hook("github", push_payload(before, after, {"app-0"}))
        assert answer.status_code == 202, answer.text

    async def refused_again(self, times: int = 1) -> None:
        """Until the bridge has been turned away so often from now on."""
        wanted = self.guard.refused + times
        await until(self._refused, lambda refused: refused >= wanted)

    async def _refused(self) -> int:
        return self.guard.refused

    async def noted(self, words: str) -> None:
        """Until the journal tells so of the backends."""
        await until(lambda: self.world.stores.journal.recall(NOTED), lambda t: words in (t or ""))

    async def in_state(self, state: str) -> None:
        await until(self.world.states, lambda states: states == [state])

    async def the_only(self) -> Deployment:
        (deployment,) = await self.world.ended(1)
        return deployment

    async def waits_for_the_backend(self) -> str:
        """Until the only deployment says so; returns what it says."""
        await until(self.world.deployments, lambda those: len(those) == 1)
        return await until(self._notes, lambda notes: "waits for the backend" in notes)

    async def _notes(self) -> str:
        (deployment,) = await self.world.deployments()
        changes = await self.world.stores.journal.changes(deployment.id)
        return "\n".join(change.note for change in changes)


@asynccontextmanager
async def staged(tmp_path: Path, guard: Guard | None = None) -> AsyncIterator[Stage]:
    settings: dict[str, Any] = {
        "BRIDGE_DOKPLOY_API_KEY": KEY,
        "BRIDGE_JOURNEY_CATALOG_EVERY": "0.2",
    }
    async with recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend:
        guard = (guard or Guard()).stand_before(backend)
        async with running_world(
            tmp_path / "bridge", BRIDGE_DOKPLOY_URL=backend.url, **settings
        ) as world:
            yield Stage(tmp_path / "bridge", world, backend, guard)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        await until(stage.world.stores.journal.apps, lambda apps: len(apps) == 1)
        yield stage


Trouble = Callable[[Guard], None]


def database_away(guard: Guard) -> None:
    guard.database = False


def key_disabled(guard: Guard) -> None:
    guard.refuses = {KEY}


def key_used_up_behind_the_door(guard: Guard) -> None:
    guard.twice = {"application.one"}


def mended(guard: Guard) -> None:
    guard.database, guard.refuses = True, set()


BOTH = pytest.mark.parametrize("begin", [database_away, key_disabled])


@pytest.mark.journey
@BOTH
async def test_a_push_that_comes_meanwhile_waits_and_deploys_once(
    stage: Stage, begin: Trouble
) -> None:
    begin(stage.guard)
    await stage.push()
    await stage.waits_for_the_backend()
    await stage.refused_again(3)
    assert await stage.world.states() == ["waiting"]

    mended(stage.guard)

    deployment = await stage.the_only()
    assert (deployment.state, deployment.deployed_commit) == ("done", FIRST), deployment.note
    assert len(stage.backend.ledger) == 1


async def test_the_apps_stay_in_the_catalog(stage: Stage) -> None:
    key_used_up_behind_the_door(stage.guard)
    await stage.refused_again(4)

    assert [app.id for app in await stage.world.stores.journal.apps()] == ["app-0"]


@pytest.mark.journey
@BOTH
async def test_a_bridge_that_starts_meanwhile_keeps_what_comes_and_deploys_it_later(
    tmp_path: Path, begin: Trouble
) -> None:
    guard = Guard()
    begin(guard)
    async with staged(tmp_path, guard) as stage:
        await stage.push()
        await stage.refused_again(3)
        assert await stage.world.states() == []

        mended(guard)

        assert (await stage.the_only()).state == "done"


# ── How it is told ───────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Ran:
    code: int | None
    out: str
    err: str


async def run(stage: Stage, *words: str) -> Ran:
    """Run a command beside the bridge that runs."""
    given = {
        "BRIDGE_DATA": str(stage.data),
        "BRIDGE_DOKPLOY_URL": stage.backend.url,
        "BRIDGE_DOKPLOY_API_KEY": KEY,
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
    }
    done = await command(words, stage.data.parent, given)
    return Ran(done.exit_code, done.stdout, done.stderr)


SAYS = [["apps"], ["deliveries"], ["deployments"], ["deploy", "app-0"]]


async def test_the_command_line_says_what_is_away_since_when_and_what_that_means(
    stage: Stage,
) -> None:
    database_away(stage.guard)
    await stage.noted("its own database is away")

    for words in SAYS:
        told = (await run(stage, *words)).err
        assert "its own database is away" in told, words
        assert "(since " in told, words
        assert "nothing is lost" in told, words

    mended(stage.guard)
    await stage.noted("{}")
    await stage.the_only()
    assert (await run(stage, "deployments")).err == ""


async def test_a_deployment_that_is_followed_says_why_it_waits(stage: Stage) -> None:
    database_away(stage.guard)
    await stage.noted("its own database is away")

    following = asyncio.create_task(run(stage, "deploy", "app-0", "--follow"))
    await stage.waits_for_the_backend()
    mended(stage.guard)

    followed = await following
    assert followed.code == 0
    assert "waits for the backend: dokploy can't be reached: its own database" in followed.out


async def test_readyz_tells_insiders_alone_and_stays_ready(stage: Stage) -> None:
    database_away(stage.guard)
    await stage.noted("its own database is away")

    inside = await stage.world.web.get("/readyz")
    assert inside.status_code == 200
    assert inside.json()["status"] == "ready"
    told = inside.json()["backend dokploy"]
    assert "its own database is away" in told
    assert "(since 20" in told
    metrics = (await stage.world.web.get("/metrics")).text
    assert 'bridge_trouble{part="backend dokploy"} 1.0' in metrics

    outside = await stage.world.web.get("/readyz", headers={"X-Forwarded-For": "203.0.113.7"})
    assert outside.status_code == 200
    assert set(outside.json()) == {"status", "inbox", "journal", "workflows"}
