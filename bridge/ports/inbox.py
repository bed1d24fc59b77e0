"""The inbox: deliveries are kept before they are answered, and claimed by workers that decide."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from bridge.ports.githosts import Body

LONGEST_PAUSE = 86_400.0
"""Seconds that a delivery may be postponed. One that is postponed for longer counts as due, since
only a clock that was far ahead can have done that."""


class DeliveryState(StrEnum):
    """How far a delivery has come."""

    KEPT = "kept"
    DECIDED = "decided"
    IGNORED = "ignored"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """A delivery before it is kept; its parser will see only `headers` and `body`."""

    host: str
    id: str
    event: str
    headers: Mapping[str, str]
    body: Body
    received_at: float


class StoredBody(Protocol):
    """A body as it is stored, compressed.

    Attributes:
        size: its bytes, once unpacked.
    """

    @property
    def size(self) -> int: ...

    def whole(self) -> bytes:
        """Return the whole body, unpacked anew: of a hundred large ones one is in memory at a time.

        Raises:
            Rejected: the inbox returns something else than what was written.
        """

    def pieces(self) -> Iterator[bytes]:
        """Return the body as `whole` does, in pieces."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A kept delivery and how far it has come.

    Attributes:
        seq: position in the inbox; greater is newer.
        attempts: how often it was tried; `error` is the last reason for a failure.
        stored: the body; None in listings, and after it was forgotten (`Inbox.forget_bodies`).
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
    stored: StoredBody | None = None

    @property
    def body(self) -> bytes | None:
        """Return the bytes that came, see `StoredBody.whole`."""
        return None if self.stored is None else self.stored.whole()

    @property
    def size(self) -> int:
        """Return the bytes of the body; 0 if there is none."""
        return 0 if self.stored is None else self.stored.size


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a delivery is kept; `duplicate`: it was there before.

    Attributes:
        id: its new id if its own was taken by another body; else None.
    """

    seq: int
    duplicate: bool
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a delivery has come now.

    Attributes:
        state: KEPT with a later `due_at` means: try again then.
        error: why it failed or was ignored; why the last attempt failed.
    """

    seq: int
    host: str
    id: str
    state: DeliveryState
    error: str | None = None
    attempts: int = 0
    due_at: float = 0.0


class Inbox(Protocol):
    """Deliveries, each on disk before it is answered."""

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        """Write a delivery to disk; `done` is called once it is there, or with Unreachable.

        For the door: a callback costs a fraction of the task that would await `keep`.
        """

    async def keep(self, new: NewDelivery) -> Kept:
        """Write a delivery to disk; return once it is there. Raises Unreachable."""

    async def begin(self, seqs: Mapping[int, str]) -> None:
        """Record that deliveries are about to be tried, each with a note in place of its error.

        A process that dies of one can't record that afterwards. Each counts as one more attempt
        until `finish` says what came of it; the claim stays.
        """

    async def finish(self, finished: Sequence[Finished]) -> None:
        """Record how far deliveries have come, in one transaction."""

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Return kept deliveries that are due, with bodies, oldest first.

        Fewer than `limit` if more would take much memory.
        """

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """Return the newest deliveries, newest first, without bodies."""

    async def ended(
        self, state: DeliveryState, limit: int, *, before: int, errors: Sequence[str] = ()
    ) -> list[Delivery]:
        """Return the newest deliveries in a state, newest first, without bodies.

        Args:
            before: a position; only deliveries before it.
            errors: only deliveries with one of these errors; () for any.
        """

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - the field's own name
        """Return one delivery by the host's own id, with its body."""

    async def get(self, seq: int) -> Delivery | None:
        """Return one delivery by its position, with its body."""

    async def continue_after(self, seq: int) -> bool:
        """Give only positions after `seq` from now on; return whether that changes anything."""

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Delete the bodies of some expired decided deliveries; return how many."""

    async def forget(self, before: float, limit: int) -> int:
        """Delete some expired decided deliveries with their ids; return how many."""
