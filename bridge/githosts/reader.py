"""`python -m bridge.githosts.reader`: reads one large body, and may take no more than it has.

A body that anybody's push can make as odd as it likes is read here, so that what it costs ends
with this process: memory by a limit of its address space, time by a limit of its processor time.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from bridge.core.errors import MalformedPayload, Rejected
from bridge.githosts import HOSTS
from bridge.githosts.receiving.frames import read_asked, refused, told
from bridge.githosts.receiving.payload import without_nul

MEMORY = 192 * 2**20
"""Bytes that reading may take besides what the interpreter has: the largest pushes that hosts
send need 130 MiB, of 25 MB."""

SECONDS = 20
"""Of processor time; the largest pushes need one."""

_PIECE = 64 * 1024

TOO_MUCH = f"reading it takes more than {MEMORY >> 20} MiB of memory"


def main() -> None:
    """Read what is asked on standard input, and answer on standard output."""
    # Whoever ends a group of processes ends the bridge, and that ends this where it should.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    limit()
    for piece in answer(sys.stdin.buffer):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def answer(asked: BinaryIO) -> Iterable[bytes]:
    """Return the frames that say what a body means, or why it means nothing."""
    try:
        about = read_asked(asked.readline())
        body = BytesIO()  # gives its bytes without a copy, and `read` would make one
        for piece in without_nul(_pieces(asked)):
            body.write(piece)
        host = HOSTS[about.host](["no body is signed here"])
        return told(host.parse(about.event, about.headers, body.getvalue()))
    except (MalformedPayload, Rejected) as error:
        return [refused(str(error))]
    except MemoryError:
        return [refused(TOO_MUCH)]


def _pieces(asked: BinaryIO) -> Iterator[bytes]:
    while piece := asked.read(_PIECE):
        yield piece


def limit() -> None:
    """Take no more from here on; macOS knows no limit of address space."""
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
