"""Locks over time: remind their owners, and release those whose pull request has ended.

An event only says that a pull request may have ended. What counts is what the host says when it is
asked, so an event that comes late or again releases nothing that it should not. Where no event
comes, the host is asked now and then.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.backoff import Backoff, asked_to_wait
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.core.events import Repository
from bridge.core.gates.locks import (
    DAY,
    Lock,
    PullName,
    PullRef,
    Scope,
    app_in,
    covered,
    next_reminder,
)
from bridge.core.people import Actor
from bridge.core.pulls import PullRequest
from bridge.core.refs import home_of, normalise_url
from bridge.pipeline.background import PATIENCE, Lanes, all_ended
from bridge.pipeline.deciding.reconcile import Homes, place_of
from bridge.ports.clock import Clock, Wake
from bridge.ports.feedback import LockNews, TellsOfLocks
from bridge.ports.gates import DueLock, Gates
from bridge.ports.githosts import HostApi, ReadsPulls
from bridge.ports.outcomes import Audited, Result, Stage, Subscription, about_change, about_lock

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Locks of a host that are looked at together."""

POLL = 5.0
"""Seconds between two looks at the journal; another process may have heard of a pull request."""

LOOKS = Backoff(10.0, 600.0)
"""Pauses between two looks at a pull request without an event."""

RETRY = Backoff(2.0, 300.0)
"""Pauses after the journal could not be reached, or after a bug."""

TROUBLE = "locks can't be looked at"

LATEST = 7200.0
"""Seconds by which a reminder may be late; after that it is left out, so it does not come at night
because a service was away."""

KEPT = 7 * DAY
"""Seconds without a reminder after somebody has said that a lock is still needed."""


@runtime_checkable
class TellsPulls(HostApi, ReadsPulls, Protocol):
    """A host whose pull requests can be read."""


# ── the pull request that somebody means ────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Pulls:
    """Finds pull requests of the repositories that apps deploy from.

    Attributes:
        signs: what stands before the numbers of a host's pull requests; "#" if nothing is said.
    """

    apis: Mapping[str, HostApi]
    homes: Homes
    signs: Mapping[str, str] = field(default_factory=dict)

    async def open(self, name: PullName, scope: Scope, apps: Sequence[App]) -> PullRef:
        """Return the open pull request that is meant.

        Raises:
            Rejected: it is no open pull request of a repository of these apps.
        """
        host, repository = self._place(name, scope, apps)
        meant = PullRef(host, repository, name.number, self.signs.get(host, "#"))
        found = await self._read(meant)
        if not found.open:
            end = "merged" if found.merge_sha else "closed"
            raise Rejected(f"{meant} is {end} already: name an open one, or lock without it")
        return meant

    def _place(self, name: PullName, scope: Scope, apps: Sequence[App]) -> tuple[str, str]:
        """Return the host and the repository of the pull request that is meant."""
        found = (place_of(app.source, self.homes) for app in apps if app.source is not None)
        places = sorted({one for one in found if one is not None})
        if not places:
            raise Rejected(
                f"{scope.label} deploys from no Git host that the bridge knows, so no pull request"
                " can release its lock: lock it without one"
            )
        fits = [one for one in places if self._is_named(name, one)]
        if len(fits) == 1:
            return fits[0]
        which = ", ".join(sorted({repository for _, repository in places})[:5])
        if not fits:
            named = name.url or name.repository
            raise Rejected(
                f"{named} is no repository that {scope.label} deploys from: name a pull request of"
                f" {which}"
            )
        raise Rejected(
            f"{scope.label} deploys from several repositories, {which}: say which, e.g."
            f" {fits[0][1]}#{name.number}"
        )

    def _is_named(self, name: PullName, place: tuple[str, str]) -> bool:
        host, repository = place
        if name.url:
            found = home_of(normalise_url(name.url), self.homes)
            return found is not None and found == (host, repository.lower())
        return not name.repository or name.repository.lower() == repository.lower()

    async def _read(self, meant: PullRef) -> PullRequest:
        api = self.apis.get(meant.host)
        if not isinstance(api, TellsPulls):
            raise Rejected(
                f"no credential is set with which {meant.host} could be asked for {meant}: set"
                " one, or lock without it"
            )
        try:
            return await api.pull_request(meant.repository, meant.number)
        except NotFound:
            raise Rejected(
                f"{meant.host} has no pull request {meant}, or its credential may not see it: name"
                " an open one, or lock without it"
            ) from None
        except BridgeError as error:
            raise Rejected(
                f"{meant} can't be read now ({error}): try again, or lock without it"
            ) from error


