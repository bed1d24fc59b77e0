"""`python -m bridge.githosts.reader`: read one large body within limits.

Anyone's push can make a body arbitrarily odd. Its cost is bounded by this process: memory by a
limit on address space, time by a limit on processor time.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

from bridge.core.errors import MalformedPayload, Rejected
from bridge.core.events import CheckReported, Event, Ignored, PullRequestChanged, RefPushed
from bridge.githosts import HOSTS
from bridge.githosts.base.webhook import without_nul

LENGTH = 4
"""Bytes of a frame's length."""

_FRAME = 2**15
"""Characters of paths per frame; one frame is in memory at a time."""

_EVENTS: dict[str, TypeAdapter[Any]] = {
    kind.__name__: TypeAdapter(kind)
    for kind in (RefPushed, PullRequestChanged, CheckReported, Ignored)
}


def asking(host: str, event: str, headers: Mapping[str, str]) -> bytes:
    """Return the line before a body: what it is."""
    return to_json([host, event, dict(headers)]) + b"\n"


def told(event: Event) -> Iterator[bytes]:
    """Return the frames of a body's meaning."""
    paths: Sequence[str] | None = None
    if isinstance(event, RefPushed):
        paths, event = event.paths, replace(event, paths=None)
    kind, count = type(event).__name__, None if paths is None else len(paths)
    meaning = _EVENTS[kind].dump_python(event, mode="json")
    yield _frame({"kind": kind, "event": meaning, "paths": count})
    group: list[str] = []
    size = 0
    for path in paths or ():
        group.append(path)
        size += len(path)
        if size >= _FRAME:
            yield _frame(group)
            group, size = [], 0
    yield _frame(group)


@dataclass(frozen=True, slots=True)
class Head:
    """The first frame of an answer.

    Attributes:
        paths: how many follow, in further frames; None if they are not known.
    """

    event: Event
    paths: int | None


def read_head(frame: bytes) -> Head:
    """Read the first frame of an answer.

    Raises:
        MalformedPayload: it says that the body is malformed.
    """
    fields = from_json(frame)
    if "malformed" in fields:
        raise MalformedPayload(fields["malformed"])
    return Head(_EVENTS[fields["kind"]].validate_python(fields["event"]), fields["paths"])


def _frame(content: Any) -> bytes:
    written = to_json(content)
    return len(written).to_bytes(LENGTH, "big") + written


# ── `python -m bridge.githosts.reader`: reads one large body, and may take no more than it has ──

MEMORY = 100 * 2**20
"""Bytes that reading may take beyond the interpreter's: the largest pushes that hosts send, 25 MB
with 990,000 paths, need 96 MiB."""

SECONDS = 20
"""Seconds of processor time; the largest pushes need one."""

_PIECE = 64 * 1024

TOO_MUCH = f"reading it takes more than {MEMORY >> 20} MiB of memory"


def main() -> None:
    """Read the request on standard input, and answer on standard output."""
    # A signal to the process group is meant for the bridge, which ends the reader if it must.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    for host in HOSTS.values():  # so their imports don't count towards the limit
        host.reader()
    limit()
    for piece in answer(sys.stdin.buffer):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def answer(asked: BinaryIO) -> Iterable[bytes]:
    """Return the frames of a body's meaning, or the one that says why it is malformed."""
    try:
        host, event, headers = from_json(asked.readline())
        return told(HOSTS[host].reader().parse(event, headers, _body(asked)))
    except (MalformedPayload, Rejected) as error:
        why = str(error)
    except MemoryError:
        why = TOO_MUCH
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        # pydantic's Rust parser ran out of memory; its exception class can't be imported.
        why = TOO_MUCH
    return [_frame({"malformed": why})]


def _body(asked: BinaryIO) -> bytes:
    """Return the whole body; only the parser then holds it."""
    body = BytesIO()  # gives its bytes without a copy, unlike `read`
    for piece in without_nul(iter(partial(asked.read, _PIECE), b"")):
        body.write(piece)
    return body.getvalue()


def limit() -> None:
    """Set the limits; macOS can't limit address space."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    most = pages * os.sysconf("SC_PAGE_SIZE") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
