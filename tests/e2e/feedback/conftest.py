"""A bridge beside one Git host, for what people see there; `fake` is parametrized by each file."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.githosts import HOSTS
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost, FakeRepository
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.feedback import QUICKLY

FAKES: dict[str, type[FakeGithub | FakeGitlab]] = {"github": FakeGithub, "gitlab": FakeGitlab}
NAMES = {"github": "my-org/mono", "gitlab": "my-group/sub/mono"}


@pytest.fixture
async def fake(request: pytest.FixtureRequest) -> AsyncIterator[FakeGithub | FakeGitlab]:
    """The host of this name."""
    async with FAKES[request.param]() as host:
        yield host


@pytest.fixture
def origin(origin: Origin, fake: FakeHost) -> Origin:
    """The origin as a repository of the host's."""
    return replace(origin, host=fake.name, name=NAMES[fake.name])


@pytest.fixture
def theirs(fake: FakeHost, origin: Origin) -> FakeRepository:
    """The origin as the host has it."""
    return fake.repository(origin.name, id=origin.id, git=origin.repository.path)


@pytest.fixture
def uses() -> str | None:
    """What of the host shows something; None: as it is by default."""
    return None


@pytest.fixture
def further() -> dict[str, str]:
    """Settings besides."""
    return {}


@pytest.fixture
async def world(
    tmp_path: Path,
    fake: FakeGithub | FakeGitlab,
    uses: str | None,
    further: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """A bridge that writes there as fast as it can, and soon looks again for pull requests."""
    monkeypatch.setattr("bridge.githosts.feedback.subscriptions.LOOKS_AGAIN", (0.05, 0.05))
    for host, provider in HOSTS.items():
        monkeypatch.setitem(HOSTS, host, replace(provider, limits=()))
    said = {f"BRIDGE_{fake.name.upper()}_FEEDBACK": uses} if uses else {}
    settings: dict[str, Any] = fake.settings | QUICKLY | said | further
    async with running_world(tmp_path / "bridge", **settings) as running:
        yield running
