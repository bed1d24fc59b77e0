"""Processes of one role each, on one Postgres: what they do, and what becomes of their work."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.app.storage import Stores, open_stores
from bridge.core.people import Actor
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Audited
from tests.chaos.cluster import Cluster, Process
from tests.chaos.dokploy.services import Config
from tests.chaos.recording_backend import RecordingBackend, push_payload, recording_backend
from tests.fakes.github import FakeGithub
from tests.fakes.pulls import FakeCommit
from tests.worlds import shell
from tests.worlds.bridge import hook_headers, settings_for
from tests.worlds.embedded import until

pytestmark = pytest.mark.slow

APPS = {"app-0", "app-1", "app-2"}

QUICK = {
    "BRIDGE_CATCHUP_SWEEP": "true",
    "BRIDGE_CATCHUP_EVERY": "0.3",
    "BRIDGE_JOURNEY_CATALOG_EVERY": "0.3",
    "BRIDGE_LOG_LEVEL": "info",
}
"""What is done now and then is done often, and told in the log."""

YEARS = 3 * 365 * 86_400.0


@pytest.fixture
async def backend() -> AsyncIterator[RecordingBackend]:
    async with recording_backend(apps=3, build_seconds=0.1, listing_delay=0.0) as running:
        yield running


@pytest.fixture
async def cluster(
    tmp_path: Path, backend: RecordingBackend, postgres: str
) -> AsyncIterator[Cluster]:
    """A web and a worker, on a repository whose main branch has a pull request."""
    async with FakeGithub() as github:
        backend.git = github.url
        repository = github.repository("my-org/mono")
        repository.commits |= {sha: FakeCommit(sha, (), {}) for sha in ("a" * 40, "b" * 40)}
        repository.branches |= {"main": "a" * 40, "release": "a" * 40}
        repository.open_pull("main", base="release").commits.add("b" * 40)
        made = Cluster(tmp_path, backend, github, postgres, settings=QUICK)
        await made.start("web", "worker")
        yield made
        await made.end()


async def push(cluster: Cluster, after: str, apps: set[str], before: str = "0" * 40) -> str:
    """Deliver a push's webhook to the first process; returns its delivery id."""
    web, git = cluster.processes[0], cluster.backend.git
    payload = push_payload(before, after, apps, git=git)
    content = httpx.Request("POST", web.url, json=payload).content
    headers = hook_headers("github", payload, content)
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=15) as client:
        answer = await client.post("/hooks/github", content=content, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["delivery"])


async def command(cluster: Cluster, *words: str) -> Any:
    """What a command says as JSON, beside the running processes."""
    environment = cluster.processes[0].environment
    done = await shell.command((*words, "--json"), cluster.folder, environment)
    assert done.exit_code == 0, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


async def asked(backend: RecordingBackend, count: int) -> None:
    async def ledger() -> int:
        return len(backend.ledger)

    await until(ledger, lambda found: found == count)


def stores_of(cluster: Cluster) -> AbstractAsyncContextManager[Stores]:
    assert cluster.database is not None
    return open_stores(settings_for(cluster.data, DATABASE_URL=cluster.database))


async def decided(cluster: Cluster, id_: str) -> None:
    """Wait until a delivery is decided."""
    async with stores_of(cluster) as stores:
        await until(
            lambda: stores.inbox.find("github", id_),
            lambda found: found is not None and found.state is not DeliveryState.KEPT,
        )


async def ended(cluster: Cluster, count: int) -> list[str]:
    """The states of all deployments, once there are so many and none goes on."""
    async with stores_of(cluster) as stores:
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

    backend.may_end.clear()
    first = await push(cluster, "a" * 40, APPS)
    await asked(backend, 3)  # a new branch: its files are not known, so all deploy
    second = await push(cluster, "b" * 40, APPS)
    async with stores_of(cluster) as stores:  # three that wait for them
        await until(lambda: stores.journal.deployments(limit=99), lambda found: len(found) == 6)
    cancel, _ = await asyncio.gather(
        command(cluster, "cancel", "app-1"),
        command(cluster, "provider", "set", "git", "app-2", "--branches", "release", "--yes"),
    )
    backend.may_end.set()
    followed = await command(cluster, "deploy", "app-1", "--follow")
    assert [one["state"] for one in followed["deployments"]] == ["done"]
    by_hand = followed["deployments"][0]["delivery"]
    assert sorted(await ended(cluster, 7)) == ["cancelled"] + ["done"] * 6
    (pull,) = cluster.github.repositories["my-org/mono"].pulls.values()

    async def comments() -> int:
        return len(pull.comments)

    await until(comments, lambda found: found == 1)
    listed, deployed, why, explained, shown, changed = await asyncio.gather(
        command(cluster, "deliveries"),
        command(cluster, "deployments", "--app", "app-1"),
        command(cluster, "why", "app-1", "b" * 40),
        command(cluster, "explain", second, "--app", "app-2"),
        command(cluster, "feedback"),
        command(cluster, "audit"),
    )
    assert [one["id"] for one in listed] == [by_hand, cancel["delivery"], second, first]
    assert {one["state"] for one in listed} == {"decided"}
    assert [(one["delivery"], one["state"]) for one in deployed] == [
        (by_hand, "done"),
        (second, "cancelled"),
        (first, "done"),
    ]
    assert [(one["delivery"], one["reason"]) for one in why] == [(second, "paths_unknown")]
    assert [one["reason"] for one in explained["decisions"]] == ["branch_mismatch"]
    assert Counter(one["kind"] for one in shown) == {"github.push": 2, "github.comment": 1}
    assert {one["error"] for one in shown} == {None}
    assert {(one["action"], one["app"], one["outcome"]) for one in changed} == {
        ("cancel", "shop/app-1", f"kept as {cancel['delivery']}"),
        ("provider set", "shop/app-2", "done"),
        ("deploy", "shop/app-1", f"kept as {by_hand}"),
    }


