"""What held deployments cost while they wait, and how soon one is asked for once it may be."""

import asyncio
import json
import random
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bridge.core.apps import App
from bridge.core.gates.locks import Lock, scope_named
from bridge.core.lifecycle import Deployment, app_of
from bridge.core.people import Actor
from bridge.pipeline.gates.commands import GateCommands, Requester
from bridge.pipeline.gates.gates import Gatekeeper
from bridge.ports.gates import Judging
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal import SqlJournal
from tests.bench.harness.bench import Bench
from tests.bench.harness.keeping import dokploy_settings
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import Server, backend, bridge
from tests.bench.harness.under_load import ledger
from tests.bench.harness.webhooks import push_of, request
from tests.fakes.checks import run_of
from tests.fakes.github import FakeGithub

GROUP = "held deployments"
HELD = 2_000
AT_A_TIME = 100
"""Apps that a push changes."""

COMMITS, APPS = 100, 50
ADA = Requester("cli:ada", Actor("cli", "Ada"))
REPOSITORY = "my-org/mono"


def rows(bench: Bench) -> Iterator[Row]:
    """All of it."""
    yield from _at_rest(bench)
    yield from _from_green(bench)


# ── at rest ──────────────────────────────────────────────────────────────────────────────────────


def _at_rest(bench: Bench) -> Iterator[Row]:
    """What 2,000 held ones cost, beside a bridge with the same apps and none."""
    bench.say(f"{HELD:,} held deployments")
    with backend(bench.folder, apps=HELD, build_seconds=0.1) as dokploy:
        settings = dokploy_settings(dokploy) | {"BRIDGE_JOURNEY_CATALOG_EVERY": "3600"}
        with (
            bridge(bench.folder, "none-held", **settings) as none,
            bridge(bench.folder, "held", **settings) as holds,
        ):
            assert holds.data is not None
            _until(lambda: _count(holds, "SELECT count(*) FROM apps") >= HELD, "read the apps")
            asyncio.run(_locked(holds.data))
            _push_to_all(holds)
            held = "SELECT count(*) FROM deployments WHERE state = 'held'"
            _until(lambda: _count(holds, held) == HELD, "hold them")
            seconds = 120 if bench.long else 60
            used, without = bench.alone(
                lambda: _cpu_of([holds, none], seconds), [holds, none, dokploy]
            )
        judged = asyncio.run(_judged_after_an_unlock(holds.data))
        asked = len(ledger(dokploy))
    yield Row(
        GROUP,
        f"CPU at rest with {HELD:,} of them, as a multiple of none",
        round(used / max(0.01, without), 2),
        "times",
        1.3,
        1.1,
        more={
            "seconds a minute": round(used / seconds * 60, 2),
            "with none": round(without / seconds * 60, 2),
            "asked for": asked,
        },
    )
    yield Row(GROUP, f"judged of {HELD:,} when one app is unlocked", judged, "", 1, 1)


def _cpu_of(servers: list[Server], seconds: int) -> list[float]:
    """Return the CPU seconds of servers at rest, all in the same time."""
    time.sleep(5)
    before = [one.cpu() for one in servers]
    time.sleep(seconds)
    return [one.cpu() - used for one, used in zip(servers, before, strict=True)]


def _until(done: Any, what: str, patience: float = 300.0) -> None:
    until = time.monotonic() + patience
    while not done():
        if time.monotonic() > until:
            raise RuntimeError(f"it does not {what}")
        time.sleep(0.02)


def _count(server: Server, query: str) -> int:
    assert server.data is not None
    with closing(sqlite3.connect(server.data / "journal.sqlite", timeout=30)) as journal:
        (found,) = journal.execute(query).fetchone()
    return int(found)


def _push_to_all(server: Server) -> None:
    chance = random.Random(7)
    for first in range(0, HELD, AT_A_TIME):
        said = json.loads(push_of(2_000, chance, app="app"))
        paths = [f"app-{n}/file" for n in range(first, first + AT_A_TIME)]
        said["commits"][-1]["modified"] = paths
        said["head_commit"] = said["commits"][-1]
        _post(server.port, json.dumps(said).encode())


@contextmanager
def _journal(data: Path) -> Iterator[SqlJournal]:
    engine = sqlite_engine(data / "journal.sqlite")
    try:
        yield SqlJournal(engine, clock=time.time)
    finally:
        engine.dispose()


