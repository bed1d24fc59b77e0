"""Decide pushes late, for apps that were found only after the pushes arrived.

A push is decided for the known apps. An app that was created, or moved to the repository, shortly
before is found by a later reading; if its backend is away, much later. The pushes since then are
decided for that app. The journal records how far each backend was read and decided for, so a
restart loses nothing.
"""

import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol, TypeGuard

from bridge.core.apps import App, made_at
from bridge.core.decision import concerns
from bridge.core.events import PullRequestChanged, Ref, RefKind, RefPushed, Repository
from bridge.pipeline.deciding.apps import (
    MARKED,
    AppIndex,
    Mark,
    apps_of,
    index,
    keys_of_app,
    read_marks,
    write_marks,
)
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.decide import Decided, Recording, done, was_opened
from bridge.pipeline.deciding.interpret import Later, Meaning, Reading, is_heavy
from bridge.ports.clock import Clock
from bridge.ports.feedback import LatePlanner, Subscriptions
from bridge.ports.inbox import Delivery, DeliveryState, Finished, Inbox
from bridge.ports.journal import Decisions, DecisionsAndNotes
from bridge.ports.outcomes import Outcome, Recorded, ref_key

log = logging.getLogger(__name__)

PAGE = 500
"""Deliveries to scan at a time, without their bodies."""

AT_ONCE = 16
"""Bodies in memory at a time."""

CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of the machines that receive deliveries may differ."""

OTHERS = 10.0
"""Seconds in which another process may still record a decision made without knowing the app."""

LISTS_LAG = 60.0
"""Seconds by which a list may be older than its reading, e.g. because of a caching proxy."""

MADE_BEFORE = 2.0
"""Seconds by which an app may be older than it seems by its backend's clock."""

FOUND = "an app was found that deploys from its repository"
"""Why an ignored push is decided again."""

AFTER_A_BUG = 60.0
"""Seconds until another attempt after one failed unexpectedly."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An app that was found for a repository.

    Attributes:
        since: it may have missed pushes from then on.
        until: when to check it for the last time.
    """

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Late:
    """Late decisions, as `Recording.record` returns them."""

    meanings: Sequence[Meaning]
    outcomes: Sequence[Decided]
    recorded: Recorded


