"""Have glibc give the system back what was freed; it would keep the memory of a crowd for ever."""

import contextlib
import ctypes
import threading
import time
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
LARGE_BLOCK = 2**20
"""Bytes; larger than a usual webhook, which is unaffected."""

EVERY = 10.0
"""Seconds between two times; one takes a millisecond or two."""


def give_memory_back() -> None:
    """Give large blocks back as soon as they are free, and small ones a few seconds later.

    By default glibc keeps the memory of a 22 MB body, and copies such a body as it grows. It keeps
    that of thousands of connections, too.
    """
    with contextlib.suppress(OSError, AttributeError):  # musl and macOS have no `mallopt`
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        library.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BLOCK)
        threading.Thread(target=_trim, args=[library.malloc_trim], daemon=True).start()


def _trim(trim: Any) -> None:
    while True:
        time.sleep(EVERY)
        trim(0)
