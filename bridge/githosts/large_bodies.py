"""Parse large bodies in a separate process (`reader`).

In this process a body of 22 MB would hold Python's lock for up to a second, and a hostile one
would take 300 MB. In a separate process neither matters, and a crash ends only the reader.
"""

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import weakref
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import overload

from pydantic_core import from_json

import bridge
from bridge.core.errors import MalformedPayload, Unreachable, Unread
from bridge.core.events import Event, RefPushed, kind_of
from bridge.githosts.base.webhook import give_back
from bridge.githosts.reader import LENGTH, asking, read_head
from bridge.ports.githosts import Binds, GitHost

SECONDS = 120.0
"""Wall-clock limit for one body; the reader's own limit counts processor time."""

MODULE = "bridge.githosts.reader"

_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
"""Variables that the reader inherits; the others may hold secrets."""

_ITS_OWN_LIMITS = frozenset({signal.SIGABRT, signal.SIGSEGV, signal.SIGXCPU})
"""Signals that end a reader over its limits; allocators and parsers outside Python abort."""


class Apart:
    """Reads one body at a time; a `ParsesApart`.

    Args:
        most: how many may be read or wait for it; None for any number.
    """

    def __init__(self, most: int | None = None) -> None:
        self._one = asyncio.Lock()
        self._most = most
        self._asked = 0

    async def __call__(
        self, host: GitHost, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """See `ParsesApart`; raise Unreachable if too many wait."""
        asked = asking(kind_of(host.name), event, headers)
        async with self._turn():
            try:
                async with asyncio.timeout(SECONDS):
                    found = await asyncio.to_thread(_event, await _read(asked, body))
            except TimeoutError:
                raise Unread(
                    f"it was not parsed within {SECONDS:g} s; is the machine busy?"
                ) from None
        return host.bind(found) if isinstance(host, Binds) else found

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._most is not None and self._asked >= self._most:
            raise Unreachable(
                "the reader of large webhooks", "others use it; try again in a minute"
            )
        self._asked += 1
        try:
            async with self._one:
                yield
        finally:
            self._asked -= 1


async def _read(asked: bytes, body: Iterable[bytes]) -> "Answer":
    """Return a reader's answer; the reader and its memory are then gone."""
    await asyncio.to_thread(give_back)
    answer = await asyncio.to_thread(Answer)
    reader = await _started(answer)
    try:
        await _feed(reader, asked, body)  # raises if the body can't be loaded
        if code := await reader.wait():
            raise _ended(code)
    finally:
        if reader.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                reader.kill()
            await reader.wait()
    return answer


async def _started(answer: "Answer") -> Process:
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # The reader must find a bridge that runs from a checkout; `-P` keeps it from importing anything
    # else in the working directory.
    # By default glibc keeps freed memory, and copies blocks that grow.
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
    # The reader may refuse a body before it has read all of it.
    with contextlib.suppress(ConnectionError):
        reader.stdin.write(asked)
        pieces = iter(body)
        while piece := await asyncio.to_thread(next, pieces, b""):
            reader.stdin.write(piece)
            await reader.stdin.drain()
        reader.stdin.close()


class Answer:
    """A reader's answer, in an unnamed file: a million paths would take much memory."""

    def __init__(self) -> None:
        """Create the file, in memory if there is no folder for it; raise Unread if both fail."""
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
        """Yield all frames; may be called repeatedly, in any thread."""
        at = 0
        while head := os.pread(self.file, LENGTH, at):
            size = int.from_bytes(head, "big")
            yield os.pread(self.file, size, at + LENGTH)
            at += LENGTH + size


def _event(answer: Answer) -> Event:
    if (frame := next(answer.frames(), None)) is None:
        raise _ended(0)
    head = read_head(frame)
    if head.paths is None:
        return head.event
    assert isinstance(head.event, RefPushed)
    return replace(head.event, paths=FiledPaths(answer, head.paths))


class FiledPaths(Sequence[str]):
    """The paths of a large push, in the reader's file; only some are in memory at a time.

    As strings, a million paths take three times the memory and fragment it, which the next large
    push then lacks.
    """

    def __init__(self, answer: Answer, count: int) -> None:
        self._answer = answer
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for frame in islice(self._answer.frames(), 1, None):
            yield from from_json(frame)

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
    """Return the error for a reader that ended without an answer."""
    if -code in _ITS_OWN_LIMITS:
        name = signal.Signals(-code).name
        return MalformedPayload(f"reading it takes too much memory or time (ended by {name})")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    what = "does the machine have enough memory and disk space for temporary files?"
    return Unread(f"its reader ended with {how}; {what}")
