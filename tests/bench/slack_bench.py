"""How soon a Slack command is acknowledged while 50 deployments are active.

    python tests/bench/slack_bench.py [--json FILE] [--seconds N]

The bridge is a process of its own. Here, in another one, are a Dokploy whose builds do not
end, a Slack workspace, and hands that type: at a steady rate, whether or not the last command
was answered. Half of the commands act, so they are on disk before they are answered. Beside
them goes a request that costs nothing: where that is late, the machine was busy with something
else, and the run is void.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from tests.chaos.recording_backend import recording_backend
from tests.fakes.slack.hands import Hands
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.embedded import until
from tests.worlds.slack import slack_settings

ROOT = Path(__file__).parents[2]
ACTIVE = 50
PER_SECOND = 10
MUST, REACH = 100.0, 40.0
"""Milliseconds at the 99th percentile."""
BUSY = 25.0
"""Those of an empty answer from which the machine was too busy to measure anything."""


@asynccontextmanager
async def bridge(folder: Path, settings: dict[str, str]) -> AsyncIterator[str]:
    """A bridge in a process of its own; its address."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BRIDGE_")}
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bridge", "serve",
            env=environment | settings | {"BRIDGE_LOG_FORMAT": "json"},
            cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield await _address(folder / "log", process)
        finally:
            process.terminate()
            await process.wait()


async def _address(log: Path, process: Any) -> str:
    while process.returncode is None:
        for line in log.read_text().splitlines():
            if '"serving"' in line and (url := json.loads(line).get("url")):
                return str(url)
        await asyncio.sleep(0.05)
    raise SystemExit(f"the bridge did not start: {log.read_text()[-2000:]}")


async def active(hands: Hands, backend: Any) -> None:
    """Have all of them deploy, and wait until the backend runs them."""
    await until(lambda: hands.type("apps"), lambda said: "app-0" in json.dumps(said.body))
    for n in range(ACTIVE):
        await hands.type(f"deploy app-{n}")
    await until(_going(backend), lambda going: going >= ACTIVE)


def _going(backend: Any) -> Callable[[], Awaitable[int]]:
    async def going() -> int:
        return sum(job.going for jobs in backend.jobs.values() for job in jobs)

    return going


async def typed(hands: Hands, web: httpx.AsyncClient, seconds: float) -> dict[str, list[float]]:
    """Milliseconds from when each command was due until it was acknowledged, by its kind."""
    took: dict[str, list[float]] = {"acts": [], "asks": [], "floor": []}
    rng = random.Random(7)

    async def one(due: float) -> None:
        acts = rng.random() < 0.5
        name = f"app-{rng.randrange(ACTIVE)}"
        answered = await hands.type(f"redeploy {name}" if acts else f"status {name}")
        assert answered.status == 200
        took["acts" if acts else "asks"].append((time.perf_counter() - due) * 1000)

    async def floor(due: float) -> None:
        await web.get("/healthz")
        took["floor"].append((time.perf_counter() - due) * 1000)

    began = time.perf_counter()
    tasks = []
    for n in range(int(seconds * PER_SECOND)):
        due = began + n / PER_SECOND
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(due)))
        await asyncio.sleep(0.5 / PER_SECOND)
        tasks.append(asyncio.create_task(floor(time.perf_counter())))
    await asyncio.gather(*tasks)
    return took


async def measure(folder: Path, seconds: float) -> dict[str, Any]:
    async with (
        recording_backend(apps=ACTIVE, build_seconds=3600, listing_delay=0) as backend,
        running_slack() as slack,
    ):
        settings = slack_settings(slack) | {
            "BRIDGE_DATA": str(folder / "data"),
            "BRIDGE_PORT": "0",
            "BRIDGE_DOKPLOY_URL": backend.url,
            "BRIDGE_DOKPLOY_API_KEY": "a-key",
        }
        async with (
            bridge(folder, settings) as url,
            httpx.AsyncClient(base_url=url, trust_env=False, timeout=20) as web,
        ):
            hands = Hands(slack, web)
            await active(hands, backend)
            await typed(hands, web, 1.0)  # warm
            took = await typed(hands, web, seconds)
    return _row(took, slack)


def _row(took: dict[str, list[float]], slack: FakeSlack) -> dict[str, Any]:
    row: dict[str, Any] = {"active": ACTIVE, "per_second": PER_SECOND}
    for kind, times in took.items():
        row[f"{kind}_p50_ms"] = round(statistics.median(times), 1)
        row[f"{kind}_p99_ms"] = round(statistics.quantiles(times, n=100)[98], 1)
        row[f"{kind}_max_ms"] = round(max(times), 1)
    return row | {"messages": slack.count("chat.postMessage", "chat.update")}


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--seconds", type=float, default=10.0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = asyncio.run(measure(Path(folder), given.seconds))
    worst = max(row["acts_p99_ms"], row["asks_p99_ms"])
    sys.stdout.write(
        f"a Slack command with {ACTIVE} deployments active is acknowledged within {worst} ms"
        f" (p99; must {MUST:g}, reach for {REACH:g}) {row}\n"
    )
    if given.json:
        given.json.write_text(json.dumps(row, indent=1))
    if row["floor_p99_ms"] > BUSY:
        sys.stdout.write(f"void: an empty answer took {row['floor_p99_ms']} ms at p99\n")
    elif worst > MUST:
        raise SystemExit(f"more than {MUST:g} ms")


if __name__ == "__main__":
    main()
