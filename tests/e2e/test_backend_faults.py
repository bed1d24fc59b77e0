"""A backend that fails in every way there is, through the whole bridge.

The backend keeps a ledger of what it was asked for; it is compared with what the bridge
says in the end. Nothing is asked twice, except where the bridge says so and what it had
asked before never came to an end.
"""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from bridge.core.backoff import Backoff
from bridge.core.lifecycle import Deployment
from bridge.pipeline.deploying.outcome import FollowTiming
from tests.chaos.recording_backend import (
    Asked,
    Fault,
    RecordingBackend,
    cuts_json,
    push_payload,
    recording_backend,
    resets,
    says,
    says_nothing,
)
from tests.worlds.bridge import World, running_world
from tests.worlds.embedded import until

AGAIN = "asked again"
SOON = Backoff(0.1, 1.0)
WAIT = 1.2
"""Seconds that the backend asks for; a fraction, so that no other pause looks like it."""

ASKING: dict[str, Fault] = {
    "reset, it arrived": resets(arrives=True),
    "reset, it did not": resets(arrives=False),
    "time-out, it arrived": says_nothing(arrives=True),
    "time-out, it did not": says_nothing(arrives=False),
    "truncated JSON": cuts_json(arrives=True),
    "429": says(429),
    "429 with Retry-After": says(429, after=str(WAIT)),
    "503, it arrived": says(503, arrives=True),
    "503, it did not": says(503),
    "503 with Retry-After": says(503, after=str(WAIT)),
}
SILENT = {name for name in ASKING if name.endswith("did not")}
"""Whether it arrived can't be known from the answer, and it did not."""


class Stage:
    """A bridge, its backend, and pushes that concern some apps."""

    def __init__(self, world: World, backend: RecordingBackend) -> None:
        self.world = world
        self.backend = backend
        self.head = "0" * 40

    async def push(self, *apps: str) -> None:
        before, self.head = self.head, secrets.token_hex(20)
        answer = await self.world.hook("github", push_payload(before, self.head, set(apps)))
        assert answer.status_code == 202, answer.text

    async def ended(self, count: int = 1) -> dict[str, Deployment]:
        """By app, once they have ended; all that must hold for each of them is checked."""
        ended = await self.world.ended(count)
        for deployment in ended:
            await self._check(deployment)
        return {deployment.app_id: deployment for deployment in ended}

    async def notes(self, deployment: Deployment) -> str:
        changes = await self.world.stores.journal.changes(deployment.id)
        return "\n".join(change.note for change in changes)

    def asked_for(self, deployment: Deployment) -> list[Asked]:
        of = (deployment.app_id, deployment.commit)
        return [asked for asked in self.backend.ledger if (asked.app, asked.commit) == of]

    async def _check(self, deployment: Deployment) -> None:
        asked = self.asked_for(deployment)
        notes = await self.notes(deployment)
        assert len(asked) <= 1 + notes.count(AGAIN), notes
        for before in asked[:-1]:
            assert before.job.finished is None, notes
        assert not any(one.overlapped for one in asked), notes
        if deployment.state == "done":
            assert asked[-1].job.status == "done"
            assert deployment.deployed_commit == deployment.commit
        elif deployment.state == "cancelled":
            assert asked[-1].job.status == "cancelled"
        else:
            assert (deployment.state, asked) == ("unknown", [])


