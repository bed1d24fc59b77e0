"""Run programs within limits, their output to the log, without leaving a process behind."""

import asyncio
import codecs
import contextlib
import os
import shutil
import signal
import threading
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bridge.connecting.proxies import proxy_variables
from bridge.embedded.building.logs import Log
from bridge.embedded.storage.paths import (
    BuildFailed,
    MissingTool,
    TimeLimit,
    put_away,
    undivided,
    words,
)

_READ = 64 * 1024
_GRACE_SECONDS = 3.0

# The variables that programs inherit, and proxies; others may hold secrets of the bridge.
_PASSED_ON = words(
    "LANG LC_ALL TZ TMPDIR SSH_AUTH_SOCK SSL_CERT_FILE SSL_CERT_DIR DOCKER_HOST DOCKER_CONTEXT"
    " DOCKER_CERT_PATH DOCKER_TLS_VERIFY BUILDKIT_HOST XDG_RUNTIME_DIR"
)
_HOW_TO_INSTALL = {
    "git": "Install Git, for example with: apt-get install git",
    "git-lfs": "Install Git LFS, for example with: apt-get install git-lfs",
    "docker": "Install Docker Engine: https://docs.docker.com/engine/install/",
    "nixpacks": "Install Nixpacks: https://nixpacks.com/docs/install",
    "railpack": "Install Railpack: https://railpack.com/installation",
    "pack": "Install the pack CLI: https://buildpacks.io/docs/for-platform-operators/how-to/integrate-ci/pack/",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a deployment.

    Attributes:
        clone_seconds, build_seconds: time to get the code, and to build it.
        file_bytes: size of each file that a program writes.
        memory_bytes: address space of each program that we start: git, nixpacks, railpack,
            pack. Docker builds in its own daemon, under the daemon's limits.
        log_bytes: size of a log; the rest is dropped.
        checkout_bytes, checkout_entries: size of the code, with submodules and Git's folder, and
            its number of files and folders.
        site_bytes, site_entries, site_depth: the same for a published site, links followed, and
            how deep its folders may be nested.
    """

    clone_seconds: float = 300.0
    build_seconds: float = 1800.0
    file_bytes: int = 4 * 1024**3
    memory_bytes: int = 8 * 1024**3
    log_bytes: int = 10 * 1024**2
    checkout_bytes: int = 8 * 1024**3
    checkout_entries: int = 500_000
    site_bytes: int = 2 * 1024**3
    site_entries: int = 100_000
    site_depth: int = 64


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run.

    Attributes:
        argv: its name, looked up on the search path, and its arguments.
        env: added to the few variables that every program gets.
        quiet: return the output, do not log it.
        hear: receives the output instead, piece by piece; if it raises, the program is killed.
    """

    argv: Sequence[str]
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    quiet: bool = False
    hear: Callable[[bytes], None] | None = None


@dataclass(frozen=True, slots=True)
class Runner:
    """Run commands for one deployment.

    Attributes:
        search_path: as in PATH; None means our own.
    """

    log: Log
    limits: Limits
    search_path: str | None = None

    async def require(self, tool: str) -> str:
        """Return the path of a program; raise MissingTool, with how to install it."""
        found = await asyncio.to_thread(shutil.which, tool, path=self._path())
        if found is None:
            raise MissingTool(tool, _HOW_TO_INSTALL.get(tool, f"Install {tool}."))
        return found

    async def run(self, command: Command) -> str:
        """Run a command to its end; return its output if it is quiet.

        Raises:
            BuildFailed: it can't be started, or its exit code is not 0.
        """
        code, output = await self.attempt(command)
        if code != 0:
            said = f": {output.strip()[-500:]}" if output.strip() else ""
            raise BuildFailed(f"{command.argv[0]} ended with exit code {code}{said}")
        return output

    async def attempt(self, command: Command) -> tuple[int, str]:
        """Run a command to its end; return its exit code and, if it is quiet, its output."""
        program = await self.require(command.argv[0])
        argv = [*_limited(self.limits), program, *command.argv[1:]]
        env = {"HOME": str(Path.home()), **inherited(), **command.env, "PATH": self._path()}
        transport, process = await _start(argv, command.cwd, env)
        output: list[str] = []
        reading = (
            _hear(process, command.hear)
            if command.hear is not None
            else self._read(process, output if command.quiet else None)
        )
        reader = asyncio.create_task(reading)
        try:
            code = await process.wait()
            # A child that is still running may hold the pipe open; do not wait for it.
            await asyncio.wait({reader}, timeout=_GRACE_SECONDS)
            return code, "".join(output)
        finally:
            try:
                await _end(process)
                await put_away(reader)
            finally:  # also on a second cancellation
                reader.cancel()
                transport.close()

    async def _read(self, process: Process, output: list[str] | None) -> None:
        assert process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while chunk := await process.stdout.read(_READ):
            text = decoder.decode(chunk)
            if output is None:
                await self.log.feed(text)
            elif sum(map(len, output)) < _READ:
                output.append(text)
        if output is None:
            await self.log.flush()

    def _path(self) -> str:
        return self.search_path or os.environ.get("PATH") or os.defpath


def inherited() -> dict[str, str]:
    """Return the variables that every program inherits: nothing in them is secret."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | proxy_variables()


async def _hear(process: Process, hear: Callable[[bytes], None]) -> None:
    assert process.stdout is not None
    try:
        while chunk := await process.stdout.read(_READ):
            hear(chunk)
    except BuildFailed:
        _signal(process.pid, signal.SIGKILL)
        while await process.stdout.read(_READ):  # asyncio reports no end before the pipe is empty
            pass
        raise


def _limited(limits: Limits) -> list[str]:
    """Return the start of a command line: a shell that sets limits, then runs the program.

    Limits can't be set between fork and exec in a process with threads. Limits that the system
    lacks, such as address space on macOS, are skipped.
    """
    script = f'ulimit -v {limits.memory_bytes // 1024} 2>/dev/null; ulimit -f "$0" 2>/dev/null; '
    return ["/bin/sh", "-c", script + 'exec "$@"', str(limits.file_bytes // 512)]


@contextlib.asynccontextmanager
async def time_limit(what: str, seconds: float) -> AsyncIterator[None]:
    """Raise TimeLimit if the block takes longer."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise TimeLimit(what, seconds) from error


async def _start(
    argv: list[str], cwd: Path | None, env: dict[str, str]
) -> tuple[asyncio.SubprocessTransport, Process]:
    """Do the same as `create_subprocess_exec`, and return the transport too."""
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=_READ, loop=loop),
            *argv,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=cwd,
            env=env,
            start_new_session=True,  # a process group that can be killed as a whole
        )
    except (OSError, ValueError) as error:
        raise BuildFailed(f"{Path(argv[4]).name} can't be started: {error}") from error
    return transport, Process(transport, protocol, loop)