async def test_what_a_killed_worker_leaves_goes_on_in_another_within_15_seconds(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    """Its deployments, and what one of all workers does now and then."""
    _, first = cluster.processes
    backend.may_end.clear()
    await push(cluster, "a" * 40, APPS)
    await asked(backend, 3)
    await cluster.start("worker")
    second = cluster.processes[-1]
    await done_now_and_then(cluster, first, times=3)
    assert errands(cluster, second) == Counter()

    async with stores_of(cluster) as stores:
        await stores.journal.audit(old_change())
        await first.kill()
        cluster.processes.remove(first)
        backend.may_end.set()
        async with asyncio.timeout(15):
            assert await ended(cluster, 3) == ["done"] * 3
            await done_now_and_then(cluster, second, times=2)
            await until(lambda: stores.journal.audited(limit=9), lambda found: found == [])

    assert len(backend.ledger) == 3


def errands(cluster: Cluster, worker: Process) -> Counter[str]:
    """How often a worker did each of what one does for all, as backend and Git host saw it."""
    key, token = (worker.environment[n] for n in ("BRIDGE_DOKPLOY_API_KEY", "BRIDGE_GITHUB_TOKEN"))
    asked = cluster.backend.askers
    sweeps = [
        one
        for one in cluster.github.asked
        if "/mono/hooks" in one.path and one.authorization.endswith(token)
    ]
    return +Counter(
        apps=asked["overview.services", key],
        version=asked["settings.getDokployVersion", key],
        hooks=len(sweeps),
    )


async def done_now_and_then(cluster: Cluster, worker: Process, *, times: int) -> None:
    """Return once a worker has done so often more what has to be done again and again."""
    before = errands(cluster, worker)

    async def more() -> Counter[str]:
        return errands(cluster, worker) - before

    await until(more, lambda done: min(done["apps"], done["hooks"]) >= times)
    assert errands(cluster, worker)["version"] >= 1


def old_change() -> Audited:
    """Somebody changed something longer ago than it is kept."""
    return Audited(time.time() - YEARS, Actor("cli", "ada"), "env set", "app-0", "shop/app-0", ())


async def test_a_push_is_decided_once_for_apps_found_late_whichever_worker_finds_them(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    await cluster.start("worker")
    _, first, second = cluster.processes
    late = {f"late-{n}": f"{n:x}" * 40 for n in range(1, 9)}
    head = "f" * 40
    for number, (name, commit) in enumerate(late.items()):
        backend.has(name, Config(watch_paths=(f"{name}/**",)))
        await push(cluster, commit, {"app-0", name}, before=head)
        head = commit
        if number == 2:
            await first.kill()
        if number == 4:
            await first.started()
        if number == 6:
            await second.kill()

    async def asked_for_late_ones() -> Counter[tuple[str, str]]:
        return Counter((one.app, one.commit) for one in backend.ledger if one.app in late)

    await until(asked_for_late_ones, lambda found: found.keys() >= set(late.items()), patience=60)
    await second.started()
    async with stores_of(cluster) as stores:
        await until(stores.journal.open_deployments, lambda found: not found)
        for app, commit in late.items():
            (deployment,) = await stores.journal.deployments(limit=9, app_id=app)
            assert (deployment.state, deployment.deployed_commit) == ("done", commit)
    assert await asked_for_late_ones() == Counter(late.items())


async def test_the_console_of_a_web_shows_at_once_what_a_worker_does(
    cluster: Cluster, backend: RecordingBackend
) -> None:
    web = cluster.processes[0]
    async with httpx.AsyncClient(base_url=web.url, trust_env=False, timeout=30) as client:
        environment = web.environment
        made = await shell.command(("console", "--url", web.url), cluster.folder, environment)
        link = made.stdout.split()[0]
        assert (await client.get(link.removeprefix(web.url))).status_code == 303

        headers = {"Accept": "text/event-stream"}
        async with client.stream("GET", "/console/live", headers=headers) as stream:
            lines = stream.aiter_lines()
            await push(cluster, "a" * 40, {"app-0"})
            async with asyncio.timeout(20):
                while await anext(lines) != "event: changed":
                    pass
        async with stores_of(cluster) as stores:
            (deployment, *_) = await until(
                lambda: stores.journal.deployments(limit=1, app_id="app-0"),
                lambda those: those and those[0].final,
            )
        assert "app-0" in (await client.get("/console")).text
        page = await client.get(f"/console/deployments/{deployment.id}")
        assert "done" in page.text
        log = await client.get(f"/console/deployments/{deployment.id}/log", headers=headers)
        assert "data: Cloning app-0" in log.text
        assert log.text.rstrip().endswith("data: done")