@dataclass(eq=False)
class Owed:
    """Decides pushes late, for apps that were found after the pushes arrived."""

    catalog: Catalog
    inbox: Inbox
    journal: DecisionsAndNotes
    reading: Reading
    recording: Recording
    clock: Clock
    _began: Mark = field(init=False)
    _marks: dict[str, Mark] | None = field(default=None, init=False)
    _snapshot: AppIndex | None = field(default=None, init=False)
    _places: Mapping[str, frozenset[str]] = field(default_factory=dict, init=False)
    _found: dict[str, _Found] = field(default_factory=dict, init=False)
    _due_at: float = field(default=-math.inf, init=False)
    _silent: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._began = Mark(self.clock(), self.clock())  # before the first webhook is accepted

    async def decide(self) -> AsyncIterator[Late]:
        """Yield the late decisions, recorded; do nothing if no app was found.

        Raises:
            Unreachable: our own stores are away.
        """
        marks = await self._known_marks()
        read = self.catalog.reader.marks()  # first, so `_look` sees what these readings found
        self._look(marks)
        if self._found and self.clock() >= self._due_at:
            self._silent = False
            came = await self._came()
            waits = await self._reopen(came)
            decided = [one for one in came if one.state is DeliveryState.DECIDED]
            async for late in self._missed(decided):
                waits |= any(end.state is DeliveryState.KEPT for _, end in late.outcomes)
                yield late
            self._looked(waits or self._silent)
        if not self._found:
            await self._mark(marks, read)

    def failed(self) -> None:
        """Postpone the next attempt, after an internal error in this one."""
        self._due_at = self.clock() + AFTER_A_BUG

    async def _known_marks(self) -> dict[str, Mark]:
        """Return how far each backend was read, by any process; for new ones, our own start."""
        if self._marks is None or self.catalog.snapshot is not self._snapshot:
            known = read_marks(await self.journal.recall(MARKED))
            marks = {name: known.get(name, self._began) for name in self.catalog.backends}
            if marks.keys() != known.keys():
                await self.journal.note(MARKED, write_marks(marks))
            self._marks = marks
        return self._marks

    async def _mark(self, marks: dict[str, Mark], read: Mapping[str, Mark]) -> None:
        """Record how far backends were read, once all apps found until then have decisions."""
        if all(name not in read or read[name].listed <= marks[name].listed for name in marks):
            return
        known = marks | read_marks(await self.journal.recall(MARKED))  # others read as well
        later = {name: known[name].later(read.get(name, known[name])) for name in marks}
        await self.journal.note(MARKED, write_marks(later))
        self._marks = later

    def _look(self, marks: Mapping[str, Mark]) -> None:
        """Find apps that are new, or deploy from another repository than before.

        After a start, that is every app: the last process may have died before it decided.
        """
        if (snapshot := self.catalog.snapshot) is self._snapshot:
            return
        until = self.clock() + (OTHERS if self.catalog.shared else 0.0)
        places = {app.id: frozenset(keys_of_app(app)) for app in self.catalog.all()}
        ahead = self.catalog.clocks_ahead()
        for app in self.catalog.all():
            before = self._places.get(app.id)
            if not places[app.id] or before == places[app.id] or app.backend not in marks:
                continue
            mark = marks[app.backend]
            is_new = before is None and self._snapshot is not None
            made = made_at(app, ahead) - MADE_BEFORE
            since = max(mark.listed - LISTS_LAG if is_new else mark.whole, made)
            self._found[app.id] = _Found(since, until)
            self._due_at = -math.inf
        self._snapshot, self._places = snapshot, places

    def _looked(self, waits: bool) -> None:
        """Drop the apps that have been checked for the last time."""
        now = self.clock()
        if waits:  # for a host to report the changed files, or which repository it is
            self._due_at = now + 1.0
            return
        self._found = {id_: one for id_, one in self._found.items() if one.until > now}
        self._due_at = min((one.until for one in self._found.values()), default=-math.inf)

    async def _reopen(self, came: Sequence[Delivery]) -> bool:
        """Reopen ignored pushes that a found app has missed; return whether there are any.

        They are decided like new ones, since nothing was recorded for them.
        """
        apps = self._found_apps()
        ignored = [one for one in came if _may_concern(one.unused, apps)]

        def misses(one: Meaning) -> bool:
            ids, event = self._owed_by(one.delivery), one.event
            return isinstance(event, RefPushed) and any(
                app.id in ids and concerns(event, app) for app in apps
            )

        missed = [
            replace(done(one.delivery, DeliveryState.KEPT, FOUND), due_at=self.clock())
            async for pushes in self._read(ignored)
            for one in pushes
            if misses(one)
        ]
        await self.inbox.finish(missed)
        return bool(missed)

    async def _missed(self, decided: Sequence[Delivery]) -> AsyncIterator[Late]:
        """Yield late decisions for decided pushes that the found apps have missed, oldest first."""
        apps = self._found_apps()
        async for pushes in self._read(await self._candidates(decided, apps)):
            for ids, group in groupby(pushes, lambda one: self._owed_by(one.delivery)):
                meanings = list(group)
                those = [app for app in apps if app.id in ids]
                outcomes, recorded = await self.recording.complete(meanings, those)
                yield Late(meanings, outcomes, recorded)

    def _found_apps(self) -> list[App]:
        return [app for id_ in self._found if (app := self.catalog.get(id_)) is not None]

    async def _read(self, deliveries: Sequence[Delivery]) -> AsyncIterator[list[Meaning]]:
        """Yield the meanings of those that are pushes, some at a time, in order."""
        async for some in self._with_bodies(deliveries):
            read = await self.reading.meanings(some)
            self._silent |= any(isinstance(one, Later) for one in read)
            yield [
                one for one in read if isinstance(one, Meaning) and isinstance(one.event, RefPushed)
            ]

    async def _with_bodies(self, listed: Sequence[Delivery]) -> AsyncIterator[list[Delivery]]:
        """Yield deliveries with their bodies, some at a time; each large one is alone."""
        some: list[Delivery] = []
        for seq in [one.seq for one in listed]:
            if (one := await self.inbox.get(seq)) is None:
                continue
            if some and (is_heavy(one) or len(some) == AT_ONCE):
                yield some
                some = []
            some.append(one)
            if is_heavy(one):
                yield some
                some = []
        if some:
            yield some

    async def _candidates(
        self, deliveries: Sequence[Delivery], apps: Sequence[App]
    ) -> list[Delivery]:
        """Return the decided pushes that a found app may have missed."""
        pushed = await self.journal.pushed([one.seq for one in deliveries])
        decided = await self.journal.decisions([*pushed])
        # A clone URL is compared with those in the body.
        by_url = [app.id for app in apps if app.source is not None and app.source.url is not None]
        by_name = index(apps)

        def misses(one: Delivery) -> bool:
            if (where := pushed.get(one.seq)) is None:
                return False
            host, _, id_ = where.key.partition(" ")
            there = apps_of(by_name, Repository(host, id_, where.name))
            may = {app.id for app in there}.union(by_url) & self._owed_by(one)
            return bool(may - {decision.app_id for decision in decided[one.seq]})

        return [one for one in deliveries if misses(one)]

    async def _came(self) -> list[Delivery]:
        """Return the deliveries that found apps may have missed, oldest first, without bodies."""
        since = min(one.since for one in self._found.values())
        found: list[Delivery] = []
        page = await self.inbox.newest(PAGE)
        while page:
            found += page
            if page[-1].received_at < since - CLOCKS_DIFFER:
                break
            page = await self.inbox.newest(PAGE, before=page[-1].seq)
        return [one for one in reversed(found) if one.received_at >= since]

    def _owed_by(self, delivery: Delivery) -> frozenset[str]:
        """Return the ids of the found apps that may have missed a delivery, by its time."""
        return frozenset(
            id_ for id_, one in self._found.items() if one.since <= delivery.received_at
        )


