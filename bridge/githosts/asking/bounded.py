"""Answers of bounded size for clients that are built on requests, which reads all of a body."""

from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter

MOST = 40 * 2**20
"""Bytes of an answer, unpacked: a webhook's delivery of 25 MB with what stands around it."""


class TooLarge(requests.RequestException):
    """An answer has more bytes than are read; what was asked for may have been done."""


class Bounded(HTTPAdapter):
    """Reads no more of an answer than `MOST` bytes, however well it is compressed."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once, as every adapter."""
        response = super().send(*args, **kwargs)
        # For text of no named encoding requests would try them all on every byte.
        response.encoding = response.encoding or "utf-8"
        response.raw = _Counted(response.raw)
        return response


class _Counted:
    """What a body is read from: as urllib3 has it, but it ends at `MOST`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        count = 0
        for piece in self._raw.stream(*args, **kwargs):
            count += len(piece)
            if count > MOST:
                self._raw.close()  # the rest must not be read for the next request's sake
                raise TooLarge(f"the answer has more than {MOST >> 20} MiB, which are not read")
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
