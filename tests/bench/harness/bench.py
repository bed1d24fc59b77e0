"""What every measurement needs, and how it is repeated until it was alone on the machine."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from tests.bench.harness.machine import Quiet
from tests.bench.harness.servers import Server, load

T = TypeVar("T")

SHIFT = 1
"""By how many places the order of a round differs from that of the one before."""

SETTLES = 0.2
"""Seconds of rest for a disk whose use is rationed, and in which no server may be at work."""

AT_REST = 0.15
"""Share of a core that servers at rest may use, all together."""

MOST_PATIENCE = 60.0
"""Seconds until servers that never come to rest are a fault."""


@dataclass
class Bench:
    """A run of the benchmark.

    Attributes:
        program: the load generator.
        long: with the numbers of the targets where the short run scales them down.
        seeds: so that no two loads have the same delivery ids.
        pace: how many times slower the machine is than the one that the targets were set on.
    """

    folder: Path
    program: Path
    quiet: Quiet
    long: bool = False
    rounds: int = 5
    seeds: int = 0
    pace: float = 1.0
    began: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        """Tell people how far it has come."""
        sys.stderr.write(f"  {time.monotonic() - self.began:5.0f} s  {what}\n")
        sys.stderr.flush()

    def seed(self) -> int:
        """Another one each time."""
        self.seeds += 1
        return self.seeds

    def load(self, server: Server, requests: Path, **options: Any) -> dict[str, Any]:
        """One run of the load with new ids; whatever is not answered as expected ends it all."""
        report = load(self.program, server, requests, seed=self.seed(), **options)
        if report["unexpected"] or report["errors"]:
            raise RuntimeError(f"{server.name} did not answer as it should: {report}")
        return report

    def alone(self, measure: Callable[[], T], servers: Sequence[Server]) -> T:
        """Measure, again where others have disturbed it."""
        while True:
            self.quiet.begin(_cpu(servers))
            found = measure()
            if self.quiet.counts(_cpu(servers)):
                return found
            time.sleep(1)

    def rounds_of(
        self, measures: dict[str, Callable[[], dict[str, Any]]], servers: Sequence[Server]
    ) -> dict[str, list[dict[str, Any]]]:
        """Rounds in which everything has its turn; each is void, and repeated, if disturbed.

        Whoever comes after one that writes much finds the disk busy, and `serve` decides what it
        has kept when the load is over. So each begins with all that is to be written written and
        all that is to be decided decided, and another one is the first each time.
        """
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in measures}
        names = list(measures)
        for turn in range(self.rounds):
            first = turn * SHIFT % len(names)
            order = names[first:] + names[:first]
            one = self.alone(partial(_in_turn, measures, order, servers), servers)
            for name, report in one.items():
                found[name].append(report)
        return found


def _in_turn(
    measures: dict[str, Callable[[], T]], order: Sequence[str], servers: Sequence[Server]
) -> dict[str, T]:
    found = {}
    for name in order:
        _settle(servers)
        found[name] = measures[name]()
    return found


def _settle(servers: Sequence[Server]) -> None:
    os.sync()
    until = time.monotonic() + MOST_PATIENCE
    while True:
        used = _cpu(servers)
        time.sleep(SETTLES)
        if _cpu(servers) - used <= AT_REST * SETTLES:
            return
        if time.monotonic() > until:
            raise RuntimeError("a server is at work though nobody asks it for anything")


def _cpu(servers: Sequence[Server]) -> float:
    return sum(server.cpu() for server in servers if server.process.poll() is None)
