"""How many webhooks a second are taken and kept, beside the floor and beside others."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.bench.harness import peers
from tests.bench.harness.bench import Bench
from tests.bench.harness.rows import Row
from tests.bench.harness.servers import Server, acks, backend, bridge, floor
from tests.bench.harness.webhooks import pushes

CELLS = ((7_000, 32), (20_000, 32), (20_000, 128), (200_000, 32))
COUNTS = {7_000: 6_000, 20_000: 6_000, 200_000: 1_200}
TARGETS = {
    (7_000, 32): (0.33, 0.50),
    (20_000, 32): (0.38, 0.50),
    (20_000, 128): (0.50, 0.50),
    (200_000, 32): (0.14, 0.28),
}
PEER_TARGETS = {"@octokit/webhooks": (None, None), "adnanh/webhook": (5.0, 10.0)}
FLOORS = ("floor", "hmac", "transaction")
FLOOR_CPU_US = 47.0
"""CPU µs of the floor for 20 KB over 32 connections, on the targets' machine."""
FLOOR_RATES = {
    (7_000, 32): 20_982,
    (20_000, 32): 19_839,
    (20_000, 128): 15_667,
    (200_000, 32): 8_328,
}
"""Requests a second of the floor, on the targets' machine."""

GROUP = "webhooks kept, as a ratio to the floor (one core, interleaved rounds)"
NAMES = {
    "floor": "floor: bare aiohttp + uvloop, reads and answers",
    "hmac": "the same, checks the signature",
    "transaction": "the same, a SQLite transaction for each request",
    "acks": "bridge: doors and inbox (`--role web`)",
    "bridge": "bridge: `serve`, deciding all of them meanwhile",
}


def rows(bench: Bench) -> Iterator[Row]:
    """All of it."""
    with ExitStack() as stack:
        dokploy = stack.enter_context(backend(bench.folder, apps=20, build_seconds=60))
        settings = dokploy_settings(dokploy)
        servers = {kind: stack.enter_context(floor(bench.folder, kind)) for kind in FLOORS}
        servers["acks"] = stack.enter_context(acks(bench.folder))
        servers["bridge"] = stack.enter_context(bridge(bench.folder, **settings))
        acked: dict[str, list[Path]] = {"acks": [], "bridge": []}
        for size, connections in CELLS:
            yield from _cell(bench, servers, acked, size, connections)
        yield from _peers(bench, servers)
        for name in ("acks", "bridge"):
            servers[name].end()
        for name, files in acked.items():
            yield _read_back(servers[name], files)


def pace(bench: Bench) -> float:
    """How many times slower the machine is than the targets'; 1 where it is faster."""
    bench.say("the pace of this machine")
    requests = pushes(bench.folder / "20000.requests", 20_000)
    with floor(bench.folder) as least:
        bench.load(least, requests, connections=32, count=2_000)
        took = [
            bench.alone(lambda: bench.load(least, requests, connections=32, count=4_000), [least])
            for _ in range(3)
        ]
    return max(1.0, float(median(one["cpu_us"] for one in took)) / FLOOR_CPU_US)


