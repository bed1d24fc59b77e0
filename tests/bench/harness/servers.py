"""Servers to be measured, each in a process of its own on the first core; the load has another."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.harness.webhooks import SECRET

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
TICKS = os.sysconf("SC_CLK_TCK")

_ports = iter(random.Random(os.getpid()).sample(range(20000, 32000), 2000))


def free_port() -> int:
    """A port below the ephemeral range that was not given out before in this run."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


def on_core(core: int) -> list[str]:
    """What pins a command to a core."""
    return ["taskset", "-c", str(core)]


@dataclass
class Server:
    """A running server under measurement."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    data: Path | None = None
    log: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def cpu(self) -> float:
        """Seconds of CPU that it has used until now, and what it has started and ended."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS

    def memory(self) -> float:
        """MiB that it holds."""
        return _status(self.process.pid, "VmRSS")

    def most_memory(self) -> float:
        """MiB that it has held at most, since `forget_most`."""
        return _status(self.process.pid, "VmHWM")

    def forget_most(self) -> None:
        """Let `most_memory` begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def end(self, how: int = signal.SIGTERM) -> None:
        """End it and wait."""
        self.process.send_signal(how)
        self.process.wait()


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 1024
    raise KeyError(name)


@contextmanager
def started(
    name: str,
    command: Sequence[str],
    *,
    port: int,
    environment: Mapping[str, str] = {},
    log: Path,
    data: Path | None = None,
    core: int = SERVER_CORE,
    path: str = "",
) -> Iterator[Server]:
    """A server from when it listens (or answers 200 at `path`) until the block is left."""
    began = time.perf_counter()
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*on_core(core), *command],
            env={**without_bridge(), **environment},
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    server = Server(name, port, process, data, log)
    try:
        await_answer(process, port, path, log)
        server.facts["start_seconds"] = time.perf_counter() - began
        yield server
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def without_bridge() -> dict[str, str]:
    """Our environment without what sets a bridge."""
    return {name: v for name, v in os.environ.items() if not name.startswith("BRIDGE_")}


def await_answer(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> None:
    """Wait until a port takes connections, and, with a path, answers 200 there."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"it ended at once:\n{log.read_text()[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as wire:
            if not path:
                return
            wire.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            if wire.recv(64).split(b" ")[1:2] == [b"200"]:
                return
        time.sleep(0.01)
    raise RuntimeError(f"it does not answer:\n{log.read_text()[-2000:]}")


@contextmanager
def bridge(
    folder: Path, name: str = "bridge", *, path: str = "/readyz", **settings: str
) -> Iterator[Server]:
    """The real thing, `serve`, with its data in `folder/name`, from when `path` answers."""
    port, data = free_port(), folder / name
    environment = {
        "BRIDGE_DATA": str(data),
        "PORT": str(port),
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        "BRIDGE_EMBEDDED_PORT": "0",
        "BRIDGE_LOG_LEVEL": "warning",
        "BRIDGE_LOG_FORMAT": "json",
        "PYTHONPATH": str(ROOT),
    } | settings
    command = [sys.executable, "-m", "bridge", "serve"]
    with started(
        name,
        command,
        port=port,
        environment=environment,
        log=folder / f"{name}.log",
        data=data,
        path=path,
    ) as server:
        yield server


@contextmanager
def acks(folder: Path, name: str = "acks") -> Iterator[Server]:
    """The bridge's doors and inbox alone; see `acks.py`."""
    port, data = free_port(), folder / name
    command = [sys.executable, str(HERE / "acks.py"), str(port), str(data)]
    with started(name, command, port=port, log=folder / f"{name}.log", data=data) as server:
        yield server


@contextmanager
def floor(folder: Path, kind: str = "floor") -> Iterator[Server]:
    """A bare aiohttp handler on uvloop; see `floor.py` for its kinds."""
    port = free_port()
    command = [sys.executable, str(HERE / "floor.py"), kind, str(port), str(folder / f"{kind}.db")]
    with started(kind, command, port=port, log=folder / f"{kind}.log") as server:
        yield server


@contextmanager
def backend(
    folder: Path, *, apps: int, build_seconds: float, core: int = LOAD_CORE
) -> Iterator[Server]:
    """The recording backend as a process on the load's core."""
    port = free_port()
    command = [
        *(sys.executable, str(HERE / "backend.py"), str(port), str(apps), str(build_seconds)),
    ]
    with started(
        "backend", command, port=port, log=folder / "backend.log", core=core, path="/ledger"
    ) as server:
        yield server


def built_load(folder: Path) -> Path:
    """The load generator, built on the spot."""
    program = folder / "load"
    compiler = os.environ.get("CC", "cc")
    source = HERE.parent / "load" / "load.c"
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def load(program: Path, server: Server, requests: Path, **options: Any) -> dict[str, Any]:
    """One run of the load; what it reports, with the CPU that each request cost the server."""
    before = server.cpu()
    words = [f"{name}={value}" for name, value in options.items()]
    said = subprocess.run(
        [*on_core(LOAD_CORE), str(program), str(server.port), str(requests), *words],
        check=True,
        capture_output=True,
        text=True,
    )
    report: dict[str, Any] = json.loads(said.stdout)
    if server.process.poll() is None:
        report["cpu_us"] = (server.cpu() - before) / max(1, report["answered"]) * 1e6
    return report
