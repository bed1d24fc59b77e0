"""Fixtures of the contract tests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.oracles.prism import github_mock, gitlab_mock
from tests.worlds.backends import STAGES, Repository
from tests.worlds.hosts import host, pem

__all__ = ["github_mock", "gitlab_mock", "host", "pem"]


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    found = Repository(tmp_path / "repository")
    found.path.mkdir()
    found.git("init", "-q", "-b", "main")
    found.commit("feat: first commit")
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await found.close()


@pytest.fixture(params=STAGES)
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, repository: Repository
) -> AsyncIterator[Any]:
    async with STAGES[request.param](tmp_path) as stage:
        yield stage
