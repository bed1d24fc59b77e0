"""How soon and how fast it is decided, what it takes in memory, and what a kill loses."""

import asyncio
import contextlib
import json
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bridge.ports.inbox import NewDelivery
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.bench.harness.bench import Bench
from tests.bench.harness.keeping import compared, dokploy_settings
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import HERE, ROOT, Server, backend, bridge, load
from tests.bench.harness.under_load import ledger
from tests.bench.harness.webhooks import push_of, pushes, request

GROUP = "from webhook to deployment"


def deploy_rows(bench: Bench) -> Iterator[Row]:
    """From when a push is sent until the backend is asked."""
    bench.say("webhook → deploy call")
    apps = 60  # as many as one process follows at a time
    with (
        backend(bench.folder, apps=apps, build_seconds=600) as dokploy,
        bridge(bench.folder, "deploys", **dokploy_settings(dokploy)) as ours,
    ):
        time.sleep(3)  # what a start has to do in any case
        sent: dict[str, float] = {}
        chance = random.Random(5)
        for n in range(apps):
            body = push_of(7_000, chance, app=f"app-{n}")
            sent[json.loads(body)["after"]] = time.time()
            _post(ours.port, body)
            time.sleep(0.15)
        until = time.monotonic() + 60
        while len(asked := ledger(dokploy)) < apps and time.monotonic() < until:
            time.sleep(0.2)
    took = sorted((at - sent[commit]) * 1000 for _, commit, at, _ in asked)
    more = {"of": f"{len(took)}/{apps}", "max ms": round(took[-1])}
    p50, p99 = round(median(took)), round(quantiles(took, n=100)[98])
    what = "webhook → deploy call"
    yield Row(GROUP, f"{what}, p50", p50, "ms", 25, 15, pace=bench.pace, more=more)
    yield Row(GROUP, f"{what}, p99", p99, "ms", 60, 40, pace=bench.pace)


def _post(port: int, body: bytes) -> None:
    head, tail, _ = request(body)
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.sendall(head + str(uuid.uuid4()).encode() + tail)
        said = wire.recv(4096)
    assert said.startswith(b"HTTP/1.1 202"), said


def backlog_rows(bench: Bench) -> Iterator[Row]:
    """How fast a backlog is decided."""
    many = 100_000 if bench.long else 20_000
    bench.say(f"a backlog of {many:,} deliveries")
    data = bench.folder / "backlog"
    asyncio.run(_fill(data, many))
    with backend(bench.folder, apps=5, build_seconds=60) as dokploy:
        took = _decided(bench, data, dokploy)
    yield Row(
        GROUP,
        f"{many:,} kept deliveries decided, a second",
        round(many / took),
        "",
        2_000,
        5_000,
        more_is_better=True,
        pace=bench.pace,
    )


async def _fill(data: Path, many: int) -> None:
    """Keep what no app's watch paths match: each gets five decisions."""
    chance = random.Random(3)
    bodies = [push_of(7_000, chance) for _ in range(500)]
    inbox = SqliteInbox(data / "inbox.sqlite")
    await inbox.start()
    for begin in range(0, many, 500):
        await asyncio.gather(
            *(
                inbox.keep(
                    NewDelivery(
                        "github",
                        str(uuid.UUID(int=chance.getrandbits(128))),
                        "push",
                        {"content-type": "application/json"},
                        # Another commit in each, since the same push is decided only once.
                        body.replace(json.loads(body)["after"].encode(), _sha(chance)),
                        time.time(),
                    )
                )
                for body in bodies[: many - begin]
            )
        )
    await inbox.stop()


def _sha(chance: random.Random) -> bytes:
    return f"{chance.getrandbits(160):040x}".encode()


def _decided(bench: Bench, data: Path, dokploy: Server) -> float:
    """Seconds from the first that is decided to the last."""
    with bridge(bench.folder, data.name, **dokploy_settings(dokploy)):
        first = left = _waiting(data)
        began = time.monotonic()
        while left:
            time.sleep(0.05)
            left = _waiting(data)
            if left == first:
                began = time.monotonic()
    return time.monotonic() - began


def _waiting(data: Path) -> int:
    with closing(sqlite3.connect(data / "inbox.sqlite", timeout=30)) as inbox:
        (left,) = inbox.execute("SELECT count(*) FROM work WHERE state = 'kept'").fetchone()
    return int(left)