@asynccontextmanager
async def staged(
    tmp_path: Path, *, apps: int = 1, late: float = 0.0, **journey: str
) -> AsyncIterator[Stage]:
    settings: dict[str, Any] = {
        "BRIDGE_DOKPLOY_API_KEY": "a-key",
        "BRIDGE_DOKPLOY_READ_TIMEOUT": "0.4",
        "BRIDGE_JOURNEY_ADOPT": "1",
        "BRIDGE_JOURNEY_LOST": "1",
    } | {f"BRIDGE_JOURNEY_{name}": value for name, value in journey.items()}
    async with recording_backend(apps=apps, build_seconds=0.05, listing_delay=late) as backend:
        settings["BRIDGE_DOKPLOY_URL"] = backend.url
        with patch("bridge.app.deploying.FollowTiming", partial(FollowTiming, retry=SOON)):
            async with running_world(tmp_path / "bridge", **settings) as world:
                stage = Stage(world, backend)
                await until(procedures(stage), lambda asked: {"application.one", "trpc"} & {*asked})
                yield stage


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(tmp_path) as stage:
        yield stage


def by_app(faults: dict[str, Fault]) -> dict[str, tuple[str, Fault]]:
    """An app for each fault, so that all are met at the same time."""
    return {f"app-{n}": item for n, item in enumerate(faults.items())}


@pytest.mark.journey
async def test_whatever_happens_to_a_deploy_it_is_asked_once(tmp_path: Path) -> None:
    apps = by_app(ASKING)
    async with staged(tmp_path, apps=len(apps)) as stage:
        for app, (_, fault) in apps.items():
            stage.backend.fail("application.deploy", [fault], app)

        await stage.push(*apps)
        ended = await stage.ended(len(apps))

        for app, (name, _) in apps.items():
            notes = await stage.notes(ended[app])
            assert ended[app].state == "done", (name, notes)
            assert len(stage.asked_for(ended[app])) == 1, (name, notes)
            assert (AGAIN in notes) == (name in SILENT), (name, notes)
        times = defaultdict(list)
        for procedure, app, at in stage.backend.arrivals:
            if procedure == "application.deploy":
                times[apps[app][0]].append(at)
        for name, (first, *later) in times.items():
            arrived = name.endswith("it arrived") or name == "truncated JSON"
            assert len(later) == (0 if arrived else 1), name
            if "Retry-After" in name:
                assert later[0] - first >= WAIT, name


@pytest.mark.journey
async def test_a_refused_connection_is_waited_out(stage: Stage) -> None:
    await stage.backend.go_away()
    await stage.push("app-0")
    await until(last_note(stage), lambda note: "waits for the backend" in note)
    await stage.backend.come_back()
    await stage.ended(1)

    stage.backend.may_end.clear()
    await stage.push("app-0")
    await until(states(stage), lambda those: those == ["done", "running"])
    await stage.backend.go_away()
    await until(last_note(stage), lambda note: "watched as soon as that ends" in note)
    stage.backend.may_end.set()
    await stage.backend.come_back()
    await stage.ended(2)

    assert await stage.world.states() == ["done", "done"]
    assert len(stage.backend.ledger) == 2


@pytest.mark.journey
async def test_a_build_that_a_restart_interrupts_is_asked_again_once(stage: Stage) -> None:
    stage.backend.may_end.clear()
    await stage.push("app-0")
    await until(states(stage), lambda those: those == ["running"])

    for count in (1, 2):
        await stage.backend.go_away()
        await stage.backend.forget()
        await stage.backend.come_back()
        if count == 1:
            await until(running_jobs(stage), lambda running: running == 1)
            await until(states(stage), lambda those: those == ["running"])
    ended = await stage.ended()

    assert ended["app-0"].state == "cancelled"
    assert ended["app-0"].note == "the backend was restarted while it built"
    assert len(stage.asked_for(ended["app-0"])) == 2


def states(stage: Stage):
    return stage.world.states


def last_note(stage: Stage):
    async def note() -> str:
        deployments = await stage.world.deployments()
        return deployments[-1].note if deployments else ""

    return note


def procedures(stage: Stage):
    async def asked() -> list[str]:
        return [procedure for procedure, _, _ in stage.backend.arrivals]

    return asked


def running_jobs(stage: Stage, app: str = "app-0"):
    async def running() -> int:
        jobs = stage.backend.jobs[app]
        return sum(job.status == "running" for job in jobs)

    return running
