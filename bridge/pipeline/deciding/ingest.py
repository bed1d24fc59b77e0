"""Step 1: bytes → authentic, new, kept → answered.

This is the hot path. It reads headers, verifies the signature over the raw bytes, drops known
deliveries and keeps the rest. Deliveries are interpreted later, from disk. Counts of refused
webhooks are stored in the background.
"""

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from bridge.core.errors import (
    BadSignature,
    BridgeError,
    NotServed,
    Rejected,
    UnknownSecret,
    Unreachable,
)
from bridge.core.events import FOUND_EVENT, Event, FromRepository, Repository
from bridge.core.hooks import Scope, SignedBy, named_in
from bridge.core.refused import RefusedCounts, Senders, refused_webhook
from bridge.ports.clock import Clock, Sleep
from bridge.ports.githosts import Body, Envelope, GitHost
from bridge.ports.inbox import Inbox, Kept, NewDelivery
from bridge.ports.journal import Refusals

AT_ONCE = 256 * 1024
"""Bytes of body that are hashed at once; more would block the event loop."""

FEW = 4
"""Secrets with which any small body is hashed at once."""

PER_SECRET = 16 * 1024
"""The cost of trying a secret beside the pass over the body, in bytes of a body."""

MOST_HASHED = 64 * 1024 * 1024
"""Bytes that are hashed for one webhook: its body once for each secret that is tried."""

MOST_QUEUED = 8
"""Webhooks that wait for being tried with many secrets: as many that name a repository, and as many
that name none, which every stranger can send."""

NAMELESS_WINDOW = 300.0
"""Seconds in which the same body without an id counts as one delivery (GitLab before 17.4)."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The response to the sender."""

    delivery: str
    duplicate: bool


# ── The secrets of one server ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Key:
    """A secret.

    Attributes:
        scope: whose repositories it speaks for; None if for every one.
        signed_by: what is kept of it with a delivery; None if it speaks for every repository.
        hint: what its webhooks say of themselves, unverified, e.g. the webhook's id; "" if they say
            nothing. A key with a hint is only tried for webhooks that have the same hint.
    """

    host: GitHost
    scope: Scope | None = None
    signed_by: SignedBy | None = None
    hint: str = ""


class Keyring:
    """A `GitHost` with any number of secrets, some of which speak only for some repositories.

    A webhook costs a pass over its body for each secret that is tried, and anybody can send one.
    So of many secrets only those are tried that its hint or the names in its body point to.
    """

    def __init__(
        self,
        name: str,
        parser: GitHost,
        given: Sequence[Key],
        hint_in: Callable[..., str],
        own: Callable[[Repository], Repository],
    ) -> None:
        """Take the parts.

        Args:
            given: the secrets in the settings; `made` replaces all others.
            hint_in: returns the hint in a webhook's headers.
            own: returns a repository as the server has it; raises Rejected for another server's.
        """
        self.name = name
        self._parser = parser
        self._given = tuple(given)
        self._hint_in = hint_in
        self._for_all = next((one.host for one in self._given if one.scope is None), None)
        self._own = own
        self._every = self._given
        self._always: tuple[Key, ...] = ()
        self._by_hint: Mapping[str, Sequence[Key]] = {}
        self.made(())

    @property
    def serves(self) -> bool:
        return bool(self._every)

    def made(self, keys: Iterable[Key]) -> None:
        """Replace the secrets that are not in the settings."""
        self._every = (*self._given, *keys)
        by_hint = defaultdict[str, list[Key]](list)
        for one in self._every:
            by_hint[one.hint].append(one)
        self._always = tuple(by_hint.pop("", ()))
        self._by_hint = by_hint

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers with the first secret that may have signed the webhook."""
        if self._for_all is not None and len(self._every) == 1:
            return self._for_all.open(headers, now)
        if not self._every:
            raise NotServed(f"{self.name} is not served here: no secret is set for it")
        hint = self._hint_in(headers)
        known = self._by_hint.get(hint, ())
        error: BadSignature | None = None
        left = [(key, partial(key.host.open, headers, now)) for key in (*known, *self._always)]
        while left:
            try:
                first = left[0][1]()
            except BadSignature as failed:
                error = error or failed
                left.pop(0)
            else:
                return replace(first, keys=tuple(left))
        if hint and not known:
            raise UnknownSecret(str(error or self._unknown))
        try:
            raise error or self._unknown
        finally:
            del error  # this frame would hold it, and it holds the frames of whoever reads the body

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        return self._parser.fetched(headers)

    def narrowed(self, envelope: Envelope, body: Body) -> tuple[Envelope, bool]:
        """Return it with the secrets that the names in its body point to; all, False without names.

        Raises:
            UnknownSecret: no secret speaks for what it names.
        """
        if len(envelope.keys) <= FEW or not (named := named_in(body)).names:
            return envelope, False
        scoped = [(one, one[0].scope) for one in envelope.keys if one[0].scope is not None]
        left = [one for one, scope in scoped if named.by_name(scope)]
        left += [one for one, scope in scoped if named.by_id(scope) and one not in left]
        for_all = [one for one in envelope.keys if one[0].scope is None]
        if not left and not for_all:
            why = "speaks for the repositories that it names"
            raise UnknownSecret(f"no secret of {self.name} {why}")
        return replace(envelope, keys=(*for_all, *left)), True

    def verify(self, envelope: Envelope, body: Body) -> SignedBy | None:
        """See `GitHost.verify`; return the first secret that fits."""
        if not envelope.keys and self._for_all is not None:
            return self._for_all.verify(envelope, body)
        error: BadSignature | None = None
        for key, open_ in envelope.keys:
            try:
                key.host.verify(open_(), body)
            except BadSignature as failed:
                error = error or failed
            else:
                signed_by: SignedBy | None = key.signed_by
                return signed_by
        try:
            raise error or self._unknown
        finally:
            del error  # see `open`

    @property
    def _unknown(self) -> UnknownSecret:
        return UnknownSecret(f"no secret of {self.name} has signed it")

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """See `GitHost.parse`; raise Rejected for another server's repository."""
        return self.bind(self._parser.parse(event, headers, body))

    def bind(self, event: Event) -> Event:
        if not isinstance(event, FromRepository):
            return event
        return replace(event, repository=self._own(event.repository))


