"""Find the files that pushes change, from their hosts if the webhooks do not list them.

Requests run in the background and results are cached for a while; callers retry until a result
is cached. A host that is slow, or does not know a fresh commit yet, delays nothing else. After
some seconds, no response counts as "unknown". A repository that our credential can't see is not
waited for: the push's own list counts at once.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

from bridge.core.backoff import Backoff
from bridge.core.changes import Live, Question, compared, question, with_paths
from bridge.core.decision import Decision, Reason
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unreachable
from bridge.core.events import RefPushed
from bridge.pipeline.background import cancelled
from bridge.ports.clock import Clock, Sleep
from bridge.ports.githosts import ChangeSet, HostApi
from bridge.ports.journal import Apps

log = logging.getLogger(__name__)

MOST_KEPT = 256
MOST_PATHS_KEPT = 300_000
"""Paths in cached answers; some hold 100,000."""

AT_A_TIME = 8
"""Concurrent requests to one host."""

CROWDED = 64
"""Pending questions from which on a push's own list is used, complete or not."""

SILENCE_HOLDS = 60.0
"""Seconds to cache "unknown", so that all callers get it, before the host is queried again."""

SIGHT_HOLDS = 3.0
"""Seconds to remember whether our credential can see a repository: that may change at any time."""

HIDDEN_HOLDS = 300.0
"""Seconds for which a hidden repository is not asked for, where the push's own list will do."""

NO_DIFFERENCE = ChangeSet((), "the same commit")


@dataclass(frozen=True, slots=True)
class _Kept:
    found: ChangeSet
    until: float


@dataclass(frozen=True, slots=True)
class _Key:
    host: str
    repository: str
    base: str
    head: str


@dataclass(frozen=True, slots=True)
class _Sight:
    """Whether our credential can see a repository."""

    can: bool
    at: float


@dataclass(eq=False)
class Changes:
    """The differences between commits, as their hosts report them.

    Attributes:
        apis: by host; the others can't be queried.
        patience: seconds for a host to know a commit, or to come back.
        pause: seconds between two attempts.
    """

    apis: Mapping[str, HostApi]
    clock: Clock
    _: KW_ONLY
    patience: float = 10.0
    pause: float = 1.0
    sleep: Sleep = asyncio.sleep
    _kept: OrderedDict[_Key, _Kept] = field(default_factory=OrderedDict, init=False)
    _paths_kept: int = field(default=0, init=False)
    _asking: dict[_Key, asyncio.Task[ChangeSet]] = field(default_factory=dict, init=False)
    _sights: dict[tuple[str, str], _Sight] = field(default_factory=dict, init=False)
    _turns: Mapping[str, asyncio.Semaphore] = field(init=False)

    def __post_init__(self) -> None:
        self._turns = {host: asyncio.Semaphore(AT_A_TIME) for host in self.apis}

    def can_ask(self, push: RefPushed) -> bool:
        return push.repository.host in self.apis

    def seen(self, push: RefPushed, question: Question) -> RefPushed | None:
        """Return the push as an app should see it; None while the host is being queried."""
        if not question.firm and len(self._asking) >= CROWDED:
            return push  # as after a day's outage: to query the host for all would take hours
        holds = SIGHT_HOLDS if question.firm else HIDDEN_HOLDS
        if self._sight(push.repository.host, self._found_by(push), holds) is False:
            return _unasked(push, question)
        note = ""
        for bases in question.bases:
            found = [self._ask(push, base) for base in bases]
            if None in found:
                return None
            sets = [one for one in found if one is not None]
            if all(one.paths is not None for one in sets):
                paths = tuple(sorted({path for one in sets for path in one.paths or ()}))
                return with_paths(push, paths, compared(bases, push.after, paths))
            note = note or next(one.note for one in sets if one.paths is None)
        if not question.firm:
            return push
        return with_paths(push, None, f"{question.why}; {note}" if note else question.why)

    async def close(self) -> None:
        await cancelled(self._asking.values())

    async def settled(self) -> None:
        while self._asking:
            await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def between(self, host: str, repository: str, base: str, head: str) -> ChangeSet:
        """Return the difference between two commits; wait for the host, but not for long.

        Args:
            repository: as the host's API names it.
        """
        if base == head:
            return NO_DIFFERENCE
        if host not in self.apis:
            return ChangeSet(None, f"no credential is set with which {host} could be asked")
        key = _Key(host, repository, base, head)
        known = self._known(key)
        return known if known is not None else await asyncio.shield(self._begun(key))

    def _ask(self, push: RefPushed, base: str) -> ChangeSet | None:
        if base == push.after:
            return NO_DIFFERENCE
        key = _Key(push.repository.host, self._found_by(push), base, push.after)
        if (known := self._known(key)) is None:
            self._begun(key)
        return known

    def _known(self, key: _Key) -> ChangeSet | None:
        kept = self._kept.get(key)
        if kept is None or self.clock() >= kept.until:
            return None
        self._kept.move_to_end(key)
        return kept.found

    def _begun(self, key: _Key) -> "asyncio.Task[ChangeSet]":
        """Return the request for a difference, which runs in the background."""
        if key not in self._asking:
            name = f"compare {key.base[:7]}..{key.head[:7]}"
            self._asking[key] = asyncio.create_task(self._find(key), name=name)
        return self._asking[key]

    async def _find(self, key: _Key) -> ChangeSet:
        try:
            async with self._turns[key.host]:
                found = await self._patiently(key)
        except Exception as error:  # a question without an answer would be repeated for ever
            log.exception("changed files can't be found", extra={"commit": key.head})
            found = ChangeSet(None, f"the bridge had an internal error ({type(error).__name__})")
        finally:
            del self._asking[key]
        self._keep(key, found)
        return found

    async def _patiently(self, key: _Key) -> ChangeSet:
        """Return the answer, waiting for it if necessary; "unknown" in the end."""
        until = self.clock() + self.patience
        while True:
            try:
                async with asyncio.timeout(max(0.0, until - self.clock()) + self.pause):
                    return await self._compared(key)
            except TimeoutError:
                return ChangeSet(None, f"{key.host} did not answer in {self.patience:.0f} s")
            except BridgeError as error:
                hopeless = isinstance(error, Refused | Rejected) and not isinstance(error, NotFound)
                asked = error.retry_after if isinstance(error, Unreachable) else None
                pause = max(asked or 0.0, self.pause)
                if hopeless or self.clock() + pause > until:
                    return ChangeSet(None, str(error))
                await self.sleep(pause)

    async def _compared(self, key: _Key) -> ChangeSet:
        """Return the comparison; raise NotFound for a commit that the host does not know yet."""
        try:
            return await self.apis[key.host].compare(key.repository, key.base, key.head)
        except NotFound as error:
            if await self._sees(key):
                raise
            return ChangeSet(None, str(error))

    async def _sees(self, key: _Key) -> bool:
        """Return whether our credential can see a repository; most hosts answer 404 if not."""
        known = self._sight(key.host, key.repository, SIGHT_HOLDS)
        if known is not None:
            return known
        try:
            await self.apis[key.host].repository(key.repository)
            can = True
        except NotFound:
            can = False
        self._sights[key.host, key.repository] = _Sight(can, self.clock())
        return can

    def _sight(self, host: str, repository: str, holds: float) -> bool | None:
        """Return whether a repository could be seen so many seconds ago; None if not known."""
        known = self._sights.get((host, repository))
        return None if known is None or self.clock() >= known.at + holds else known.can

    def _found_by(self, push: RefPushed) -> str:
        return self.apis[push.repository.host].key(push.repository)

    def _keep(self, key: _Key, found: ChangeSet) -> None:
        # The difference between two commits never changes.
        until = float("inf") if found.paths is not None else self.clock() + SILENCE_HOLDS
        if (old := self._kept.pop(key, None)) is not None:
            self._paths_kept -= len(old.found.paths or ())
        self._kept[key] = _Kept(found, until)
        self._paths_kept += len(found.paths or ())
        while len(self._kept) > MOST_KEPT or (
            self._paths_kept > MOST_PATHS_KEPT and len(self._kept) > 1
        ):
            _, dropped = self._kept.popitem(last=False)
            self._paths_kept -= len(dropped.found.paths or ())


