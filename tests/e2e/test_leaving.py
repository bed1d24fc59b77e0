"""Told to leave in the middle of everything: gone within ten seconds, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bridge.app.storage import Stores, open_stores
from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import (
    RecordingBackend,
    push_payload,
    recording_backend,
    says_nothing,
)
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import hook_headers, settings_for
from tests.worlds.embedded import until

pytestmark = pytest.mark.slow

APPS = {"app-0", "app-1", "app-2"}
LEAVES_WITHIN = 10.0
SENDERS = 16
ENOUGH = 200
"""Deliveries that are acknowledged before anybody is told to leave."""


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=3, build_seconds=0.1, listing_delay=0.0) as running:
        yield running


@asynccontextmanager
async def cluster_of(
    folder: Path, backend: RecordingBackend, url: str | None
) -> AsyncIterator[Cluster]:
    """Nobody in it yet."""
    async with FakeGithub() as github:
        made = Cluster(folder, backend, github, url)
        try:
            yield made
        finally:
            await made.end()


@pytest.fixture(params=["sqlite", "postgres"])
async def cluster(
    request: pytest.FixtureRequest, tmp_path: Path, backend: RecordingBackend
) -> AsyncIterator[Cluster]:
    url = request.getfixturevalue("postgres") if request.param == "postgres" else None
    async with cluster_of(tmp_path, backend, url) as made:
        yield made


@dataclass
class Flood:
    """Senders that never pause; what they were told."""

    web: Process
    acknowledged: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Send until nobody listens any more."""
        async with httpx.AsyncClient(base_url=self.web.url, trust_env=False, timeout=15) as client:
            await asyncio.gather(*(self._send(client, n) for n in range(SENDERS)))

    async def _send(self, client: httpx.AsyncClient, sender: int) -> None:
        payload = push_payload("0" * 40, f"{sender:040x}", {"nobody's"})
        content = httpx.Request("POST", "http://x", json=payload).content
        with suppress(httpx.TransportError):
            while True:
                headers = hook_headers("github", payload, content)
                answer = await client.post("/hooks/github", content=content, headers=headers)
                if answer.status_code == 202:
                    self.acknowledged.append(headers["X-GitHub-Delivery"])
                elif answer.status_code != 503:
                    self.odd.append(answer.text)
                if len(self.acknowledged) >= ENOUGH:
                    self.enough.set()


def stores_of(cluster: Cluster) -> AbstractAsyncContextManager[Stores]:
    others = {"DATABASE_URL": cluster.database} if cluster.database else {}
    return open_stores(settings_for(cluster.data, **others))


async def push(web: Process, after: str, apps: set[str]) -> None:
    payload = push_payload("1" * 40, after, apps)
    content = httpx.Request("POST", "http://x", json=payload).content
    headers = hook_headers("github", payload, content)
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=15) as client:
        answer = await client.post("/hooks/github", content=content, headers=headers)
    assert answer.status_code == 202, answer.text


async def asked(backend: RecordingBackend, count: int) -> None:
    async def ledger() -> int:
        return len(backend.ledger)

    await until(ledger, lambda found: found == count)


async def all_done(cluster: Cluster, count: int) -> None:
    async with stores_of(cluster) as stores:
        await until(
            lambda: stores.journal.deployments(limit=99),
            lambda those: [str(one.state) for one in those] == ["done"] * count,
        )


async def test_what_was_acknowledged_in_a_flood_is_kept_by_one_that_leaves(
    cluster: Cluster,
) -> None:
    await cluster.start("web" if cluster.database else "all")
    (web,) = cluster.processes
    flood = Flood(web)
    sending = asyncio.create_task(flood.run())
    async with asyncio.timeout(60):
        await flood.enough.wait()

    took = await web.leave()
    await sending

    assert took < LEAVES_WITHIN
    assert flood.odd == []
    async with stores_of(cluster) as stores:
        kept = {one.id for one in await stores.inbox.newest(1_000_000)}
    assert set(flood.acknowledged) <= kept


async def test_one_that_waits_for_answers_of_its_backend_leaves_and_the_next_adopts(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    for app in APPS:
        backend.fail("application.deploy", [says_nothing(arrives=True)], app)
    roles = ("web", "worker") if cluster.database else ("all",)
    for role in roles:
        cluster.new(role).environment["BRIDGE_DOKPLOY_READ_TIMEOUT"] = "60"
    await asyncio.gather(*(one.started() for one in cluster.processes))
    worker = cluster.processes[-1]
    await push(cluster.processes[0], "a" * 40, APPS)
    await asked(backend, 3)

    assert await worker.leave() < LEAVES_WITHIN

    await cluster.start(worker.role)
    await all_done(cluster, 3)
    assert len(backend.ledger) == 3
