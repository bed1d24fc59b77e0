"""The inbox: it keeps deliveries before they are answered; workers claim and decide them."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.core.events import Asked, write_command
from bridge.ports.githosts import Body

LONGEST_PAUSE = 86_400.0
"""Seconds that a delivery may be postponed. One postponed for longer counts as due: only a clock
that was far ahead can have caused that."""


class DeliveryState(StrEnum):
    """The processing state of a delivery."""

    KEPT = "kept"
    DECIDED = "decided"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery before it is kept; its parser sees only `headers` and `body`."""

    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    body: Body
    received_at: float


def as_delivery(host: str, id_: str, asked: Asked, now: float) -> NewDelivery:
    """Return a request as a delivery: it is kept, decided and carried out like a push."""
    return NewDelivery(host, id_, str(asked.action), {}, write_command(asked), now)


class StoredBody(Protocol):
    """A body as it is stored, compressed; its `size` in bytes is that of the received one."""

    @property
    def size(self) -> int: ...

    def whole(self) -> bytes:
        """Return the whole body; decompress at each call, to keep few large ones in memory.

        Raises:
            Rejected: the stored body is not what was written.
        """

    def pieces(self) -> Iterator[bytes]:
        """Return the body as `whole` does, in pieces, none of them empty.

        A large body is read from the inbox as it goes, so this belongs in a thread of its own.

        Raises:
            Rejected: the stored body is not what was written.
            Unreachable: the inbox is away.
        """


@dataclass(frozen=True, slots=True)
class Delivery:
    """A kept delivery and its state.

    Attributes:
        seq: position in the inbox; greater is newer.
        attempts: how often it was tried; `error` is the last reason for a failure.
        unfinished: how many of the last attempts have begun and not ended.
        unused: the repository, if it was ignored because no app deploys from that.
        stored: the body; None in listings, and after its deletion (`Inbox.forget_bodies`).
    """

    seq: int
    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    received_at: float
    state: DeliveryState
    attempts: int = 0
    error: str | None = None
    unfinished: int = 0
    unused: str | None = None
    stored: StoredBody | None = None

    @property
    def body(self) -> bytes | None:
        """Return the received bytes; see `StoredBody.whole`."""
        return None if self.stored is None else self.stored.whole()

    @property
    def size(self) -> int:
        return 0 if self.stored is None else self.stored.size


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a delivery is kept; `duplicate`: it was already there.

    Attributes:
        id: its new id if its own was taken by another body; else None.
    """

    seq: int
    duplicate: bool
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """A delivery's new state.

    Attributes:
        state: KEPT with a later `due_at` means a retry at that time.
        error: why it failed or was ignored; why the last attempt failed.
        unused: see `Delivery`.
    """

    seq: int
    host: str
    id: str
    state: DeliveryState
    error: str | None = None
    attempts: int = 0
    due_at: float = 0.0
    unused: str | None = None


class Inbox(Protocol):
    """Stores deliveries, each on disk before it is answered."""

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        """Write a delivery to disk; the future is done once it is there, or fails as Unreachable.

        For the hot path: a callback costs a fraction of a task that awaits `keep`.
        """

    async def keep(self, new: NewDelivery) -> Kept:
        """Write a delivery to disk; return once it is there. Raises Unreachable."""

    async def begin(self, seqs: Mapping[int, str]) -> None:
        """Record that deliveries are about to be tried, each with a note instead of its error.

        A process that dies of one can't record that afterwards. Each counts as one more attempt,
        unfinished until `finish` records its outcome; the claim stays.
        """

    async def finish(self, finished: Sequence[Finished]) -> None:
        """Record the new states of deliveries, in one transaction."""

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Return kept deliveries that are due, with bodies, oldest first.

        Return fewer than `limit` if more would take much memory.
        """

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """Return the newest deliveries, newest first, without bodies."""

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, unused: str = ""
    ) -> list[Delivery]:
        """Return the newest deliveries in a state, newest first, without bodies.

        Args:
            before: a position; only deliveries before it.
            unused: only deliveries of this repository, from which no app deploys; "" for any.
        """

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the field's own name
        """Return one delivery by the host's own id, with its body."""

    async def get(self, seq: int) -> Delivery | None:
        """Return one delivery, with its body."""

    async def continue_after(self, seq: int) -> bool:
        """Assign only positions after `seq` from now on; return whether that changes anything."""

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Delete the bodies of some expired decided deliveries; return how many."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete some expired decided deliveries with their ids; return how many."""