def _may_concern(name: str | None, apps: Sequence[App]) -> bool:
    """Return whether a push of a repository by that name may concern one of the apps.

    An id or a clone address can only be compared with those in the push.
    """
    if name is None:
        return False
    sources = [app.source for app in apps if app.source is not None]
    by_name = (one.repository.lower() for one in sources if one.repository is not None)
    by_body = any(one.repository is None or one.repository_id is not None for one in sources)
    return by_body or name.lower() in by_name


# ── pull requests that were opened after their pushes were decided ───────────────────────────────

SHOWN = "it gets the comment of what was pushed"


class LateJournal(Decisions, Subscriptions, Protocol):
    """What late comments use of the journal."""


@dataclass(frozen=True, slots=True)
class LateComments:
    """Publishes earlier pushes on pull requests that are opened later."""

    journal: LateJournal
    planners: Sequence[LatePlanner]

    async def subscribe(
        self, meanings: Sequence[Meaning], outcomes: Sequence[tuple[Outcome | None, Finished]]
    ) -> list[tuple[Outcome | None, Finished]]:
        """Subscribe opened pull requests to their pushes; idempotent.

        Returns:
            The outcomes; those of pull requests that get a comment say so.
        """
        shown = {
            meaning.delivery.seq: f"{was_opened(meaning.event)} {SHOWN}"
            for meaning in meanings
            if shows_late(meaning.event) and await self._wanted(meaning.event)
        }
        return [
            (outcome, replace(end, error=shown.get(end.seq, end.error)))
            for outcome, end in outcomes
        ]

    async def _wanted(self, opened: PullRequestChanged) -> bool:
        """Return whether there is something to publish."""
        key = ref_key(opened.repository, Ref(RefKind.BRANCH, opened.pull.head))
        seqs = await self.journal.pushes_to(key, opened.pull.head_sha)
        if not seqs:
            return False
        decided = await self.journal.decisions(seqs)
        subscriptions = [target for plan in self.planners for target in plan(opened, decided)]
        await self.journal.subscribe(subscriptions)
        return bool(subscriptions)


def shows_late(event: object) -> TypeGuard[PullRequestChanged]:
    """Return whether it is a pull request that earlier pushes may be published on."""
    return isinstance(event, PullRequestChanged) and event.opened and event.pull.own