async def _end(process: Process) -> None:
    _signal(process.pid, signal.SIGTERM)
    try:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GRACE_SECONDS):
                    await process.wait()
    finally:  # a second cancellation only shortens the grace period
        _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


# ── Limits: a small repository can unpack to a lot ──────────────────────────────────────────────

R = TypeVar("R")

_LOOK_SECONDS = 0.5


async def within_limits(work: Coroutine[Any, Any, R], folder: Path, limits: Limits) -> R:
    """Do work that fills a folder, and cancel it if the folder exceeds its limits.

    The folder is measured periodically, and once at the end.

    Raises:
        BuildFailed: the folder exceeds its limits.
    """
    working = asyncio.create_task(work)
    stop = threading.Event()

    async def look() -> None:
        await undivided(lambda: measure(folder, limits, stop), on_cancel=stop.set)

    try:
        while not (await asyncio.wait({working}, timeout=_LOOK_SECONDS))[0]:
            await look()
        result = await working
        await look()
        return result
    finally:
        if not working.done():
            await put_away(working)


def measure(folder: Path, limits: Limits, stop: threading.Event) -> None:
    """Raise BuildFailed if a folder exceeds its limits; stop counting at the limit."""
    entries = size = 0
    waiting = [str(folder)]
    while waiting and not stop.is_set():
        for entry in _entries(waiting.pop()):
            entries += 1
            if entries > limits.checkout_entries:
                limit = limits.checkout_entries
                raise BuildFailed(f"the code has more than its limit of {limit} files and folders")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
                continue
            size += _size(entry)
            if size > limits.checkout_bytes:
                raise BuildFailed(
                    f"the code is larger than its limit of {limits.checkout_bytes} bytes"
                )


def _entries(folder: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:  # programs move and remove what they write
        return []


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