NO_PULLS = Pulls({}, {})
"""Knows no Git host."""


# ── what time and pull requests do to locks ─────────────────────────────────────────────────────


def ids_covered(scope: Scope, apps: Sequence[App]) -> list[str] | None:
    """Return the ids of the apps that a scope covers; None if these are all."""
    found = covered(scope, apps)
    return None if len(found) == len(apps) else [app.id for app in found]


def nobody_is_told(_news: LockNews) -> Sequence[Subscription]:
    """No chat is set up."""
    return ()


@dataclass(eq=False)
class LockKeeper:
    """Reminds owners, and releases locks whose pull request has ended.

    Attributes:
        tell: returns where a chat tells of a lock.
        wake: called when a lock was released.
    """

    journal: Gates
    apis: Mapping[str, HostApi]
    apps: Callable[[], Sequence[App]]
    clock: Clock
    _: KW_ONLY
    tell: TellsOfLocks = nobody_is_told
    wake: Wake = lambda: None
    poll: float = POLL
    patience: float = PATIENCE
    _lanes: Lanes[str] = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[str](TROUBLE, self.look, self.clock, RETRY, self.patience)

    async def run(self) -> None:
        await self._lanes.run()

    async def report(self, repository: Repository, number: int) -> bool:
        """Record that a pull request may have ended; return whether a lock ends with it."""
        names = (repository.name, repository.id)
        waits = await self.journal.report_pull(repository.host, names, number)
        if waits:
            self._lanes.wake()
        return waits

    async def look(self) -> float:
        return await self._lanes.keep_up(self.journal.next_lock_at, self._keep_some, self.poll)

    async def _keep_some(self, host: str) -> None:
        """Do what is due for the first locks that end with a pull request at a host, or without."""
        if not host:
            await self.journal.end_locks()
        due = await self.journal.due_locks(self.clock(), AT_ONCE, host)
        await all_ended(*map(self._keep, due))

    async def _keep(self, due: DueLock) -> None:
        if due.lock.remind_at is not None and due.lock.remind_at <= self.clock():
            await self._remind(due)  # first: the host may hang
        if due.looks is not None and due.lock.merge is not None:
            await self._look(due.lock, due.lock.merge, due.looks)

    async def _remind(self, due: DueLock) -> None:
        """Have a lock's owner reminded, once for this time; leave it out if it is too late."""
        lock, now = due.lock, self.clock()
        assert lock.remind_at is not None
        latest = lock.remind_at + LATEST
        news = LockNews(
            lock,
            self._labels(lock),
            f"{lock.key} {lock.remind_at:.0f}",
            about_lock(lock.scope),
            held=due.held,
            latest=latest,
        )
        those = self.tell(news) if now <= latest else ()
        await self.journal.remind(lock, next_reminder(lock, now), those)

    async def _look(self, lock: Lock, merge: PullRef, looks: int) -> None:
        """Release a lock if its pull request has ended."""
        api, pause = self.apis.get(merge.host), LOOKS.pause(looks + 1)
        try:
            found = (
                await api.pull_request(merge.repository, merge.number)
                if isinstance(api, TellsPulls)
                else None
            )
        except BridgeError as error:  # unknown is not ended: the lock stays
            log.info("a lock's pull request can't be read", extra={"why": str(error)})
            pause, found = max(pause, asked_to_wait(error) or 0.0), None
        if found is None or found.open:
            await self.journal.look_later(lock, self.clock() + pause)
            return
        await self._release(lock, f"{merge} is {'merged' if found.merge_sha else 'closed'}")

    async def _release(self, lock: Lock, why: str) -> None:
        assert lock.merge is not None
        result = Result(Stage.TOLD, f"{why}; was locked by {lock.name}")
        app_id = app_in(lock.scope) or ""
        note = Audited(
            self.clock(), Actor(name=lock.merge.host), "unlock", app_id, lock.label, (), result
        )
        labels = self._labels(lock)

        def tell(kept: Audited) -> Sequence[Subscription]:
            id_, follows = f"{lock.key} ended", about_change(kept.number)
            return self.tell(LockNews(lock, labels, id_, follows, ended=why))

        ids = ids_covered(Scope(lock.scope, lock.label), self.apps())
        if await self.journal.release_merged(lock, ids, note, tell):
            log.info("a lock is released", extra={"scope": lock.label, "why": why})
            self.wake()

    def _labels(self, lock: Lock) -> tuple[str, ...]:
        scope = Scope(lock.scope, lock.label)
        return tuple(app.label for app in covered(scope, self.apps()))
