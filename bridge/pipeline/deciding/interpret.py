"""Interpret kept deliveries: their events, and the deployments that they request.

A large body may kill the process that reads it, so each attempt is recorded beforehand.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.core.apps import App
from bridge.core.errors import BridgeError, MalformedPayload, NotFound, Refused, Rejected
from bridge.core.events import (
    ASKING_HOSTS,
    FOUND_EVENT,
    Action,
    Asked,
    Event,
    FromRepository,
    PullRequestChanged,
    RefKind,
    RefPushed,
    Repository,
    parse_command,
    parse_found,
    subject_of,
)
from bridge.core.hooks import SIGNED_FOR, Scope, confirmed, spoken_for
from bridge.core.lifecycle import Deployment, State, deployment_id
from bridge.core.people import NOBODY, Cause, Origin
from bridge.core.pins import tracked
from bridge.core.tracking import token_for
from bridge.ports.githosts import APART, GitHost, HostApi, ParsesApart
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Inbox
from bridge.ports.outcomes import About


@dataclass(frozen=True, slots=True)
class Meaning:
    """A delivery with its event; a replay has the event of the original delivery."""

    delivery: Delivery
    event: Event
    asked: Asked | None = None
    original: Delivery | None = None


def read(
    delivery: Delivery, hosts: Mapping[str, GitHost], asking: Container[str] = ASKING_HOSTS
) -> Meaning | str:
    """Return what a delivery means, or a text that says why it can't be read.

    Args:
        asking: the command line and the chats, whose deliveries are people's commands.
    """
    try:
        body = delivery.body
    except Rejected as error:
        return str(error)
    if body is None:
        return "its body has been deleted (see retention): push again, or deploy by command"
    try:
        if delivery.host in asking:
            return Meaning(delivery, parse_command(delivery.event, body))
        host = hosts.get(delivery.host)
        if host is None:
            return f"{delivery.host} is not served any more: set its secret, then replay"
        if delivery.event == FOUND_EVENT:
            return Meaning(delivery, parse_found(body))
        return Meaning(delivery, host.parse(delivery.event, delivery.headers, body))
    except (MalformedPayload, Rejected) as error:
        return str(error)


@dataclass(frozen=True, slots=True)
class Later:
    """A delivery that can't be interpreted yet, and why, for people."""

    why: str


CLOCKS_APART = 60.0
"""Seconds by which the clocks of a host and a backend may differ without losing a push."""

REPLAYED = 2.0
"""The same for a replay, which loses nothing: the requester sees the reason."""


def pushed_by(meaning: Meaning) -> float | None:
    """Return when a push had surely happened, in seconds since 1970; None if that is not known.

    A webhook may arrive late or again, so its time of arrival proves nothing.
    """
    assert isinstance(meaning.event, RefPushed)
    moment = meaning.event.moment
    told = float(moment) if moment.isdecimal() else math.inf
    if meaning.original is not None:
        return min(told, meaning.original.received_at) + REPLAYED
    return None if told == math.inf else told + CLOCKS_APART


def origin_of(meaning: Meaning) -> Origin:
    """Return what led to a push's deployments."""
    assert isinstance(meaning.event, RefPushed)
    cause = Cause.TAG if meaning.event.ref.kind is RefKind.TAG else Cause.PUSH
    return Origin(cause, meaning.asked.actor if meaning.asked else NOBODY, meaning.event.found)


def asker_of(host: str, asked: Asked | None) -> str:
    """Return who asked, e.g. "slack:U012AB3CD" or "cli:ada"; "" for nobody. See `Person.key`."""
    if asked is None:
        return ""
    if ":" in asked.person:
        return asked.person
    return f"{host}:{asked.person or asked.actor.name}"


def time_asked_for(asked: Asked) -> float | None:
    """Return the time for which a deploy is asked; None for at once."""
    try:
        return float(asked.not_before) if asked.not_before else None
    except ValueError:
        return None


def author_of(push: RefPushed) -> str:
    """Return a push's author, for people: that of its newest commit, else the pusher."""
    return (push.commit.author if push.commit else "") or push.pusher


def about(event: Event) -> About | None:
    """Return what an event is about, for people; None if it belongs to no repository."""
    if isinstance(event, RefPushed):
        commit = event.commit.sha if event.commit else event.after
        message = subject_of(event.commit.message if event.commit else "")
        return About(event.repository.name, str(event.ref), commit, author_of(event), message)
    if isinstance(event, PullRequestChanged) and event.opened and event.pull.own:
        head = f"refs/heads/{event.pull.head}"
        return About(event.repository.name, head, event.pull.head_sha, None)
    return None


