"""What it costs to follow 500 active deployments: requests a second, lag of the loop, CPU.

    python tests/bench/following_bench.py [--json FILE] [--seconds N]

The backend is a process of its own, and counts. The bridge's side is the real one: client,
deployer, and a journal on disk.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx
from aiohttp import web

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import description_of, title_of
from bridge.pipeline.deploying.deployments import Deployer
from bridge.ports.outcomes import Outcome
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal import SqlJournal
from tests.chaos.dokploy.services import Config
from tests.chaos.recording_backend import Job, recording_backend
from tests.fakes.journey import NO_GATES, deployment
from tests.fakes.serving import served

ACTIVE = 500
MUST, REACH = 10.0, 2.0
"""Requests a second to the backend, at most."""

WARM_UP = 12.0
"""Seconds until the intervals have grown to their length.

Of 500 that all begin to run at once most are still to be looked at then: the dearest moment.
"""


def deployments() -> list[Deployment]:
    return [deployment(n + 1, f"app-{n}") for n in range(ACTIVE)]


# ── the backend ──────────────────────────────────────────────────────────────


async def serve(running: int) -> None:
    """Have some jobs run and all others wait, until standard input ends."""
    async with recording_backend(apps=0, build_seconds=0, listing_delay=0) as backend:
        for n, one in enumerate(deployments()):
            job = Job(f"d{n}", one.app_id, title_of(one), description_of(one), time.time())
            job.status = "running" if n < running else "waiting"
            backend.jobs[one.app_id].append(job)
            backend.has(one.app_id, Config())

        async def counts(_request: web.Request) -> web.Response:
            return web.json_response(Counter(name for name, _, _ in backend.arrivals))

        counting = web.Application()
        counting.router.add_get("/", counts)
        async with served(counting) as url:
            sys.stdout.write(f"{backend.url} {url}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)


# ── the bridge ───────────────────────────────────────────────────────────────


async def accepted(journal: SqlJournal) -> list[Deployment]:
    """All of them, written down as if the backend had just accepted them."""
    those = deployments()
    source = Source(SourceType.GIT, url="git.example.com/my-org/mono", branch="main")
    apps = [App(id=one.app_id, name=one.app_id, project="shop", source=source) for one in those]
    await journal.save_apps("dokploy", apps)
    for one in those:
        because = Decision(one.app_id, one.app, Reason.NO_WATCH_PATHS, "because")
        await journal.record([Outcome(one.seq, one.delivery, (because,), (one,))], window=0)
        await journal.intend(one.id, [], NO_GATES)
        await journal.move(one.id, State.ASKED, "the backend accepted it", asked_at=time.time())
    return those


async def lags(until: float) -> list[float]:
    """How late the loop wakes who sleeps, in ms."""
    late = []
    while (now := time.monotonic()) < until:
        await asyncio.sleep(0.01)
        late.append((time.monotonic() - now - 0.01) * 1000)
    return late


async def follow(urls: Sequence[str], folder: Path, seconds: float) -> dict[str, float]:
    backend_url, counts_url = urls
    journal = SqlJournal(sqlite_engine(folder / "journal.sqlite"), clock=time.time)
    await journal.start()
    client = Dokploy(backend_url, "a key")
    deployer = Deployer({"dokploy": client}, journal, time.time)
    async with httpx.AsyncClient(trust_env=False) as http:

        async def counted() -> Counter[str]:
            return Counter((await http.get(counts_url)).json())

        tasks = [asyncio.create_task(deployer.follow(one.id)) for one in await accepted(journal)]
        await asyncio.sleep(WARM_UP)
        before, began, spent = await counted(), time.monotonic(), time.process_time()
        late = await lags(began + seconds)
        took = time.monotonic() - began
        spent, asked = time.process_time() - spent, await counted() - before
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        states = Counter(str(one.state) for one in await journal.open_deployments())
    await client.close()
    await journal.stop()
    failed = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    assert not failed, failed[:3]
    assert sum(states.values()) == ACTIVE, states
    return {
        "queued": states["queued"],
        "running": states["running"],
        "requests_per_second": round(asked.total() / took, 2),
        "queue_per_second": round(asked["deployment.queueList"] / took, 2),
        "records_per_second": round(asked["deployment.all"] / took, 2),
        "lag_p99_ms": round(statistics.quantiles(late, n=100)[98], 1),
        "lag_max_ms": round(max(late), 1),
        "cpu_percent": round(spent / took * 100, 1),
    }


def measured(running: int, seconds: float) -> dict[str, float]:
    arguments = [sys.executable, __file__, "--serve", str(running)]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as backend,
    ):
        assert backend.stdin is not None
        assert backend.stdout is not None
        urls = backend.stdout.readline().split()
        try:
            return asyncio.run(follow(urls, Path(folder), seconds))
        finally:
            backend.stdin.close()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.serve))
        return
    rows = []
    for running in (20, ACTIVE):
        row = measured(running, given.seconds)
        rows.append(row)
        sys.stdout.write(
            f"following {ACTIVE}, {running} of them running: {row['requests_per_second']}"
            f" requests/s (must {MUST:g}, reach for {REACH:g}) {row}\n"
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    if any(row["requests_per_second"] > MUST for row in rows):
        raise SystemExit(f"more than {MUST:g} requests a second")


if __name__ == "__main__":
    main()
