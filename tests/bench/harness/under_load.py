"""How long senders wait, alone and under load, and what attackers can do."""

import contextlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.bench.harness.bench import Bench
from tests.bench.harness.keeping import dokploy_settings
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import (
    LOAD_CORE,
    Server,
    acks,
    backend,
    bridge,
    floor,
    on_core,
)
from tests.bench.harness.webhooks import pushes, request, write_requests

RUNNING = 50
MIB = 2**20


def waiting_rows(bench: Bench) -> Iterator[Row]:
    """How long an answer takes at a given rate."""
    group = "how long senders wait (open loop, 20 KB)"
    seconds = 15 if bench.long else 6
    requests = pushes(bench.folder / "20000.requests", 20_000)
    with contextlib.ExitStack() as stack:
        dokploy = stack.enter_context(backend(bench.folder, apps=RUNNING, build_seconds=600))
        least = stack.enter_context(floor(bench.folder))
        ours = stack.enter_context(bridge(bench.folder, "waiting", **dokploy_settings(dokploy)))
        servers = [least, ours]

        def at_500(server: Server) -> dict[str, Any]:
            return bench.load(server, requests, rate=500, seconds=seconds, connections=64)

        for server in servers:
            bench.load(server, requests, rate=500, seconds=2, connections=64)
        bench.say("p99 at 500 a second")
        base = bench.alone(lambda: at_500(least), servers)
        alone = bench.alone(lambda: at_500(ours), servers)
        yield Row(
            group,
            "p99 at 500 a second, as a multiple of the floor's",
            round(alone["p99"] / base["p99"], 1),
            "times",
            10,
            5,
            more={"p99 ms": round(alone["p99"], 2), "floor ms": round(base["p99"], 2)},
        )
        bench.say(f"the same while {RUNNING} deployments run")
        _deploy_all(bench, ours, dokploy)
        busy = bench.alone(lambda: at_500(ours), servers)
        yield Row(
            group,
            f"p99 at 500 a second while {RUNNING} deployments run",
            round(busy["p99"], 2),
            "ms",
            15,
            8,
            pace=bench.pace,
            more={"p50 ms": round(busy["p50"], 2), "p99.9 ms": round(busy["p99.9"], 1)},
        )


def _deploy_all(bench: Bench, ours: Server, dokploy: Server) -> None:
    """Push to every app, and wait until the backend was asked for all of them."""
    each = pushes(bench.folder / "each.requests", 7_000, different=RUNNING, apps=RUNNING)
    bench.load(ours, each, count=RUNNING, connections=4)
    until = time.monotonic() + 60
    while len(ledger(dokploy)) < RUNNING:
        if time.monotonic() > until:
            raise RuntimeError(f"only {len(ledger(dokploy))} of {RUNNING} deployments were asked")
        time.sleep(0.2)
    time.sleep(2)


def ledger(dokploy: Server) -> list[Any]:
    """What the backend was asked for: app, commit, when, whether it overlapped."""
    with socket.create_connection(("127.0.0.1", dokploy.port), 10) as wire:
        wire.sendall(b"GET /ledger HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        said = b"".join(iter(lambda: wire.recv(65536), b""))
    found: list[Any] = json.loads(said.partition(b"\r\n\r\n")[2])
    return found


def flood_rows(bench: Bench) -> Iterator[Row]:
    """What wrong signatures do to the good ones."""
    bench.say("6,000 wrong signatures a second")
    good = pushes(bench.folder / "20000.requests", 20_000)
    bad = pushes(bench.folder / "bad.requests", 1_000, expected=401, secret="a wrong secret")
    with acks(bench.folder, "flooded") as ours:

        def at_200() -> dict[str, Any]:
            return bench.load(ours, good, rate=200, seconds=5, connections=32)

        at_200()
        unloaded = bench.alone(at_200, [ours])

        def flooded() -> tuple[dict[str, Any], dict[str, Any]]:
            words = ["connections=64", "rate=6000", "seconds=7", f"seed={bench.seed()}"]
            command = [*on_core(LOAD_CORE), str(bench.program), str(ours.port), str(bad), *words]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as flood:
                time.sleep(1)
                found = at_200()
                said, _ = flood.communicate()
            return found, json.loads(said)

        found, flood = bench.alone(flooded, [ours])
    yield Row(
        "attacks",
        "good p99 at 200 a second beside 6,000 wrong ones, as a multiple of alone",
        round(found["p99"] / unloaded["p99"], 1),
        "times",
        4,
        2,
        more={
            "p99 ms": round(found["p99"], 1),
            "unloaded ms": round(unloaded["p99"], 2),
            "refused a second": round(flood["rate"]),
        },
    )


def size_rows(bench: Bench) -> Iterator[Row]:
    """What large bodies take."""
    bench.say("large bodies")
    with acks(bench.folder, "large") as ours:
        yield Row(
            "attacks",
            "bytes read of a body over the limit",
            _read_of_oversized(ours),
            "",
            0,
            0,
        )
        body = b'{"ref": "' + bytes(range(32, 127)).replace(b'"', b"").replace(b"\\", b"") * 268_000
        large = write_requests(bench.folder / "large.requests", [request(body[: 25 * MIB])])
        at_rest = ours.memory()
        ours.forget_most()
        bench.load(ours, large, connections=8, count=8)
        yield Row(
            "attacks",
            "memory for eight times 25 MB at once",
            round(ours.most_memory() - at_rest),
            "MiB",
            420,
            110,
            more={"kept after": f"{ours.memory() - at_rest:.0f} MiB"},
        )


def _read_of_oversized(ours: Server) -> int:
    """The body's bytes that went out before the refusal was there."""
    head, tail, _ = request(b"")
    head = head.replace(b"Content-Length: 0", b"Content-Length: %d" % (100 * MIB))
    sent = 0
    with socket.create_connection(("127.0.0.1", ours.port), 10) as wire:
        wire.sendall(head + b"oversized" + tail)
        while b"\r\n\r\n" not in (said := wire.recv(4096)):
            sent += wire.send(b"x" * 4096)
    assert said.startswith(b"HTTP/1.1 413"), said
    return sent


def slow_rows(bench: Bench) -> Iterator[Row]:
    """How long slow senders are borne."""
    bench.say("slow senders")
    head, tail, _ = request(b"x" * 1000)
    begins = {"header": head[:100], "body": head + b"slow" + tail[:100]}
    took: dict[str, float] = {}

    def trickle(name: str, first: bytes, port: int) -> None:
        began = time.perf_counter()
        with socket.create_connection(("127.0.0.1", port), 10) as wire:
            wire.settimeout(0.2)
            wire.sendall(first)
            with contextlib.suppress(ConnectionError):
                while time.perf_counter() - began < 60:
                    with contextlib.suppress(TimeoutError):
                        if not wire.recv(4096):
                            break
                    wire.sendall(b"x")
        took[name] = time.perf_counter() - began

    with acks(bench.folder, "slow") as ours:
        threads = [
            threading.Thread(target=trickle, args=(name, first, ours.port))
            for name, first in begins.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, must, reach in (("header", 20, 15), ("body", 15, 10)):
        what = f"a {name} that trickles in is cut off after"
        yield Row("attacks", what, round(took[name], 1), "s", must, reach)