def requested(
    delivery: Delivery,
    app: App,
    action: Action,
    origin: Origin,
    salt: str,
    now: float,
    push: RefPushed | None = None,
    asked: Asked | None = None,
) -> Deployment:
    """Return the deployment that a delivery requests for an app, in its initial state.

    Args:
        salt: random, see `token_for`.
    """
    id_ = deployment_id(delivery.seq, app.id)
    branch = tracked(app)
    commit = push.commit if push else None
    return Deployment(
        id=id_,
        seq=delivery.seq,
        delivery=delivery.id,
        app_id=app.id,
        app=app.label,
        action=action,
        origin=origin,
        state=State.WAITING,
        created_at=now,
        ref=str(push.ref) if push else (f"refs/heads/{branch}" if branch else None),
        commit=commit.sha if commit else (asked.commit or None) if asked else None,
        message=commit.message[:4000] if commit else None,
        author=commit.author if commit else None,
        note="waits for its turn",
        token=token_for(salt, id_),
        person=asker_of(delivery.host, asked),
        accounts=tuple(asked.accounts.split()) if asked else (),
        target=(asked.deployment or None) if asked and asked.way else None,
        way=(asked.way or None) if asked else None,
        image=(asked.image if asked else "") or (app.source.image if app.source else None),
        pinned=(asked.commit or None) if asked else None,
        not_before=None if asked is None else time_asked_for(asked),
        back_from=(asked.back_from or None) if asked else None,
    )


MOST_UNFINISHED = 3
"""Consecutive attempts that may kill the process before a large delivery is parked."""

MOST_OF_SMALL = 20
"""The same for small ones. They need little memory, so the process probably died of something else,
and their push must not be lost for that."""

_NOTE = "attempt {number} of {most} has begun and has not ended"


@dataclass(eq=False)
class Attempts:
    """Decides which deliveries are tried together, and records risky attempts beforehand."""

    inbox: Inbox
    _found_at_start: int = field(default=0, init=False)

    async def look(self) -> None:
        """Treat everything now in the inbox as suspect; later only large deliveries are."""
        newest = await self.inbox.newest(1)
        self._found_at_start = newest[0].seq if newest else 0

    async def begin(self, batch: Sequence[Delivery]) -> list[Delivery]:
        """Record risky attempts, and park deliveries that have killed the process too often.

        Returns:
            The deliveries that remain to be tried.
        """
        lost = [one for one in batch if one.unfinished >= most_unfinished(one)]
        if lost:
            await self.inbox.finish([_parked(one) for one in lost])
        left = [one for one in batch if one not in lost]
        notes = {
            one.seq: _NOTE.format(number=one.unfinished + 1, most=most_unfinished(one))
            for one in left
            if one.seq <= self._found_at_start or is_heavy(one) or one.unfinished
        }
        if notes:
            await self.inbox.begin(notes)
        return left

    def apart(self, batch: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
        """Yield the deliveries to try together, in order; each suspect one is alone."""
        together: list[Delivery] = []
        for one in batch:
            if is_heavy(one) or one.unfinished:
                if together:
                    yield together
                    together = []
                yield [one]
            else:
                together.append(one)
        if together:
            yield together


def is_heavy(delivery: Delivery) -> bool:
    """Return whether reading the body may take much memory or time."""
    return delivery.size > APART


def most_unfinished(delivery: Delivery) -> int:
    """Return how many consecutive attempts may kill the process."""
    return MOST_UNFINISHED if is_heavy(delivery) else MOST_OF_SMALL


def _parked(delivery: Delivery) -> Finished:
    why = (
        f"given up: the bridge was killed {delivery.unfinished} times while it read this"
        f" ({delivery.size} bytes), maybe because it took too much memory; `replay` tries it again"
    )
    which = (delivery.seq, delivery.host, delivery.id)
    return Finished(*which, DeliveryState.FAILED, why, attempts=delivery.attempts)


# ── whom a webhook's repository is known from; see `core.hooks` ─────────────────────────────

HOLDS, HIDDEN_HOLDS = 3600.0, 60.0
"""Seconds for which an answer holds, and the same where our credential could not see it."""

PATIENCE = 5.0
"""Seconds for an answer; other deliveries wait meanwhile."""

PAUSE = 15.0
"""Seconds until a host that did not answer is asked again."""

MOST = 10_000
"""Answers that are kept."""

AT_A_TIME = 8
"""Requests to all hosts together."""


class Silent(Exception):
    """A Git host does not answer; the message says so for people."""


@dataclass(eq=False)
class Provenance:
    """Keeps of a webhook's repository only what somebody vouches for."""

    apis: Mapping[str, HostApi]
    _told: OrderedDict[tuple[str, str], tuple[float, Repository | None]] = field(
        default_factory=OrderedDict, init=False
    )
    _silent: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)
    _turn: asyncio.Semaphore = field(
        default_factory=lambda: asyncio.Semaphore(AT_A_TIME), init=False
    )

    async def of(self, headers: Mapping[str, str], repository: Repository) -> Repository:
        """Return a webhook's repository as far as it is vouched for.

        Args:
            headers: as kept with the delivery; they name the scope of its secret.

        Raises:
            Rejected: nobody vouches for it.
            Silent: its host must be asked and does not answer.
        """
        scope = Scope.read(headers[SIGNED_FOR])
        found = spoken_for(scope, repository)
        if found is None:
            async with self._turn:
                found = confirmed(scope, repository, await self._told_of(repository))
        return found

    async def _told_of(self, repository: Repository) -> Repository | None:
        """Return what a host has by a repository's name; None if it can't tell."""
        if (api := self.apis.get(repository.host)) is None:
            return None
        key = (repository.host, repository.name.lower())
        until, known = self._told.get(key, (0.0, None))
        agrees = known is not None and known.id == repository.id
        if until > time.monotonic() and (agrees or known is None):
            return known
        try:
            told = await self._ask(api, repository)
        except Silent:
            if agrees:
                return known
            raise
        holds = HIDDEN_HOLDS if told is None else HOLDS
        self._told[key] = time.monotonic() + holds, told
        self._told.move_to_end(key)
        if len(self._told) > MOST:
            self._told.popitem(last=False)
        return told

    async def _ask(self, api: HostApi, repository: Repository) -> Repository | None:
        host = repository.host
        until, why = self._silent.get(host, (0.0, ""))
        if until > time.monotonic():
            raise Silent(why)
        try:
            async with asyncio.timeout(PATIENCE):
                return await api.repository(repository.name)
        except (NotFound, Refused):
            return None  # our credential can't see it
        except (BridgeError, TimeoutError) as error:
            answer = str(error) or f"no answer within {PATIENCE:g} s"
            why = f"{host} is asked whether {repository.name} has this number: {answer}"
            self._silent[host] = time.monotonic() + PAUSE, why
            raise Silent(why) from None