async def _locked(data: Path) -> None:
    """Lock each app by itself."""
    with _journal(data) as journal:
        await journal.start()
        for app in await journal.apps():
            scope = scope_named(f"app:{app.label}", [app])
            new = Lock(scope.key, scope.label, ADA.person, ADA.name, "a migration", time.time())
            await journal.take_lock(new, [app.id], steal=False)
        await journal.stop()


class _Counting:
    """Counts the deployments that a gatekeeper judges, and those that it lets pass."""

    def __init__(self, apps: list[App]) -> None:
        self.apps = {app.id: app for app in apps}
        self.judged: list[str] = []
        self.passed = asyncio.Event()

    async def now(self, id_: str) -> Judging:
        self.judged.append(id_)
        return Judging(self.apps[app_of(id_)])

    async def release(self, _passed: Deployment) -> None:
        self.passed.set()


async def _judged_after_an_unlock(data: Path) -> int:
    with _journal(data) as journal:
        await journal.start()
        apps = await journal.apps()
        counting: Any = _Counting(apps)
        keeper = Gatekeeper(journal, counting, counting.release, time.time)
        keeping = asyncio.create_task(keeper.run())
        await asyncio.sleep(1)
        at_rest = len(counting.judged)
        commands = GateCommands(journal, lambda: apps, time.time, wake=keeper.wake)
        await commands.unlock(ADA, scope_named(f"app:{apps[7].label}", apps))
        await asyncio.wait_for(counting.passed.wait(), 30)
        await asyncio.sleep(1)
        keeping.cancel()
        await journal.stop()
    return len(counting.judged) - at_rest


# ── from the last green check ────────────────────────────────────────────────────────────────────


def _from_green(bench: Bench) -> Iterator[Row]:
    """From when the webhook of the last green check is sent until the backend is asked."""
    bench.say("last green check → deploy call")
    rules = json.dumps([{"apps": "shop/*", "checks": ["build"]}])
    with (
        _github() as github,
        backend(bench.folder, apps=APPS, build_seconds=0.1) as dokploy,
        bridge(
            bench.folder,
            "green",
            **dokploy_settings(dokploy) | github.settings | {"BRIDGE_RULES": rules},
        ) as ours,
    ):
        took = sorted(_to_deploy_call(github, dokploy, ours))
    more = {"of": f"{len(took)}/{COMMITS}", "max ms": round(took[-1])}
    p50, p99 = round(median(took)), round(quantiles(took, n=100)[98])
    what = "webhook of the last green check → deploy call"
    yield Row(GROUP, f"{what}, p50", p50, "ms", 75, 50, pace=bench.pace, more=more)
    yield Row(GROUP, f"{what}, p99", p99, "ms", 150, 100, pace=bench.pace)


def _to_deploy_call(github: FakeGithub, dokploy: Server, ours: Server) -> Iterator[float]:
    """Yield the milliseconds of each commit, one after the other."""
    repository = github.repository(REPOSITORY, id=4711)
    before = repository.commit({"README.md": "first"}, branch="main")
    chance = random.Random(9)
    held = "SELECT count(*) FROM deployments WHERE state = 'held' AND holds LIKE '%build%'"
    for n in range(COMMITS):
        app = f"app-{n % APPS}"
        after = repository.commit({f"{app}/file": str(n)}, branch="main")
        repository.checks.run(after, "build", "in_progress")
        said = json.loads(push_of(7_000, chance, app=app))
        said |= {"before": before, "after": after}
        said["head_commit"] = said["commits"][-1] = said["commits"][-1] | {"id": after}
        _post(ours.port, json.dumps(said).encode())
        _until(lambda: _count(ours, held) == 1, "hold it")
        time.sleep(0.2)
        run = run_of(repository.checks.run(after, "build", "success"))
        about = {"action": "completed", "check_run": run, "repository": said["repository"]}
        began = time.time()
        _post(ours.port, json.dumps(about).encode(), event=b"check_run")
        _until(lambda n=n: len(ledger(dokploy)) > n, "ask for it", 60)
        yield (ledger(dokploy)[n][2] - began) * 1000
        before = after


@contextmanager
def _github() -> Iterator[FakeGithub]:
    """A fake GitHub in a thread of its own."""
    fake, ready = FakeGithub(), threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with fake:
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    if not ready.wait(10):
        raise RuntimeError("the fake GitHub does not start")
    try:
        yield fake
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def _post(port: int, body: bytes, event: bytes = b"push") -> None:
    head, tail, _ = request(body)
    head = head.replace(b"X-GitHub-Event: push", b"X-GitHub-Event: " + event)
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(head + str(uuid.uuid4()).encode() + tail)
        said = wire.recv(4096)
    assert said.startswith(b"HTTP/1.1 202"), said
