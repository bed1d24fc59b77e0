"""Under a stream of webhooks the process is killed again and again: nothing lost, nothing twice.

The sender, the backend and the killer stand outside; what they wrote down is compared with
what the bridge says in the end.
"""

import asyncio
import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bridge.core.lifecycle import Deployment
from bridge.ports import DeliveryState
from bridge.storage import open_stores
from tests.chaos.recording_backend import (
    RecordingBackend,
    free_port,
    push_payload,
    recording_backend,
)
from tests.unit.embedded.support import until
from tests.world import SECRET, hook_headers, settings_for

APPS = 6
KILLS = int(os.environ.get("CHAOS_KILLS", "5"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(10**9)


@dataclass
class Process:
    """`serve` as a process of its own, killed and started again under one address."""

    data: Path
    backend_url: str
    port: int = field(default_factory=free_port)
    running: asyncio.subprocess.Process | None = None
    more: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        environment = {name: v for name, v in os.environ.items() if not name.startswith("BRIDGE_")}
        settings = {
            "BRIDGE_DATA": str(self.data),
            "PORT": str(self.port),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_DOKPLOY_URL": self.backend_url,
            "BRIDGE_DOKPLOY_API_KEY": "a key",
            "BRIDGE_JOURNEY_LOOK": "0.05",
            "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
            "BRIDGE_JOURNEY_ADOPT": "1.5",
            "BRIDGE_LOG_LEVEL": "warning",
        }
        with (self.data.parent / "log").open("ab") as log:
            self.running = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "serve"),
                env=environment | settings | self.more,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def kill(self) -> None:
        assert self.running is not None
        self.running.kill()
        await self.running.wait()

    async def stop(self) -> None:
        if self.running is not None and self.running.returncode is None:
            self.running.terminate()
            await self.running.wait()


@dataclass
class Push:
    """What the sender knows of one push."""

    id: str
    after: str
    apps: set[str]
    answered: bool = False


@dataclass
class Sender:
    """Sends one push after the other and keeps its own ledger of what was answered."""

    url: str
    random: random.Random
    head: str = "0" * 40
    sent: list[Push] = field(default_factory=list)

    @property
    def answered(self) -> set[str]:
        return {push.id for push in self.sent if push.answered}

    async def run(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=10) as web:
            while True:
                await self.push(web)
                await asyncio.sleep(self.random.uniform(0.005, 0.04))

    async def push(self, web: httpx.AsyncClient) -> None:
        apps = set(self.random.sample([f"app-{n}" for n in range(APPS)], 2))
        before, after = self.head, f"{self.random.getrandbits(160):040x}"
        payload = push_payload(before, after, apps)
        content = httpx.Request("POST", self.url, json=payload).content
        headers = hook_headers("github", payload, content)
        self.head = after
        self.sent.append(push := Push(headers["X-GitHub-Delivery"], after, apps))
        try:
            answer = await web.post("/hooks/github", content=content, headers=headers)
        except httpx.TransportError:
            return
        assert answer.status_code == 202, answer.text
        push.answered = True


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=APPS, build_seconds=0.15, listing_delay=0.1) as running:
        yield running


@pytest.fixture
async def process(tmp_path: Path, backend: RecordingBackend) -> AsyncIterator[Process]:
    process = Process(tmp_path / "bridge", backend.url)
    yield process
    await process.stop()


async def alive(process: Process) -> None:
    async with httpx.AsyncClient(base_url=process.url, trust_env=False) as web:

        async def probe() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await web.get("/healthz")).status_code == 200
            return False

        await until(probe, bool)


@pytest.mark.slow
async def test_kills_under_load_lose_nothing_and_repeat_nothing(
    process: Process, backend: RecordingBackend
) -> None:
    chance = random.Random(SEED)
    await process.start()
    await alive(process)
    sender = Sender(process.url, chance)
    sending = asyncio.create_task(sender.run())
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.3, 2.0))  # the moment of death is what is drawn
        await process.kill()
        await process.start()
        await alive(process)
    await asyncio.sleep(1.0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)

    kept, deployments = await all_ended(process, sender.answered)

    asked = Counter(entry.token for entry in backend.ledger)
    twice = {token: count for token, count in asked.items() if count > 1}
    overlapping = [entry for entry in backend.ledger if entry.overlapped]
    sys.stdout.write(
        f"seed {SEED}: {KILLS} kills, {len(sender.sent)} sent, {len(sender.answered)} answered,"
        f" {len(kept)} kept, {len(deployments)} deployments, {len(backend.ledger)} asked,"
        f" lost 0, twice {len(twice)}, overlapping {len(overlapping)}\n"
    )
    assert not twice
    assert not overlapping
    assert {deployment.state for deployment in deployments} <= {"done", "superseded"}
    # One that was kept and cut off before its answer counts as well.
    for app in {app for push in sender.sent if push.id in kept for app in push.apps}:
        newest = [p.after for p in sender.sent if p.id in kept and app in p.apps][-1]
        assert [entry.commit for entry in backend.ledger if entry.app == app][-1] == newest


async def all_ended(process: Process, answered: set[str]) -> tuple[set[str], list[Deployment]]:
    """What is kept, and every deployment, once all is decided and has ended; else it fails."""
    async with open_stores(settings_for(process.data)) as stores:
        deadline = time.monotonic() + 60
        while True:
            kept = {d.id: d.state for d in await stores.inbox.newest(100_000)}
            lost = answered - set(kept)
            assert not lost, f"answered, but not kept: {lost}"
            undecided = [id_ for id_ in kept if kept[id_] is not DeliveryState.DECIDED]
            open_ones = await stores.journal.open_deployments()
            if not undecided and not open_ones:
                return set(kept), await stores.journal.deployments(limit=100_000)
            assert time.monotonic() < deadline, (undecided[:5], open_ones[:5])
            await asyncio.sleep(0.1)