# ── Keeping ─────────────────────────────────────────────────────────────────────────────────────

Keeping = tuple[str, asyncio.Future[Kept]]
"""The id of a delivery, and a future that is done once it is on disk."""


class StoredSecrets(Protocol):
    """The secrets of the store."""

    @property
    def full(self) -> bool:
        """Return whether so many webhooks wait for a reading that no other may."""

    async def renew(self) -> bool:
        """Wait until they were read again; return False if they were not."""


class ManySecrets(Exception):
    """More than a few secrets may have signed a webhook; `Ingest.take` tries them in its turn."""


class Queue:
    """Lets one webhook after the other be tried with many secrets; others never wait for them."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._queued = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn; raise Unreachable if too many wait."""
        if self._queued >= MOST_QUEUED:
            raise Unreachable("the bridge", "too many webhooks may be signed with many secrets")
        self._queued += 1
        try:
            async with self._turn:
                yield
        finally:
            self._queued -= 1


@dataclass(frozen=True, slots=True)
class Ingest:
    """Keeps the webhooks of hosts that have a secret.

    Args:
        stored: the secrets that commands may add meanwhile; None if there are none.
    """

    hosts: Mapping[str, GitHost]
    inbox: Inbox
    clock: Clock
    stored: StoredSecrets | None = None
    _named: Queue = field(default_factory=Queue)
    _others: Queue = field(default_factory=Queue)

    def may_be_new(self, error: Exception) -> bool:
        """Return whether a webhook was refused for a secret that may have been stored just now."""
        waits = self.stored is not None and not self.stored.full
        return waits and isinstance(error, UnknownSecret | NotServed)

    async def open_again(self, host: str, headers: Mapping[str, str], error: Exception) -> Envelope:
        """Read the headers again with the newest secrets; raise `error` if there are no newer."""
        stored = self.stored
        if stored is None or not self.may_be_new(error) or not await stored.renew():
            raise error
        return self.open(host, headers)

    @property
    def served(self) -> Collection[str]:
        """The hosts that have a secret."""
        return self.hosts.keys()

    def open(self, host: str, headers: Mapping[str, str]) -> Envelope:
        """Read a webhook's headers, before its body.

        Raises:
            NotServed: the host has no secret.
            Rejected, BadSignature: see `GitHost.open`.
        """
        if (served := self.hosts.get(host)) is None:
            raise NotServed(f"{host} is not served here: no secret is set for it")
        envelope = served.open(headers, self.clock())
        if envelope.event == FOUND_EVENT:
            # The event's name is not signed, and such a body could name any host.
            raise Rejected(f"the event {FOUND_EVENT} is the bridge's own, no host sends it")
        return envelope

    async def take(self, host: str, envelope: Envelope, body: Body) -> Receipt:
        """Verify and keep a delivery; return once it is on disk.

        Raises:
            BadSignature: the body is not what was signed.
            Unreachable: it could not be kept.
        """
        if len(body) <= AT_ONCE:
            with suppress(ManySecrets):
                delivery, done = self.put(host, envelope, body)
                return receipt(delivery, await done)
        signer = await self._signer(host, envelope, body)
        now = self.clock()
        if not (id_ := envelope.id):
            id_ = await asyncio.to_thread(_nameless, envelope, body, now)
        kept = await self._put(host, id_, envelope, body, now, signer)
        return receipt(id_, kept)

    def put(self, host: str, envelope: Envelope, body: Body) -> Keeping:
        """Verify and keep a small body without waiting for the disk.

        Raises:
            BadSignature: the body is not what was signed.
            ManySecrets: this would take too long here.
        """
        envelope, _ = _narrowed(self.hosts[host], envelope, body)
        if not _costs_little(envelope, body):
            raise ManySecrets
        signer = self.hosts[host].verify(envelope, body)
        now = self.clock()
        delivery = envelope.id or _nameless(envelope, body, now)
        return delivery, self._put(host, delivery, envelope, body, now, signer)

    async def _signer(self, host: str, envelope: Envelope, body: Body) -> SignedBy | None:
        """Verify a body that is large, or that many secrets may have signed."""
        served = self.hosts[host]
        envelope, named = await asyncio.to_thread(_narrowed, served, envelope, body)
        if len(envelope.keys) <= FEW or _costs_little(envelope, body):
            return await asyncio.to_thread(served.verify, envelope, body)
        if len(body) * len(envelope.keys) > MOST_HASHED:
            may = f"{len(envelope.keys)} secrets may have signed it, and it is too large to try all"
            if named:
                raise BadSignature(f"{may}: remove those of its repositories that are out of use")
            raise BadSignature(f"{may}, as it names no repository: choose JSON as its content type")
        async with (self._named if named else self._others).turn():
            return await asyncio.to_thread(served.verify, envelope, body)

    def _put(
        self,
        host: str,
        delivery: str,
        envelope: Envelope,
        body: Body,
        now: float,
        signer: SignedBy | None,
    ) -> asyncio.Future[Kept]:
        headers = envelope.headers
        if signer is not None:
            headers = {**headers, **signer.headers}
        return self.inbox.put(NewDelivery(host, delivery, envelope.event, headers, body, now))


