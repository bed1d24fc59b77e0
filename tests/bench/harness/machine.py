"""What the machine is, and whether anybody else was using it while something was measured."""

import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def facts(folder: Path) -> dict[str, Any]:
    """What figures depend on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "uvloop": _has("uvloop"),
        "node": _version("node"),
        "filesystem": _filesystem(folder),
    } | fdatasync(folder, 300)


def fdatasync(folder: Path, times: int) -> dict[str, float]:
    """Milliseconds that 4 KB appended take to be on disk; median and 99th percentile."""
    took = []
    path = folder / "fdatasync"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(times):
            os.write(file, b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        os.close(file)
        path.unlink()
    took.sort()
    return {
        "fdatasync_p50_ms": round(statistics.median(took), 3),
        "fdatasync_p99_ms": round(took[int(len(took) * 0.99)], 3),
    }


@dataclass
class Quiet:
    """Tells whether a measurement was alone on the machine.

    Attributes:
        most_others: share of all CPU time that others may have taken.
        usual: fdatasync's median at the start; ten times as much means a busy disk.
        repeats: that are left for this run; then what is disturbed counts, and is told.
    """

    folder: Path
    most_others: float = 0.15
    usual: float = 0.0
    repeats: int = 15
    voided: int = 0
    disturbed: int = 0

    def __post_init__(self) -> None:
        self.usual = fdatasync(self.folder, 100)["fdatasync_p50_ms"]
        self._busy = self._ours = 0.0
        self._began = 0.0

    def begin(self, ours: float) -> None:
        """A measurement begins; `ours`: CPU seconds that what is measured has used until now."""
        self._busy, self._ours, self._began = _busy_seconds(), ours + _own(), time.monotonic()

    def counts(self, ours: float) -> bool:
        """Whether it counts: it was alone until now, or there was no chance of that."""
        if self._was_alone(ours):
            return True
        if self.repeats:
            self.repeats -= 1
            self.voided += 1
            return False
        self.disturbed += 1
        return True

    def _was_alone(self, ours: float) -> bool:
        took = max(0.01, time.monotonic() - self._began)
        others = _busy_seconds() - self._busy - (ours + _own() - self._ours)
        disk = fdatasync(self.folder, 30)["fdatasync_p50_ms"]
        cores = os.cpu_count() or 1
        return others / took / cores <= self.most_others and disk <= max(1.0, self.usual * 10)


def _own() -> float:
    """CPU seconds of this process and of children that have ended, as the load has."""
    mine = os.times()
    return mine.user + mine.system + mine.children_user + mine.children_system


def _busy_seconds() -> float:
    """CPU seconds that the whole machine has worked."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, _steal = fields
    return (user + nice + system + irq + softirq) / TICKS


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor()


def _filesystem(folder: Path) -> str:
    best = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if str(folder.resolve()).startswith(where) and len(where) > len(best[0]):
            best = (where, kind)
    return best[1]


def _has(module: str) -> str | None:
    if module in sys.builtin_module_names:
        return "built in"
    from importlib import metadata

    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:
        return None


def _version(program: str) -> str | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()
