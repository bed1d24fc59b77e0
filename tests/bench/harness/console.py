"""How quick the console is with a year of data, and what people who watch cost the door."""

import asyncio
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

import psycopg

from bridge.app.storage import migrate
from tests.bench.harness.bench import Bench
from tests.bench.harness.keeping import dokploy_settings
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import ROOT, Server, backend, bridge, without_bridge
from tests.bench.harness.watching import Watched, all_seen, signed_in, watching
from tests.bench.harness.webhooks import pushes
from tests.worlds.bridge import settings_for
from tests.worlds.postgres import own_server
from tests.worlds.year import PLATFORM, Size, copy_year, fill_year

GROUP = "the console"
WATCHING = 50
SECONDS = 20
TIMES = 15
SHORT = Size(PLATFORM.repositories, PLATFORM.apps_each, 10 * PLATFORM.every)
"""A tenth of the pushes of a year, of as many apps."""

WORKED_OUT = b"data-again"
"""In a page of which a part is still being worked out; see `static/console.js`."""

NO_BACKEND = {"BRIDGE_DOKPLOY_URL": "http://127.0.0.1:9", "BRIDGE_DOKPLOY_API_KEY": "a-key"}
"""A Dokploy that is away: what is shown is all that is known."""


def rows(bench: Bench) -> Iterator[Row]:
    """All of it."""
    size = PLATFORM if bench.long else SHORT
    bench.say(f"a year of {size.pushes:,} deliveries")
    data = bench.folder / "year"
    asyncio.run(migrate(settings_for(data)))
    fill_year(data, time.time(), size)
    with bridge(bench.folder, "year", path="/healthz", **NO_BACKEND) as ours:
        yield from _pages(bench, ours, size, "SQLite", {})
    with _on_postgres(bench, size) as url:
        settings = NO_BACKEND | {"DATABASE_URL": url}
        with bridge(bench.folder, "year-postgres", path="/healthz", **settings) as ours:
            yield from _pages(bench, ours, size, "Postgres", {"DATABASE_URL": url})
    yield from _watched(bench)


@contextmanager
def _on_postgres(bench: Bench, size: Size) -> Iterator[str]:
    bench.say("the same on Postgres")
    with own_server() as server:
        url = server.fresh()
        asyncio.run(migrate(settings_for(bench.folder / "none", DATABASE_URL=url)))
        with psycopg.connect(url) as db:
            copy_year(db, time.time(), size)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("ANALYZE")
        yield url


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


def paths_of(size: Size) -> list[str]:
    """Pages, and searches for what is frequent, seldom and nowhere."""
    newest, app = size.pushes, f"app-{size.pushes % size.repositories:02d}-0"
    return [
        "/console",
        "/console/apps",
        "/console/apps?page=50",
        "/console/apps?q=team-07",
        f"/console/apps/{app}",
        "/console/deliveries",
        "/console/deliveries?repo=mono-07",
        "/console/deliveries?branch=main",
        "/console/deliveries?branch=nowhere",
        "/console/deliveries?commit=c000f00",
        "/console/deliveries?author=Author+7",
        "/console/deliveries?author=Nobody",
        "/console/deliveries?outcome=failed",
        "/console/deliveries?outcome=held",
        "/console/deliveries?app=team-07/service-0",
        f"/console/deliveries?before={newest // 2}",
        f"/console/deliveries/{newest}",
        "/console/deployments",
        "/console/deployments?state=failed",
        f"/console/deployments/{newest:016d}.{app}",
        "/console/figures",
        "/console/audit",
        "/console/refused",
        "/console/search?q=team-07",
        f"/console/search?q={newest}",
        "/console/search?q=c000f00",
        "/console/search?q=change+7",
        "/console/search?q=nowhere",
        f"/console/search?q=ada&before={newest // 2}",
    ]


