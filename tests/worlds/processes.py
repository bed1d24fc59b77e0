"""Start processes of the bridge from one that has imported everything, which saves a second each.

They are forked, then run the same command line as `python -m bridge`, or as another program, with
their own environment, folder and output. They share the seed of `hash`, the order of imports and
what modules read from the environment when they are imported; tests of these, and of the installed
command, start it as usual.
"""

import asyncio
import atexit
import gc
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import IO, Any

import bridge

ROOT = Path(__file__).parents[2]
LATER = (
    *("anyio", "dbos._sys_db_sqlite", "httpcore", "uvloop"),
    *("sqlalchemy.dialects.postgresql.psycopg", "sqlalchemy.dialects.sqlite"),
)
"""Modules that libraries import when they are first used."""

STARTING = threading.Lock()
MOST_BYTES = 200_000
"""Bytes of a message."""

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL

Output = int | IO[bytes]
"""A file, PIPE or DEVNULL; of errors also STDOUT."""

FORKS = "--forks"
"""Has a module fork, rather than run the words of its command line."""


@dataclass(frozen=True)
class Program:
    """A program that can be forked.

    Attributes:
        module: runs it.
        forks: runs the same in processes that it forks.
    """

    module: str
    forks: str


BRIDGE = Program("bridge", "tests.worlds.processes")


# ── the process that forks ───────────────────────────────────────────────────────────────────────


def fork_on_demand() -> None:
    """Fork for each message, and tell how each process ended, until the other side is gone.

    Returns only in the forked processes, once their environment is set up.
    """
    import_all()
    with socket.socket(fileno=int(sys.argv[2])) as channel:
        _fork_on_demand(channel)


def import_all() -> None:
    """Import all of the bridge, so that no process imports any of it again."""
    found = (module.name for module in walk_packages(bridge.__path__, "bridge."))
    migrations = "bridge.storage.migrations."  # which run when they are imported
    of_bridge = (name for name in found if not name.startswith(migrations))
    for name in (*of_bridge, *LATER):
        if not name.endswith("__main__"):
            import_module(name)


