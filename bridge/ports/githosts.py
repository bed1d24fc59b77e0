"""A Git host's webhooks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.core.events import Event

Body = bytes | bytearray
"""What a request has brought; nobody changes it."""

APART = 1_000_000
"""Bytes of a body up to which it is parsed in this process, see `ParsesApart`."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the headers of a webhook say, before its body is read.

    Attributes:
        id: the host's own delivery id; None when it sends none, then the body makes one.
        event: e.g. "push" or "Tag Push Hook", as the host names it.
        proof: what `GitHost.verify` needs; never logged or kept.
        headers: the few headers that the parser needs later, names in lower case.
    """

    id: str | None
    event: str
    proof: tuple[str, ...]
    headers: Mapping[str, str]


class GitHost(Protocol):
    """A Git host's webhooks: authentic or not, and what they mean. Does no I/O."""

    name: str

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers, before the body.

        Raises:
            Rejected: a header that must be there is missing.
            BadSignature: the signature can't be right, whatever the body.
        """

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """Read the headers of a delivery that the host's API has handed out: nothing to prove.

        Args:
            headers: names in lower case.

        Raises:
            Rejected: a header that must be there is missing.
        """

    def verify(self, envelope: Envelope, body: Body) -> None:
        """Check the signature over the raw bytes; raises BadSignature."""

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """Say what a delivery means; `Ignored` with its reason where it is nothing of ours.

        Raises:
            MalformedPayload: the body is not what the host sends.
        """


class ParsesApart(Protocol):
    """Parses large bodies where neither their size nor what they hold does any harm."""

    async def __call__(
        self, host: str, event: str, headers: Mapping[str, str], body: Iterable[bytes]
    ) -> Event:
        """Say what a delivery means, as `GitHost.parse` does.

        Args:
            body: in pieces.

        Raises:
            MalformedPayload: the body is not what the host sends, or takes too much to read.
            Unread: nobody knows why it could not be read; it may work the next time.
        """