def script_rows(bench: Bench) -> Iterator[Row]:
    """Figures that scripts of their own measure."""
    bench.say("following 500 deployments")
    for row in _script(bench, "following_bench.py", "--seconds", "5"):
        yield Row(
            GROUP,
            f"following 500 deployments, {row['running']} of them running: requests a second",
            row["requests_per_second"],
            "",
            10,
            2,
            more={"lag p99 ms": row["lag_p99_ms"], "CPU %": row["cpu_percent"]},
        )
    bench.say("Slack commands")
    for row in _script(bench, "slack_bench.py", "--seconds", "6"):
        yield Row(
            GROUP,
            "Slack command acknowledged while 50 deployments are active, p99",
            round(max(row["acts_p99_ms"], row["asks_p99_ms"]), 1),
            "ms",
            100,
            40,
            pace=bench.pace,
            more={name: value for name, value in row.items() if name.endswith("p50_ms")},
        )
    bench.say("decisions for 5,000 apps and 10,000 files")
    for row in _script(bench, "watch_index_bench.py", "--without-node"):
        if row["limit_ms"] == 20.0:
            yield Row(GROUP, row["what"], round(row["ms"], 2), "ms", 20, 10, pace=bench.pace)


def _script(bench: Bench, name: str, *words: str) -> list[dict[str, Any]]:
    report = bench.folder / f"{name}.json"
    command = [sys.executable, str(HERE.parent / name), "--json", str(report), *words]
    # One that misses its must says so by its status, too; here its figures say it.
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    if not report.exists():
        raise RuntimeError(f"{name} did not measure:\n{ended.stdout}{ended.stderr}")
    found = json.loads(report.read_text())
    return found if isinstance(found, list) else [found]


def life_rows(bench: Bench) -> Iterator[Row]:
    """Start, memory, and what is left after a kill."""
    group = "start, memory, kill"
    bench.say("start")
    took = [_start(bench, n) for n in range(3)]
    what = "from start to the first webhook accepted"
    yield Row(group, what, round(median(took), 2), "s", 2.5, 1.2, pace=bench.pace)
    many = 1_000_000 if bench.long else 30_000
    bench.say(f"memory, and after {many:,} deliveries")
    requests = pushes(bench.folder / "7000.requests", 7_000)
    with (
        backend(bench.folder, apps=20, build_seconds=60) as dokploy,
        bridge(bench.folder, "memory", **dokploy_settings(dokploy)) as ours,
    ):
        assert ours.data is not None
        time.sleep(2)
        at_rest = ours.memory()
        cpu = _cpu_at_rest(ours, 60 if bench.long else 20)
        after = []
        for _ in range(2):
            bench.load(ours, requests, count=many // 2)
            while _waiting(ours.data):
                time.sleep(0.2)
            after.append(ours.memory())
    what = "CPU of one core at rest"
    yield Row(group, what, round(cpu, 2), "%", 1, 0.3, pace=bench.pace)
    yield Row(group, "memory at rest", round(at_rest), "MiB", 140, 100)
    yield Row(
        group,
        f"growth in the second half of {many:,} deliveries",
        round(max(0.0, after[1] - after[0]), 1),
        "MiB",
        25,
        5,
        more={"after half": f"{after[0]:.0f} MiB", "after all": f"{after[1]:.0f} MiB"},
    )
    bench.say("SIGKILL under load")
    yield _killed(bench, requests)


def _cpu_at_rest(ours: Server, seconds: int) -> float:
    """Percent of a core, once the start is over."""
    time.sleep(5)
    used = ours.cpu()
    time.sleep(seconds)
    return (ours.cpu() - used) / seconds * 100


def _start(bench: Bench, n: int) -> float:
    """Seconds until a webhook is accepted by a bridge that has run before."""
    with backend(bench.folder, apps=20, build_seconds=60) as dokploy:
        settings = dokploy_settings(dokploy)
        with bridge(bench.folder, "starts", **settings):
            pass
        began = time.perf_counter()
        with bridge(bench.folder, "starts", path="", **settings) as ours:
            _post(ours.port, push_of(7_000, random.Random(n)))
            return time.perf_counter() - began


def _killed(bench: Bench, requests: Path) -> Row:
    told: list[str] = []
    with backend(bench.folder, apps=20, build_seconds=60) as dokploy:
        for n in range(3):
            acked = bench.folder / f"killed-{n}.acked"
            with bridge(bench.folder, "killed", **dokploy_settings(dokploy)) as ours:
                timer = subprocess.Popen(
                    ["sh", "-c", f"sleep {1.5 + n * 0.37}; kill -KILL {ours.process.pid}"]
                )
                with contextlib.suppress(ProcessLookupError):
                    load(
                        bench.program,
                        ours,
                        requests,
                        seconds=6,
                        connections=64,
                        seed=bench.seed(),
                        acked=acked,
                    )
                timer.wait()
                assert ours.process.wait() == -signal.SIGKILL
            told += acked.read_text().split()
        with bridge(bench.folder, "killed", **dokploy_settings(dokploy)) as ours:
            assert ours.data is not None
            data = ours.data
            while _waiting(data):
                time.sleep(0.1)
    what = "acknowledged, but not kept once, after three SIGKILLs under load"
    return compared(data, told, what, "start, memory, kill")