# ── reading ──────────────────────────────────────────────────────────────────────────────────────

LONGEST_NUMBER = 20
"""Digits of a delivery's number; a longer one names no delivery."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads kept deliveries.

    Attributes:
        apart: parses large bodies; None: they are parsed like small ones.
        provenance: asks the hosts about repositories for which no secret vouches.
    """

    inbox: Inbox
    hosts: Mapping[str, GitHost]
    apart: ParsesApart | None = None
    asking: Container[str] = ASKING_HOSTS
    provenance: Provenance = field(default_factory=lambda: Provenance({}))

    def is_webhook(self, delivery: Delivery) -> bool:
        """Return whether a Git host sent it, and is served."""
        return delivery.host in self.hosts

    async def meanings(
        self, batch: Sequence[Delivery], *, vouched: bool = True
    ) -> list[Meaning | str | Later]:
        """Return what each delivery means, or why it can't be read at all, or not yet.

        Args:
            vouched: somebody has to vouch for its repository; their host may be asked.
        """
        heavy = {one.seq: await self._heavy(one) for one in batch if self._is_heavy(one)}
        light = [one for one in batch if one.seq not in heavy]
        found = heavy | await asyncio.to_thread(
            lambda: {one.seq: read(one, self.hosts, self.asking) for one in light}
        )
        whole: list[Meaning | str | Later] = [await self._replayed(found[one.seq]) for one in batch]
        return await asyncio.gather(*map(self._vouched, whole)) if vouched else whole

    async def _vouched(self, meaning: Meaning | str | Later) -> Meaning | str | Later:
        """Return a meaning with the facts for which somebody vouches."""
        if not isinstance(meaning, Meaning):
            return meaning
        signed = meaning.original or meaning.delivery
        if SIGNED_FOR not in signed.headers or not isinstance(meaning.event, FromRepository):
            return meaning
        try:
            found = await self.provenance.of(signed.headers, meaning.event.repository)
        except Rejected as error:
            return str(error)
        except Silent as error:
            return Later(str(error))
        return replace(meaning, event=replace(meaning.event, repository=found))

    def _is_heavy(self, delivery: Delivery) -> bool:
        from_host = delivery.host in self.hosts and delivery.event != FOUND_EVENT
        return self.apart is not None and is_heavy(delivery) and from_host

    async def _heavy(self, delivery: Delivery) -> Meaning | str:
        """Return what a delivery with a large body means, as `read` does."""
        assert self.apart is not None
        assert delivery.stored is not None
        try:
            host, pieces = self.hosts[delivery.host], delivery.stored.pieces()
            event = await self.apart(host, delivery.event, delivery.headers, pieces)
        except Rejected as error:
            return str(error)
        return Meaning(delivery, event)

    async def _replayed(self, meaning: Meaning | str) -> Meaning | str:
        """Return the meaning of the delivery that one replays, or else its own."""
        if isinstance(meaning, str):
            return meaning
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action is not Action.REPLAY:
            return meaning
        number = asked.target if asked.target.isdecimal() else "0"
        original = await self.inbox.get(int(number[:LONGEST_NUMBER]))
        if original is None:
            return f"there is no delivery {asked.target} to replay"
        if self._is_heavy(original):
            found = await self._heavy(original)
        else:
            found = await asyncio.to_thread(read, original, self.hosts, self.asking)
        if isinstance(found, str):
            return f"delivery {original.id} can't be replayed: {found}"
        if isinstance(found.event, Asked):
            return f"delivery {original.id} is a command; give the command again instead"
        return Meaning(meaning.delivery, found.event, asked, original)
