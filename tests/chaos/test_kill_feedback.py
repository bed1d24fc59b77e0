"""Kill the bridge after it posts a comment, before it can record that: still one comment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.fakes.github import FakeGithub
from tests.fakes.pulls import FakePull
from tests.worlds.bridge import hook_headers
from tests.worlds.embedded import until


class DeadlyGithub(FakeGithub):
    """Carries out a request, and triggers an event before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.then: list[Callable[[], Awaitable[None]]] = []

    async def _comment(self, request: web.Request) -> web.Response:
        answer = await super()._comment(request)
        if self.then:
            await self.then.pop()()
        return answer


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=1, build_seconds=0.5, listing_delay=0.0) as running:
        yield running


@pytest.fixture
async def github() -> AsyncIterator[DeadlyGithub]:
    async with DeadlyGithub() as host:
        yield host


@pytest.fixture
async def process(
    tmp_path: Path, backend: RecordingBackend, github: DeadlyGithub
) -> AsyncIterator[Process]:
    cluster = Cluster(tmp_path, backend, github)
    made = cluster.new("all")
    made.environment["BRIDGE_FEEDBACK_LEASE"] = "1"
    yield made
    await cluster.end()


async def push(process: Process, before: str, after: str) -> None:
    payload = push_payload(before, after, {"app-0"})
    content = httpx.Request("POST", process.url, json=payload).content
    headers = hook_headers("github", payload, content)
    async with httpx.AsyncClient(base_url=process.url, trust_env=False) as web:
        answer = await web.post("/hooks/github", content=content, headers=headers)
    assert answer.status_code == 202, answer.text


async def deployed(pull: FakePull) -> None:
    async def bodies() -> list[str]:
        return [one.body for one in pull.comments]

    await until(bodies, lambda found: any("✅ deployed" in one for one in found))


async def test_killed_between_posting_and_remembering_there_is_one_comment(
    process: Process, github: DeadlyGithub
) -> None:
    repository = github.repository("my-org/mono")
    before, after = (repository.commit({"app-0/file": text}) for text in ("1", "2"))
    pull = repository.open_pull("main", base="release")
    killed = asyncio.Event()

    async def kill() -> None:
        assert process.running is not None
        process.running.kill()
        killed.set()  # here, since the fake ends requests whose caller is gone

    github.then.append(kill)
    await process.started()
    await push(process, before, after)
    async with asyncio.timeout(20):
        await killed.wait()
    await process.kill()
    assert len(pull.comments) == 1

    await process.start()
    await deployed(pull)

    assert len(pull.comments) == 1