def _fork_on_demand(channel: socket.socket) -> None:
    gc.collect()
    gc.freeze()
    assert threading.active_count() == 1, "a fork would leave the other threads behind"
    ended, tells = socket.socketpair()
    tells.setblocking(False)
    signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # those who want it gone close the channel
    with selectors.DefaultSelector() as ready:
        ready.register(channel, selectors.EVENT_READ)
        ready.register(ended, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is ended:
                    ended.recv(4096)
                    _tell_of_ended(channel)
                elif not _fork(channel):
                    return


def _tell_of_ended(channel: socket.socket) -> None:
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            pid, status = found
            channel.send(json.dumps([pid, os.waitstatus_to_exitcode(status)]).encode())


def _fork(channel: socket.socket) -> bool:
    """Fork for the next message; return whether this is still the process that forks."""
    message, files, _, _ = socket.recv_fds(channel, MOST_BYTES, 2)
    if not message:
        os._exit(0)
    wanted = json.loads(message)
    pid = os.fork()
    if pid:
        for file in files:
            os.close(file)
        channel.send(json.dumps([wanted["number"], pid, "begun"]).encode())
        return True
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    channel.close()
    for file, standard in zip(files, (1, 2), strict=True):
        os.dup2(file, standard)
        os.close(file)
    # The old ones know another kind of file. These stay open as long as the process lives.
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(wanted["folder"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    time.tzset()
    sys.path[0] = wanted["folder"]
    sys.argv = ["bridge", *wanted["words"]]
    sys.orig_argv = [sys.executable, "-m", *sys.argv]  # with which it starts anew
    return False


# ── the side of the tests ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Forked:
    """A process, as `asyncio.subprocess.Process`."""

    pid: int
    stdout: asyncio.StreamReader | None
    stderr: asyncio.StreamReader | None
    ended: "Future[int]"

    @property
    def returncode(self) -> int | None:
        known = self.ended.done() and self.ended.exception() is None
        return self.ended.result() if known else None

    async def wait(self) -> int:
        return await asyncio.shield(asyncio.wrap_future(self.ended))

    async def communicate(self) -> tuple[bytes, bytes]:
        """Return all that it says, once it has ended."""

        async def said(by: asyncio.StreamReader | None) -> bytes:
            return b"" if by is None else await by.read()

        output, errors = await asyncio.gather(said(self.stdout), said(self.stderr))
        await self.wait()
        return output, errors

    def send_signal(self, number: int) -> None:
        if not self.ended.done() or self.ended.exception() is not None:
            with suppress(ProcessLookupError):  # it has ended, and we have not heard of it yet
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


Running = asyncio.subprocess.Process | Forked


def _certain() -> "Future[Any]":
    """Return a future that nobody can cancel: what it tells of happens in any case."""
    future = Future[Any]()
    future.set_running_or_notify_cancel()
    return future


class Forking:
    """The other side of `fork_on_demand`.

    Args:
        module: what forks when it is started with FORKS and the file of a socket.

    Attributes:
        over: why it forks no more; None while it does.
    """

    def __init__(self, module: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        self._numbers = itertools.count()
        self._begun: dict[int, Future[tuple[int, Future[int]]]] = {}
        self._running: dict[int, Future[int]] = {}
        self._alone = threading.Lock()
        self.over: str | None = None
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, FORKS, str(theirs.fileno())],
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
                stdin=DEVNULL,
                stdout=DEVNULL,
            )
        threading.Thread(target=self._hear, name="processes", daemon=True).start()
        atexit.register(self._end)

    def begin(
        self, words: tuple[str, ...], folder: Path, environment: Mapping[str, str], *files: int
    ) -> "Future[tuple[int, Future[int]]]":
        """Fork a process that writes to two files; return its id and what will be its exit code."""
        number, begun = next(self._numbers), _certain()
        wanted = {
            "number": number,
            "words": words,
            "folder": str(folder),
            "environment": dict(environment),
        }
        with self._alone:
            if self.over is not None:
                raise RuntimeError(self.over)
            self._begun[number] = begun
        with suppress(BrokenPipeError):  # `_hear` says why
            socket.send_fds(self._channel, [json.dumps(wanted).encode()], list(files))
        return begun

    def _hear(self) -> None:
        with suppress(OSError):  # it may have died before it read all
            while message := self._channel.recv(MOST_BYTES):
                self._heard(json.loads(message))
        code = self._process.wait()
        with self._alone:
            self.over = f"the process that forks the others has ended (exit code {code})"
        lost: list[Future[Any]] = [*self._begun.values(), *self._running.values()]
        for process in lost:
            process.set_exception(RuntimeError(self.over))

    def _heard(self, message: list[Any]) -> None:
        match message:
            case [number, pid, "begun"]:
                ended = self._running[pid] = _certain()
                self._begun.pop(number).set_result((pid, ended))
            case [pid, code]:
                self._running.pop(pid).set_result(code)

    def end(self, number: signal.Signals) -> None:
        """End the process that forks, as a machine short of memory does."""
        self._process.send_signal(number)

    def _end(self) -> None:
        with suppress(OSError):  # the other side has ended
            self._channel.shutdown(socket.SHUT_WR)
        self._process.wait()


_made: dict[str, Forking] = {}


def forking(module: str) -> Forking:
    """Return this test process's own, started on first use and again once it is over."""
    with STARTING:
        if module not in _made or _made[module].over is not None:
            _made[module] = Forking(module)
        return _made[module]


async def start_bridge(
    *words: str,
    cwd: Path,
    env: Mapping[str, str],
    stdout: Output = DEVNULL,
    stderr: Output = DEVNULL,
    program: Program = BRIDGE,
) -> Running:
    """Start `python -m bridge` with these words; as `asyncio.create_subprocess_exec`."""
    if sys.platform != "linux":  # elsewhere what is imported may not survive a fork
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", program.module, *words),
            cwd=cwd,
            env=env,
            stdin=DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
    parent = await asyncio.to_thread(forking, program.forks)
    output, out_reader = await _opened(stdout)
    errors, err_reader = (os.dup(output), None) if stderr == STDOUT else await _opened(stderr)
    try:
        begun = parent.begin(words, cwd, env, output, errors)
    finally:
        os.close(output)
        os.close(errors)
    try:
        pid, ended = await asyncio.shield(asyncio.wrap_future(begun))
    except asyncio.CancelledError:  # nobody would end it
        begun.add_done_callback(_killed)
        raise
    return Forked(pid, out_reader, err_reader, ended)


def _killed(begun: "Future[tuple[int, Future[int]]]") -> None:
    if begun.exception() is None:
        Forked(begun.result()[0], None, None, begun.result()[1]).kill()


async def _opened(wanted: Output) -> tuple[int, asyncio.StreamReader | None]:
    """Return the file to write to, and for PIPE where to read it."""
    if wanted == DEVNULL:
        return os.open(os.devnull, os.O_WRONLY), None
    if wanted != PIPE:
        return os.dup(wanted if isinstance(wanted, int) else wanted.fileno()), None
    reads, writes = os.pipe()
    reader = asyncio.StreamReader()
    protocol: Any = asyncio.StreamReaderProtocol(reader)
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(reads, "rb", 0))
    return writes, reader


if __name__ == "__main__":
    fork_on_demand()
    from bridge.__main__ import main

    main()