def _narrowed(host: GitHost, envelope: Envelope, body: Body) -> tuple[Envelope, bool]:
    return host.narrowed(envelope, body) if isinstance(host, Keyring) else (envelope, False)


def _costs_little(envelope: Envelope, body: Body) -> bool:
    """Return whether trying its secrets takes no longer than a few with the largest small body."""
    return len(envelope.keys) * (len(body) + PER_SECRET) <= FEW * (AT_ONCE + PER_SECRET)


def receipt(delivery: str, kept: Kept) -> Receipt:
    """Return the response for a kept delivery."""
    return Receipt(kept.id or delivery, kept.duplicate)


def _nameless(envelope: Envelope, body: Body, now: float) -> str:
    """Return an id for a delivery whose sender gives none.

    Two hooks can deliver the same push under one event id, in different bodies. Without any id,
    equal bodies are one delivery only for some minutes, since a ref that is pushed back and forth
    sends equal bodies too. The journal distinguishes those.
    """
    event_id = envelope.event_id or str(int(now // NAMELESS_WINDOW))
    digest = hashlib.sha256(event_id.encode() + b"\0")
    digest.update(body)
    return digest.hexdigest()[:32]


log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two writes."""


@dataclass(eq=False)
class RefusalLog:
    """Counts refused webhooks and stores the counts."""

    journal: Refusals
    senders: Senders
    clock: Clock
    sleep: Sleep = asyncio.sleep
    _counts: RefusedCounts = field(default_factory=RefusedCounts, init=False)
    _some: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _told: bool = field(default=False, init=False)

    def note(self, reason: str, why: str, path: str, headers: Mapping[str, str], peer: str) -> None:
        """Count a refused webhook; never wait."""
        now = self.clock()
        self._counts.add(refused_webhook(self.senders, reason, why, path, headers, peer, now))
        self._some.set()

    async def run(self) -> None:
        while True:
            await self._some.wait()
            await self.sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Store the counts; those that can't be stored are retried with the next."""
        self._some.clear()
        if not self._counts:
            return
        taken = self._counts.take()
        try:
            await self.journal.keep_refused(taken)
        except BridgeError as error:
            self._counts.give_back(taken)
            self._some.set()
            if not self._told:
                log.warning("counts of refused webhooks can't be stored", extra={"why": str(error)})
            self._told = True
        else:
            self._told = False