@dataclass
class Browser:
    """A browser that is signed in."""

    port: int
    cookie: str = ""

    def get(self, path: str) -> tuple[float, bytes]:
        """Return how many ms a page takes, on a new connection, and the page."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        body = answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{path} answers {answer.status}")
        connection.close()
        return took, body

    def settled(self, path: str, within: float = 60.0) -> None:
        """Ask for a page until nothing in it is worked out any more, as a browser does."""
        until = time.monotonic() + within
        while WORKED_OUT in self.get(path)[1]:
            if time.monotonic() > until:
                raise RuntimeError(f"{path} was not worked out within {within:.0f} s")
            time.sleep(0.05)

    def sign_in(self, server: Server, settings: dict[str, str]) -> None:
        """Use a link, as a person does."""
        environment = {"BRIDGE_DATA": str(server.data), "PYTHONPATH": str(ROOT)} | settings
        command = [
            sys.executable,
            "-m",
            "bridge",
            "console",
            "--url",
            f"http://127.0.0.1:{self.port}",
        ]
        link = subprocess.run(
            command,
            env=without_bridge() | environment,
            capture_output=True,
            text=True,
            check=True,
            cwd=server.data.parent if server.data else None,
        ).stdout.split()[0]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", link[link.index("/console") :])
        answer = connection.getresponse()
        answer.read()
        self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        connection.close()


def _pages(
    bench: Bench, ours: Server, size: Size, where: str, settings: dict[str, str]
) -> Iterator[Row]:
    browser = Browser(ours.port)
    browser.sign_in(ours, settings)
    paths = paths_of(size)
    for path in paths:
        browser.settled(path)
    bench.say(f"{len(paths)} pages on {where}")
    found = bench.alone(
        lambda: {path: [browser.get(path) for _ in range(TIMES)] for path in paths}, [ours]
    )
    took = {path: median(each for each, _ in those) for path, those in found.items()}
    slowest = max(took, key=lambda path: took[path])
    largest = max(found, key=lambda path: len(found[path][0][1]))
    yield Row(
        GROUP,
        f"the slowest page with {size.pushes:,} deliveries, p50, {where}",
        round(took[slowest], 1),
        "ms",
        50,
        25,
        pace=bench.pace,
        more={
            "page": slowest,
            "of": len(paths),
            "median ms": round(median(took.values()), 1),
            "first page ms": round(took["/console"], 1),
        },
    )
    kilobytes = round(len(found[largest][0][1]) / 1000)
    yield Row(GROUP, f"the largest page, {where}", kilobytes, "KB", 100, 60, more={"page": largest})


# ── people who watch ─────────────────────────────────────────────────────────────────────────────


def _watched(bench: Bench) -> Iterator[Row]:
    """The door's p99 while 50 browsers show the first page, each fetching it after a change."""
    bench.say(f"the door while {WATCHING} browsers watch, and while none does")
    # Each run has pushes of its own: one that repeats an earlier push costs more to decide.
    files = (pushes(bench.folder / f"{n}.requests", 20_000 + n, different=2000) for n in count())
    seen: list[Watched] = []
    anybody = {"BRIDGE_ACCESS": "[{who: [everyone], may: [view]}]"}
    with (
        backend(bench.folder, apps=20, build_seconds=600) as dokploy,
        bridge(bench.folder, "watched", **dokploy_settings(dokploy) | anybody) as ours,
    ):

        def alone(seconds: int = SECONDS) -> dict[str, Any]:
            requests = next(files)
            os.sync()  # else the file would be written while webhooks are
            return bench.load(ours, requests, rate=100, seconds=seconds, connections=32)

        def watched(seconds: int = SECONDS) -> dict[str, Any]:
            with watching(ours, "/console", signed_in(ours, WATCHING)) as browsers:
                seen.append(browsers)
                return alone(seconds)

        alone(2)
        watched(2)
        found = bench.rounds_of({"alone": alone, "watched": watched}, [ours])
    pairs = list(zip(found["watched"], found["alone"], strict=True))
    ratios = [with_them["p99"] / without["p99"] for with_them, without in pairs]
    yield Row(
        GROUP,
        f"p99 of webhooks while {WATCHING} browsers watch, as a multiple of none",
        round(median(ratios), 2),
        "times",
        1.5,
        1.2,
        more={
            "of each round": " ".join(f"{ratio:.2f}" for ratio in ratios),
            "p99 ms": round(median(one["p99"] for one, _ in pairs), 2),
            "unwatched ms": round(median(one["p99"] for _, one in pairs), 2),
        }
        | all_seen(seen[1:]),
    )