def dokploy_settings(dokploy: Server) -> dict[str, str]:
    """What makes a bridge use a backend of ours."""
    url = f"http://127.0.0.1:{dokploy.port}"
    return {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": "a-key"}


def _cell(
    bench: Bench, servers: dict[str, Server], acked: dict[str, list[Path]], size: int, many: int
) -> Iterator[Row]:
    bench.say(f"webhooks of {size // 1000} KB over {many} connections")
    requests = pushes(bench.folder / f"{size}.requests", size)
    for server in servers.values():
        _run(bench, server, requests, many, COUNTS[size] // 3, acked)
    found = bench.rounds_of(
        {
            name: partial(_run, bench, server, requests, many, COUNTS[size], acked)
            for name, server in servers.items()
        },
        list(servers.values()),
    )
    for name in servers:
        must, reach = TARGETS[size, many] if name == "acks" else (None, None)
        ratio = _ratio(found[name], found["floor"])
        there = _ratio_there(found[name], found["floor"], FLOOR_RATES[size, many])
        yield Row(
            f"{GROUP}, {size // 1000} KB, {many} connections",
            NAMES[name],
            round(ratio, 3),
            "",
            must,
            reach,
            more_is_better=True,
            pace=1.0 if must is None else max(1.0, there / ratio),
            more=_more(found[name]),
        )


def _run(
    bench: Bench,
    server: Server,
    requests: Path,
    connections: int,
    count: int,
    acked: dict[str, list[Path]],
) -> dict[str, Any]:
    options: dict[str, Any] = {"connections": connections, "count": count}
    if server.name in acked:
        options["acked"] = bench.folder / f"{server.name}-{bench.seeds}.acked"
        acked[server.name].append(options["acked"])
    return bench.load(server, requests, **options)


def _ratio(found: list[dict[str, Any]], base: list[dict[str, Any]]) -> float:
    return float(median(a["rate"] / b["rate"] for a, b in zip(found, base, strict=True)))


def _ratio_there(
    found: list[dict[str, Any]], base: list[dict[str, Any]], floor_rate: float
) -> float:
    """The ratio if the floor took as long as on the targets' machine, and the rest as here."""
    floor = 1 / floor_rate
    added = median(1 / a["rate"] - 1 / b["rate"] for a, b in zip(found, base, strict=True))
    return float(floor / (floor + added))


def _more(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "a second": round(median(one["rate"] for one in found)),
        "CPU µs": round(median(one["cpu_us"] for one in found)),
        "p99 ms": round(median(one["p99"] for one in found), 1),
    }


def _peers(bench: Bench, servers: dict[str, Server]) -> Iterator[Row]:
    names = peers.installed()
    if not names:
        bench.say("no peers are installed (make bench-peers)")
    for name in names:
        bench.say(f"beside {name}")
        with peers.peer(name, bench.folder) as peer:
            found = _beside(bench, peer, servers["acks"], servers["floor"])
        must, reach = PEER_TARGETS.get(name, (1.05, 2.0))
        yield Row(
            "as a ratio to others, none of which keeps anything (20 KB, 32 connections)",
            f"bridge ÷ {name}",
            round(_ratio(found["bridge"], found["peer"]), 2),
            "",
            must,
            reach,
            more_is_better=True,
            more={"peer ÷ floor": round(_ratio(found["peer"], found["floor"]), 3)}
            | _more(found["peer"]),
        )


def _beside(
    bench: Bench, peer: Server, ours: Server, least: Server
) -> dict[str, list[dict[str, Any]]]:
    status = peers.STATUS.get(peer.name, 202)
    theirs = pushes(bench.folder / "peer.requests", 20_000, expected=status)
    mine = bench.folder / "20000.requests"
    count = 1_000 if peer.name == "adnanh/webhook" else 4_000
    for _ in range(3):  # V8 takes seconds to warm up
        bench.load(peer, theirs, count=count)
    return bench.rounds_of(
        {
            "peer": lambda: bench.load(peer, theirs, count=count),
            "bridge": lambda: bench.load(ours, mine, count=4_000),
            "floor": lambda: bench.load(least, mine, count=4_000),
        },
        [peer, ours, least],
    )


def _read_back(server: Server, files: list[Path]) -> Row:
    """Every 202 is in the database, once."""
    assert server.data is not None
    told = [id_ for file in files for id_ in file.read_text().split()]
    return compared(server.data, told, f"{NAMES[server.name]}: acknowledged, but not kept once")


def compared(data: Path, told: list[str], what: str, group: str = "read back") -> Row:
    """How many of what was acknowledged a database does not hold exactly once."""
    with closing(sqlite3.connect(data / "inbox.sqlite")) as inbox:
        kept = [id_ for (id_,) in inbox.execute("SELECT id FROM deliveries WHERE host = 'github'")]
    once = set(kept)
    wrong = len(set(told) - once) + len(kept) - len(once)
    return Row(group, what, wrong, "", 0, 0, more={"acknowledged": len(told), "kept": len(kept)})
