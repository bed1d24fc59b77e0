"""What stands before a webhook's body: read where it is plain, for everything else None."""

import re
from dataclasses import dataclass
from typing import Any

MOST_HEAD, MOST_LINES = 8000, 100
"""Bytes and lines of headers that are looked at: aiohttp takes as many in a single line, and some
more lines, so what is beyond it is beyond us."""

_BEGINS = b"POST /hooks/"
_LINES = re.compile(rb"(?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t -~]*\r\n)*").fullmatch
_LENGTH = re.compile(r"[0-9]{1,15}").fullmatch
_NOT_PLAIN = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer"})


class Headers(dict[str, str]):
    """Headers by name, whatever its case."""

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping."""
        return dict.get(self, name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return dict.__getitem__(self, name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and dict.__contains__(self, name.lower())


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before a body; `closes`: the sender wants the connection closed after it."""

    host: str
    headers: Headers
    length: int
    closes: bool


def read_head(raw: bytes, hosts: dict[bytes, str]) -> Head | None:
    """Read the head of a plain webhook, with its last line's end; None where it is none. Pure.

    Args:
        hosts: by their whole request line.
    """
    line, _, rest = raw.partition(b"\r\n")
    host = hosts.get(line)
    if host is None or not _LINES(rest):
        return None
    headers = Headers()
    lines = rest.decode("ascii").split("\r\n")
    lines.pop()
    for one in lines:
        name, _, value = one.partition(":")
        headers[name.lower()] = value.strip("\t ")
    length = headers.get("content-length", "")
    if (
        len(lines) > MOST_LINES
        or len(headers) != len(lines)
        or not _LENGTH(length)
        or "host" not in headers
        or not _NOT_PLAIN.isdisjoint(headers)
    ):
        return None
    connection = headers.get("connection", "keep-alive").lower()
    if connection not in ("keep-alive", "close"):
        return None
    return Head(host, headers, int(length), connection == "close")


def begins_plainly(data: bytes) -> bool:
    """Whether what has come of a head may become a plain webhook's."""
    return data[: len(_BEGINS)] == _BEGINS[: len(data)]
