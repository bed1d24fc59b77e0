"""A Git host's webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.core.events import Event

Body = bytes | bytearray
"""What a request has brought; nobody changes it."""


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

    def parse(self, event: str, headers: Mapping[str, str], body: bytes) -> Event:
        """Say what a delivery means; `Ignored` with its reason where it is nothing of ours.

        Raises:
            MalformedPayload: the body is not what the host sends.
        """
