"""An older tag that comes while a newer one is under way, through the whole bridge."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.worlds.bridge import ZERO, World, running_world
from tests.worlds.embedded import until

RULES = """
- apps: "**"
  trigger: tag
  only_newer: true
"""


@dataclass(frozen=True)
class Stage:
    """A bridge, and a backend that builds nothing to its end until it may."""

    world: World
    backend: RecordingBackend

    async def tag(self, name: str) -> None:
        told = push_payload(ZERO, secrets.token_hex(20), set()) | {"ref": f"refs/tags/{name}"}
        answer = await self.world.hook("github", told | {"commits": []})
        assert answer.status_code == 202, answer.text

    async def deployments(self, count: int) -> list[Deployment]:
        """Oldest first, once there are so many."""
        journal = self.world.stores.journal
        found = await until(
            lambda: journal.deployments(limit=10), lambda found: len(found) == count
        )
        return found[::-1]

    async def decided(self, deployment: Deployment) -> str:
        found = await self.world.stores.journal.decisions([deployment.seq])
        return found[deployment.seq][0].evidence


@asynccontextmanager
async def staged(tmp_path: Path) -> AsyncIterator[Stage]:
    async with recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend:
        settings: dict[str, Any] = {
            "BRIDGE_DOKPLOY_URL": backend.url,
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
            "BRIDGE_RULES": RULES,
        }
        backend.may_end.clear()
        async with running_world(tmp_path / "bridge", **settings) as world:
            yield Stage(world, backend)


@pytest.mark.journey
@pytest.mark.parametrize("fails", [False, True], ids=["the newer one is built", "it fails"])
async def test_an_older_tag_deploys_only_if_the_newer_one_under_way_fails(
    tmp_path: Path, *, fails: bool
) -> None:
    async with staged(tmp_path) as stage:
        stage.backend.failing = float(fails)
        await stage.tag("v1.3.0")
        await until(lambda: _building(stage), bool)
        stage.backend.failing = 0.0
        await stage.tag("v1.2.9")
        newer, older = await stage.deployments(2)
        assert await stage.decided(older) == (
            "tag v1.2.9 was pushed; it deploys unless v1.3.0 does, which is newer and under way"
        )

        stage.backend.may_end.set()
        newer, older = sorted(await stage.world.ended(2), key=lambda one: one.seq)

        if fails:
            assert (newer.state, older.state) == ("failed", "done")
            assert len(stage.backend.ledger) == 2
        else:
            assert (newer.state, older.state) == ("done", "superseded")
            assert older.note == f"deployment #{newer.seq} brought up a newer tag"
            assert len(stage.backend.ledger) == 1


async def _building(stage: Stage) -> bool:
    return any(job.status == "running" for job in stage.backend.every)
