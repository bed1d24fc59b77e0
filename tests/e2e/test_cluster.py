"""Processes of one role each, on one Postgres: what they do, and what becomes of their work."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.app.storage import open_stores
from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.fakes.github import FakeGithub
from tests.unit.embedded.support import until
from tests.worlds.bridge import hook_headers, settings_for

pytestmark = pytest.mark.slow

APPS = {"app-0", "app-1", "app-2"}


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=3, build_seconds=0.1, listing_delay=0.0) as running:
        yield running


@pytest.fixture
async def cluster(
    tmp_path: Path, backend: RecordingBackend, postgres: str
) -> AsyncIterator[Cluster]:
    """A web and a worker."""
    async with FakeGithub() as github:
        made = Cluster(tmp_path, backend, github, postgres)
        await made.start("web", "worker")
        yield made
        await made.end()


async def push(web: Process, after: str, apps: set[str]) -> None:
    payload = push_payload("0" * 40, after, apps)
    content = httpx.Request("POST", web.url, json=payload).content
    headers = hook_headers("github", payload, content)
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=15) as client:
        answer = await client.post("/hooks/github", content=content, headers=headers)
    assert answer.status_code == 202, answer.text


async def command(cluster: Cluster, *words: str) -> Any:
    """What a command says as JSON, beside the running processes."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words, "--json"),
        env=cluster.processes[0].environment,
        cwd=cluster.folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert process.returncode == 0, (words, output, errors)
    return json.loads(output)


async def asked(backend: RecordingBackend, count: int) -> None:
    async def ledger() -> int:
        return len(backend.ledger)

    await until(ledger, lambda found: found == count)


async def ended(cluster: Cluster, count: int) -> list[str]:
    """The states of all deployments, once there are so many and none goes on."""
    assert cluster.database is not None
    settings = settings_for(cluster.data, DATABASE_URL=cluster.database)
    async with open_stores(settings) as stores:
        found = await until(
            lambda: stores.journal.deployments(limit=99),
            lambda those: len(those) == count and all(one.final for one in those),
        )
    return [str(one.state) for one in found]


async def test_each_role_does_its_part_and_commands_work_beside_them(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    web, worker = cluster.processes
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{worker.url}/hooks/github")).status_code == 404
        for process in (web, worker):
            ready = (await client.get(f"{process.url}/readyz")).json()
            assert ready["status"] == "ready", ready
            assert "bridge_store_bytes" in (await client.get(f"{process.url}/metrics")).text

    await push(web, "a" * 40, {"app-0"})
    await asked(backend, 3)  # a new branch: its files are not known, so all deploy
    followed = await command(cluster, "deploy", "app-1", "--follow")

    assert [one["state"] for one in followed["deployments"]] == ["done"]
    assert await ended(cluster, 4) == ["done"] * 4
    listed = await command(cluster, "deliveries")
    assert {one["state"] for one in listed} == {"decided"}


async def test_new_processes_take_over_what_is_under_way_and_ask_for_nothing_twice(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    old = list(cluster.processes)
    backend.may_end.clear()
    await push(old[0], "a" * 40, APPS)
    await asked(backend, 3)  # three builds under way
    await push(old[0], "b" * 40, APPS)  # three that wait for them

    await cluster.start("web", "worker")
    for process in old:
        cluster.processes.remove(process)
        await process.leave()
    await push(cluster.processes[0], "c" * 40, {"app-0"})
    backend.may_end.set()

    states = await ended(cluster, 9)
    assert Counter(states)["unknown"] == 0
    assert set(states) == {"done", "superseded"}
    assert max(Counter(entry.token for entry in backend.ledger).values()) == 1
    assert not any(entry.overlapped for entry in backend.ledger)
    last = {entry.app: entry.commit for entry in backend.ledger}
    assert last == dict.fromkeys(APPS, "c" * 40)


async def test_what_a_killed_worker_leaves_goes_on_in_another_within_15_seconds(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    web, first = cluster.processes
    backend.may_end.clear()
    await push(web, "a" * 40, APPS)
    await asked(backend, 3)
    await cluster.start("worker")

    await first.kill()
    cluster.processes.remove(first)
    backend.may_end.set()
    async with asyncio.timeout(15):
        assert await ended(cluster, 3) == ["done"] * 3

    assert len(backend.ledger) == 3