def _unasked(push: RefPushed, question: Question) -> RefPushed:
    """Return a push of a repository that its host does not show us."""
    why = f"our credential for {push.repository.host} can't see {push.repository.name}"
    if question.firm:
        return with_paths(push, None, f"{question.why}; {why}")
    return replace(push, paths_note=f"as the webhook lists them; {why}")


# ── Each app's own view of a push: the files that have changed since the commit that it runs ────

LOOK = Backoff(0.2, 2.0, factor=1.5)
"""Seconds, growing, until a push that waits for its host is tried again."""

ASKS = frozenset({Reason.PATHS_UNKNOWN, Reason.NO_PATH_HIT})
"""Decisions by a push's own list that a better list could change."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on a push by its own list."""

    seq: int
    push: RefPushed
    decisions: Sequence[Decision]


@dataclass(slots=True)
class Seen:
    """Pushes as apps should see them.

    Attributes:
        views: by delivery and app, where they differ from the push as it arrived.
        waiting: seconds until the next attempt, by delivery that can't be decided yet.
    """

    views: dict[int, dict[str, RefPushed]] = field(default_factory=dict)
    waiting: dict[int, float] = field(default_factory=dict)


class ViewFinder:
    """Finds each app's view of a push whose own list is not enough."""

    def __init__(self, changes: Changes, journal: Apps) -> None:
        self._changes = changes
        self._journal = journal
        self._looks: dict[int, int] = {}

    async def of(self, decided: Sequence[Decided]) -> Seen:
        """Return the views known so far; never wait for a host."""
        those = [one for one in decided if self._changes.can_ask(one.push)]
        asking = {
            decision.app_id
            for one in those
            for decision in one.decisions
            if decision.reason in ASKS
        }
        seen = Seen()
        if not asking:
            return seen
        live = await self._journal.live(sorted(asking))
        for one in those:
            questions = {
                decision.app_id: asked
                for decision in one.decisions
                if (asked := question(one.push, decision, _before(one, live, decision)))
            }
            self._look(seen, one, questions)
        return seen

    def _look(self, seen: Seen, one: Decided, questions: Mapping[str, Question]) -> None:
        # Start all requests before waiting for one; most apps need the same one.
        views = {asked: self._changes.seen(one.push, asked) for asked in set(questions.values())}
        if None in views.values():
            looks = self._looks[one.seq] = self._looks.get(one.seq, 0) + 1
            seen.waiting[one.seq] = LOOK.pause(looks)
            return
        self._looks.pop(one.seq, None)
        found = {app_id: views[asked] for app_id, asked in questions.items()}
        seen.views[one.seq] = {id_: view for id_, view in found.items() if view is not None}


def _before(one: Decided, live: Mapping[str, Live], decision: Decision) -> Live | None:
    """Return what ran when the push arrived; a push that waited may have been overtaken."""
    found = live.get(decision.app_id)
    if found is None or found.seq >= one.seq:
        return None
    return found if found.failed < one.seq else replace(found, failed=0)
