"""Parses large bodies in a process of their own (`reader`).

In this process a body of 22 MB holds Python's lock for up to a second, and one that is made for
it takes 300 MB. There neither matters, and what kills it kills nothing else.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import tempfile
import weakref
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import overload

import bridge
from bridge.core.errors import MalformedPayload, Unread
from bridge.core.events import Event, RefPushed, kind_of
from bridge.githosts.reader import (
    LENGTH,
    Asked,
    length_of,
    read_head,
    read_paths,
    write_asked,
)
from bridge.ports.githosts import Binds, GitHost

SECONDS = 120.0
"""For one body; the reader's own limit is of processor time, which a busy machine stretches."""

MODULE = "bridge.githosts.reader"

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
"""Of our environment; the rest may hold secrets of the bridge."""

_ITS_OWN_LIMITS = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGXCPU})
"""What ends the reader where a body takes too much: allocators and parsers that are not Python's
abort."""


class Apart:
    """Reads one body at a time; a `ParsesApart`."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def __call__(
        self, host: GitHost, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """See `ParsesApart`."""
        asked = write_asked(Asked(kind_of(host.name), event, headers))
        async with self._one:
            try:
                async with asyncio.timeout(SECONDS):
                    found = await asyncio.to_thread(_event, await _read(asked, body))
            except TimeoutError:
                raise Unread(
                    f"it was not read within {SECONDS:g} s; is the machine busy?"
                ) from None
        return host.bind(found) if isinstance(host, Binds) else found


async def _read(asked: bytes, body: Iterable[bytes]) -> "Answer":
    """Return what a reader has answered; it is gone then, and so is its memory."""
    await asyncio.to_thread(give_back)
    answer = await asyncio.to_thread(Answer)
    reader = await _started(answer)
    try:
        await _feed(reader, asked, body)  # raises where the body can't be had
        if code := await reader.wait():
            raise _ended(code)
    finally:
        if reader.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                reader.kill()
            await reader.wait()
    return answer


def give_back() -> None:
    """Have glibc give back what it keeps of earlier bodies; other allocators know no such call."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def _started(answer: "Answer") -> Process:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # Where the bridge runs from a checkout that is not installed, the reader has to find it too;
    # `-P`: and nothing else that lies where it was started.
    # glibc's own default keeps memory that was freed, and copies blocks that grow.
    environment["MALLOC_MMAP_THRESHOLD_"] = str(2**20)
    environment["PYTHONPATH"] = str(Path(bridge.__file__).parent.parent)
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", MODULE),
            stdin=PIPE,
            stdout=answer.file,
            stderr=DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Unread(f"its reader can't be started: {error.strerror}") from error


async def _feed(reader: Process, asked: bytes, body: Iterable[bytes]) -> None:
    assert reader.stdin is not None
    # It may have refused the body before it took all of it.
    with contextlib.suppress(ConnectionError):
        reader.stdin.write(asked)
        for piece in body:
            reader.stdin.write(piece)
            await reader.stdin.drain()
        reader.stdin.close()


class Answer:
    """What a reader says, in a file that nobody else can open: a million paths are much memory."""

    def __init__(self) -> None:
        """Make the file; in memory where there is no folder for it. Raises Unread."""
        try:
            with tempfile.TemporaryFile() as file:
                self.file = os.dup(file.fileno())
        except OSError as error:
            if not hasattr(os, "memfd_create"):
                why = f"there is no temporary file for it ({error.strerror}); set TMPDIR"
                raise Unread(why) from error
            self.file = os.memfd_create("answer")
        weakref.finalize(self, os.close, self.file)

    def frames(self) -> Iterator[bytes]:
        """Yield one frame after the other; may be called again, in any thread."""
        at = 0
        while head := os.pread(self.file, LENGTH, at):
            size = length_of(head)
            yield os.pread(self.file, size, at + LENGTH)
            at += LENGTH + size


def _event(answer: Answer) -> Event:
    """Return what an answer says."""
    if (frame := next(answer.frames(), None)) is None:
        raise _ended(0)
    head = read_head(frame)
    if head.paths is None:
        return head.event
    assert isinstance(head.event, RefPushed)
    return replace(head.event, paths=FiledPaths(answer, head.paths))


class FiledPaths(Sequence[str]):
    """The paths of a large push, as its reader has written them; some at a time are in memory.

    As texts, a million of them take three times as much, and leave memory in pieces, which the next
    large push misses.
    """

    def __init__(self, answer: Answer, count: int) -> None:
        self._answer = answer
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for frame in islice(self._answer.frames(), 1, None):
            yield from read_paths(frame)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | FiledPaths) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


def _ended(code: int) -> Exception:
    """Return what it means that the reader has ended without an answer."""
    if -code in _ITS_OWN_LIMITS:
        name = signal.Signals(-code).name
        return MalformedPayload(f"reading it takes too much memory or time (ended by {name})")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    what = "does the machine have memory for it, and room for temporary files?"
    return Unread(f"its reader ended with {how}; {what}")
