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
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

import bridge
from bridge.core.errors import MalformedPayload, Unread
from bridge.core.events import Event, RefPushed
from bridge.githosts.reader import (
    LENGTH,
    Asked,
    Head,
    length_of,
    read_head,
    read_paths,
    write_asked,
)

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
        self, host: str, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """See `ParsesApart`."""
        asked = write_asked(Asked(host, event, headers))
        async with self._one:
            try:
                async with asyncio.timeout(SECONDS):
                    return _event(*await _read(asked, body))
            except TimeoutError:
                raise Unread(
                    f"it was not read within {SECONDS:g} s; is the machine busy?"
                ) from None


async def _read(asked: bytes, body: Iterable[bytes]) -> tuple[Head, list[bytes]]:
    """Return what a reader has answered; it is gone then, and so is its memory."""
    await asyncio.to_thread(give_back)
    reader = await _started()
    feeding = asyncio.create_task(_feed(reader, asked, body))
    answering = asyncio.create_task(_answer(reader))
    try:
        await asyncio.wait((feeding, answering), return_when=asyncio.FIRST_EXCEPTION)
        if feeding.done():
            feeding.result()  # raises where the body can't be had, and it waits for no answer
        return await answering
    except asyncio.IncompleteReadError:
        raise _ended(await reader.wait()) from None
    finally:
        for task in (feeding, answering):
            task.cancel()
        await asyncio.gather(feeding, answering, return_exceptions=True)
        if reader.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                reader.kill()
            await reader.wait()


def give_back() -> None:
    """Have glibc give back what it keeps of earlier bodies; other allocators know no such call."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def _started() -> Process:
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
            stdout=PIPE,
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


async def _answer(reader: Process) -> tuple[Head, list[bytes]]:
    head = read_head(await _frame(reader))
    frames: list[bytes] = []
    while head.paths is not None and (frame := await _frame(reader)):
        frames.append(frame)
    return head, frames


def _event(head: Head, frames: list[bytes]) -> Event:
    """Put an answer together."""
    if head.paths is None:
        return head.event
    assert isinstance(head.event, RefPushed)
    return replace(head.event, paths=PackedPaths(frames, head.paths))


class PackedPaths(Sequence[str]):
    """The paths of a large push, as its reader has sent them; unpacked a few at a time.

    As texts, a million of them take three times as much memory, and what that leaves in pieces
    the next large push finds missing.
    """

    __slots__ = ("_count", "_frames")

    def __init__(self, frames: Iterable[bytes], count: int) -> None:
        self._frames = tuple(frames)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for frame in self._frames:
            yield from read_paths(frame)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        return tuple(self)[at]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | PackedPaths) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


async def _frame(reader: Process) -> bytes:
    assert reader.stdout is not None
    return await reader.stdout.readexactly(length_of(await reader.stdout.readexactly(LENGTH)))


def _ended(code: int) -> Exception:
    """Return what it means that the reader has ended without an answer."""
    if -code in _ITS_OWN_LIMITS:
        name = signal.Signals(-code).name
        return MalformedPayload(f"reading it takes too much memory or time (ended by {name})")
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Unread(f"its reader ended with {how}; does the machine have memory for it?")
