"""Durable acknowledgements a second, as a ratio to a bare aiohttp handler in the same run.

    python tests/bench/ingest_bench.py [--json FILE]

The bridge goes on to decide what it has kept, in the same process, while it is measured.
Rounds of floor and bridge alternate; each server has a process of its own. The floor reads
the body and answers 202. What the bridge acknowledged is read back from its inbox afterwards.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

SECRET = "a secret of the bench"

FLOOR = """
import sys
from aiohttp import web
try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop
async def hook(request):
    await request.read()
    return web.Response(status=202, body=b'{}', content_type='application/json')
app = web.Application(client_max_size=2**26)
app.router.add_post('/hooks/github', hook)
web.run_app(app, host='127.0.0.1', port=int(sys.argv[1]), access_log=None, print=None,
            loop=new_event_loop())
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def requests(count: int, size: int) -> list[bytes]:
    body = json.dumps({"ref": "refs/heads/main", "filler": os.urandom(size // 2).hex()}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /hooks/github HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"X-GitHub-Event: push\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"Content-Length: {len(body)}\r\nX-GitHub-Delivery: "
    ).encode()
    return [head + str(uuid.uuid4()).encode() + b"\r\n\r\n" + body for _ in range(count)]


async def load(port: int, work: list[bytes], connections: int) -> tuple[float, float]:
    """Requests a second and p99 in ms over some connections, one request each at a time."""
    queue = iter(work)
    took: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in queue:
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 202"), head
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            took.append(time.perf_counter() - began)
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    rate = len(work) / (time.perf_counter() - began)
    return rate, statistics.quantiles(took, n=100)[98] * 1000


def start(arguments: list[str], environment: dict[str, str], port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        arguments,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise SystemExit(f"{arguments} did not start")


def cpu(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--requests", type=int, default=3000)
    given = arguments.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        floor_port, port = free_port(), free_port()
        floor = start([sys.executable, "-c", FLOOR, str(floor_port)], {}, floor_port)
        settings = {
            "BRIDGE_DATA": folder,
            "PORT": str(port),
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_EMBEDDED_PORT": "0",
            "BRIDGE_LOG_LEVEL": "warning",
        }
        bridge = start([sys.executable, "-m", "bridge", "serve"], settings, port)
        acknowledged = 0
        try:
            for size, connections in ((7_000, 32), (20_000, 32), (20_000, 128), (200_000, 32)):
                count = given.requests if size < 100_000 else given.requests // 5
                ratios, spent, worst = [], [], []
                for _ in range(given.rounds):
                    base, _ = asyncio.run(load(floor_port, requests(count, size), connections))
                    before = cpu(bridge)
                    rate, p99 = asyncio.run(load(port, requests(count, size), connections))
                    acknowledged += count
                    ratios.append(rate / base)
                    spent.append((cpu(bridge) - before) / count * 1e6)
                    worst.append(p99)
                rows.append(
                    {
                        "bytes": size,
                        "connections": connections,
                        "ratio": round(statistics.median(ratios), 3),
                        "rate": round(rate),
                        "cpu_us": round(statistics.median(spent)),
                        "p99_ms": round(statistics.median(worst), 1),
                    }
                )
                sys.stdout.write(f"{rows[-1]}\n")
        finally:
            bridge.terminate()
            floor.terminate()
            bridge.wait()
            floor.wait()
        with sqlite3.connect(f"{folder}/inbox.sqlite") as inbox:
            (kept,) = inbox.execute("SELECT count(*) FROM deliveries").fetchone()
    sys.stdout.write(f"acknowledged {acknowledged}, kept {kept}\n")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    if kept != acknowledged:
        raise SystemExit("acknowledged and kept differ")


if __name__ == "__main__":
    main()
