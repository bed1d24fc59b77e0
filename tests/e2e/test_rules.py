"""The bridge's own rules, end to end: tags on GitLab, by version."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.bridge import ZERO, Origin, World, running_world
from tests.worlds.sites import at, gitlab_origin, make_project_app

RULES = """
- apps: shop/*
  trigger: tag
- apps: shop/web
  versions: ">=1.2 <2"
  only_newer: true
"""


@pytest.fixture
async def origin(tmp_path: Path) -> AsyncIterator[Origin]:
    async with gitlab_origin(tmp_path) as project:
        yield project


async def make_app(world: World, origin: Origin) -> dict[str, Any]:
    """One whose watch paths let nothing through."""
    return await make_project_app(world, origin, "nothing/that/changes/**")


async def tag(world: World, origin: Origin, name: str) -> str:
    """Make a tag and deliver its webhook; returns the delivery id."""
    origin.repository.git("tag", name)
    return await world.push(origin, f"refs/tags/{name}", ZERO, origin.head(name))


async def decided(world: World, id_: str) -> tuple[str, str]:
    """Reason and evidence."""
    delivery = await world.delivery(id_, "gitlab")
    (decision,) = (await world.stores.journal.decisions([delivery.seq]))[delivery.seq]
    return str(decision.reason), decision.evidence


@pytest.mark.journey
async def test_a_gitlab_app_deploys_the_versions_of_its_range_and_never_an_older_one(
    tmp_path: Path, origin: Origin
) -> None:
    async with running_world(tmp_path / "bridge", **at(origin), BRIDGE_RULES=RULES) as world:
        app = await make_app(world, origin)
        pushed = await world.commit(origin, "feat: second", {"web/index.html": "second"})
        released = await tag(world, origin, "v1.2.0")
        (deployment,) = await world.ended(1)
        assert (deployment.state, deployment.ref) == ("done", "refs/tags/v1.2.0"), deployment.note
        assert world.backend is not None
        assert (await world.backend.page(app)).text == "second"

        candidate = await tag(world, origin, "v2.0.0-rc.1")
        higher = await tag(world, origin, "v1.3.0")
        await world.ended(2)
        older = await tag(world, origin, "v1.2.1")
        nightly = await tag(world, origin, "nightly")

        assert [await decided(world, id_) for id_ in (pushed, released, candidate)] == [
            ("trigger_mismatch", "a push to a branch (main) arrived, it waits for a tag"),
            ("tag_pushed", "tag v1.2.0 was pushed"),
            ("tag_mismatch", "version 2.0.0-rc.1 is not in >=1.2 <2"),
        ]
        assert [await decided(world, id_) for id_ in (higher, older)] == [
            ("tag_pushed", "tag v1.3.0 was pushed"),
            ("tag_too_old", "tag v1.2.1 is older than v1.3.0, which has been deployed"),
        ]
        assert (await decided(world, nightly))[0] == "tag_mismatch"
        refs = [deployment.ref for deployment in await world.deployments()]
        assert refs == ["refs/tags/v1.2.0", "refs/tags/v1.3.0"]
