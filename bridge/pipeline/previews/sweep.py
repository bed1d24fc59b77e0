"""Look what previews there should be, and are: what no webhook tells costs minutes at most.

Whether a backend makes previews of an app by itself is known from what the catalogue reads anyway,
so nothing is asked where none does: one request a round for each app of which it does.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, NotFound, Refused
from bridge.core.events import Repository
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.previews.preview import Preview, model_id, number_in
from bridge.core.pulls import PullRequest
from bridge.pipeline.background import Rounds, Turn
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.reconcile import Homes, Resting, place_of
from bridge.pipeline.previews.previews import FollowsPulls, PreviewKeeper
from bridge.ports.backends import Backend, MakesPreviews
from bridge.ports.clock import Clock
from bridge.ports.previews import Previews

log = logging.getLogger(__name__)

WHOLE = 3600.0
"""Seconds after which all open pull requests of a repository are listed anew."""

OVERLAP = 10.0
"""Seconds that each round reads once more, by the host's clock."""

GONE = 3
"""Rounds in a row that have to miss a repository before its previews end: hosts say the same of one
that is deleted and of one that a credential may not see at the moment."""

RETRY = Backoff(10.0, 600.0)
"""Pauses after a round failed."""


@dataclass(slots=True)
class Read:
    """How far the pull requests of a repository were read.

    Attributes:
        until: the newest change that was seen, by the host's clock.
        listed_at: when all open ones were listed, by ours.
        apps: the apps that had previews of it then.
        said: what its host said last of each pull request, by number.
    """

    until: float
    listed_at: float
    apps: frozenset[str]
    said: dict[int, PullRequest] = field(default_factory=dict)


@dataclass(slots=True)
class Followed:
    """A repository in one round.

    Attributes:
        key: its key for its host's API.
        apps: the ids of apps that have previews of it.
        rows: its previews.
    """

    where: Repository
    key: str
    apps: set[str] = field(default_factory=set)
    rows: list[Preview] = field(default_factory=list)


Step = Callable[[Followed], Awaitable[None]]


@dataclass(eq=False)
class PreviewSweep:
    """Reports what has changed about the pull requests of one host, also without a webhook.

    Each host has a sweep of its own: one that hangs holds up no other.
    """

    keeper: PreviewKeeper
    journal: Previews
    api: FollowsPulls
    homes: Homes
    apps: Callable[[], Sequence[App]]
    clock: Clock
    _: KW_ONLY
    every: float
    turn: Turn
    _read: dict[str, Read] = field(default_factory=dict, init=False)
    _repositories: dict[str, tuple[Repository, float]] = field(default_factory=dict, init=False)
    _missed: dict[str, int] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        await Rounds("pull requests can't be compared", self.look, RETRY).run()

    async def look(self) -> float:
        """Compare everything once; return the seconds until the next round."""
        await self.turn()
        resting = Resting()
        rows = await self._rows()
        followed = await self._followed(rows, resting)
        for step in (self._follow, self._adopt_lost, self._check_doubtful):
            for one in followed:
                one.rows = [row for row in rows if row.repository.id == one.where.id]
                await self._try(step, one, resting)
            rows = await self._rows()
        await self._end_of_gone(rows)
        return self.every

    async def _rows(self) -> list[Preview]:
        rows = await self.journal.previews(ended=True, limit=None)
        return [row for row in rows if row.host == self.api.name]

    async def _try(self, step: Step, one: Followed, resting: Resting) -> None:
        name = one.where.name
        if resting.has(self.api.name, name):
            return
        try:
            await step(one)
        except NotFound as error:
            known = self._repositories.items()
            self._repositories = {at: there for at, there in known if there[0].id != one.where.id}
            self._tell(name, error)
        except BridgeError as error:
            resting.note(self.api.name, name, error)
            self._tell(name, error)

    def _tell(self, repository: str, error: BridgeError) -> None:
        why = {"host": self.api.name, "repository": repository, "why": str(error)}
        log.warning("pull requests can't be read", extra=why)

    async def _followed(self, rows: Sequence[Preview], resting: Resting) -> Sequence[Followed]:
        """Return the repositories that have previews or may have some, each once."""
        wanted = self._wanted(rows)
        found: dict[str, Followed] = {}
        for name in sorted(wanted):
            if resting.has(self.api.name, name):
                continue
            try:
                where = await self._repository(name)
            except NotFound as error:
                self._missed[name] = self._missed.get(name, 0) + 1
                self._tell(name, error)
                continue
            except BridgeError as error:
                resting.note(self.api.name, name, error)
                self._tell(name, error)
                continue
            one = found.setdefault(where.id, Followed(where, self.api.key(where)))
            one.apps |= wanted[name]
            self._missed.pop(name, None)
        return [*found.values()]

    def _wanted(self, rows: Iterable[Preview]) -> dict[str, set[str]]:
        """Return the apps that have previews, by their repositories' names or keys."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for app in self.apps():
            place = place_of(app.source, self.homes) if app.source is not None else None
            if app.previewed and place is not None and place[0] == self.api.name:
                wanted[place[1]].add(app.id)
        for row in rows:
            if _may_live(row):
                wanted[row.key].update()
        return wanted

    async def _repository(self, name: str) -> Repository:
        known = self._repositories.get(name)
        if known is None or self.clock() - known[1] >= WHOLE:
            known = where, _ = await self.api.repository(name), self.clock()
            for said in (name, where.name, self.api.key(where)):
                self._repositories[said] = known
        return known[0]

    async def _end_of_gone(self, rows: Iterable[Preview]) -> None:
        """End the previews whose repository is gone, or whose name another one has now."""
        for row in rows:
            known = self._repositories.get(row.key)
            is_anothers = known is not None and known[0].id != row.repository.id
            if _may_live(row) and (is_anothers or self._missed.get(row.key, 0) >= GONE):
                await self.keeper.report(row.repository, _closed(row.pull))

    async def _follow(self, one: Followed) -> None:
        now, known = self.clock(), self._read.get(one.where.id)
        apps = frozenset(one.apps)
        if known is None or now - known.listed_at >= WHOLE or not apps <= known.apps:
            pulls = await self.api.open_pulls(one.key)
            read = Read(0.0, now, apps)
        else:
            pulls = await self.api.pulls_since(one.key, known.until - OVERLAP)
            read = known
        for pull in pulls:
            await self._report(one, read, pull, now)
        if read is not known:
            numbers = {row.pull.number for row in one.rows if row.pull.open}
            await self._read_again(one, read, numbers - read.said.keys())
        # Only now, and only by the list: what was not reported is listed once more.
        read.until = max(read.until, *(pull.updated_at or 0.0 for pull in pulls), 0.0)
        self._read[one.where.id] = read

    async def _report(self, one: Followed, read: Read, pull: PullRequest, read_at: float) -> None:
        await self.keeper.report(one.where, pull, read_at)
        read.said[pull.number] = pull

    async def _adopt_lost(self, one: Followed) -> None:
        """Report pull requests whose app is there without a record, as after a restored backup."""
        known = {row.marker for row in one.rows}
        for app in self.apps():
            number = number_in(app.marker, one.where)
            if number is None or app.marker in known or model_id(app.marker) not in one.apps:
                continue
            try:
                pull = await self.api.pull_request(one.key, number)
            except NotFound:
                pull = PullRequest(number, "", "", open=False)
            await self.keeper.adopt(one.where, pull, app)

    async def _check_doubtful(self, one: Followed) -> None:
        """Read those of which a webhook of the same second has said something else.

        Also those of which the journal knows something older, as after a failover to a replica.
        """
        if (read := self._read.get(one.where.id)) is None:
            return
        numbers = {
            row.pull.number
            for row in one.rows
            if (said := read.said.get(row.pull.number)) is not None
            and (
                _second(said) == _second(row.pull)
                or (_may_live(row) and _is_older(row.pull, than=said))
            )
            and _matter(said) != _matter(row.pull)
        }
        await self._read_again(one, read, numbers)

    async def _read_again(self, one: Followed, read: Read, numbers: Iterable[int]) -> None:
        """Report pull requests as they are by their numbers.

        Raises:
            BridgeError: the first error, once all have been tried.
        """
        failed: BridgeError | None = None
        for number in sorted(numbers):
            read_at = self.clock()
            try:
                pull = await self.api.pull_request(one.key, number)
            except NotFound:
                known = next(row.pull for row in one.rows if row.pull.number == number)
                pull = _closed(known)
            except BridgeError as error:
                failed = failed or error
                continue
            await self._report(one, read, pull, read_at)
        if failed is not None:
            raise failed


def _may_live(row: Preview) -> bool:
    """Whether there is or may be something of a preview, or it is to begin once it is wanted."""
    return row.pull.open or row.takes_a_place


def _closed(pull: PullRequest) -> PullRequest:
    """Return a pull request that is no more; its host does not say since when."""
    return replace(pull, open=False, updated_at=None)


def _second(pull: PullRequest) -> int | None:
    return None if pull.updated_at is None else math.floor(pull.updated_at)


def _is_older(pull: PullRequest, than: PullRequest) -> bool:
    before, after = _second(pull), _second(than)
    return before is not None and after is not None and before < after


def _matter(pull: PullRequest) -> tuple[object, ...]:
    """Return what previews depend on."""
    return pull.open, pull.head_sha, pull.base, pull.draft, pull.labels, pull.own


# ── the previews that backends make by themselves, read only ──────────────────────────────────────

EVERY = 60.0
"""Seconds between two rounds."""

SOON = 5.0
"""Seconds between two rounds while something is built."""

LONGEST_BUILD = 1800.0
"""Seconds after which a build counts as stuck; Dokploy shows some as running for ever."""

GOING = (NativeState.WAITING, NativeState.BUILDING)

NATIVE_RETRY = Backoff(10.0, 300.0)
"""Pauses after a round failed."""


@runtime_checkable
class HasPreviews(Backend, MakesPreviews, Protocol):
    """A backend that may make previews by itself."""


@dataclass(eq=False)
class NativePreviewFollower:
    """Records the previews that backends make by themselves."""

    journal: Previews
    catalog: Catalog
    backends: Mapping[str, Backend]
    clock: Clock
    _: KW_ONLY
    turn: Turn
    _failing: set[str] = field(default_factory=set, init=False)

    async def run(self) -> None:
        what = "the previews that backends make by themselves can't be read"
        await Rounds(what, self.look, NATIVE_RETRY).run()

    async def look(self) -> float:
        """Read those of every app that has some; return the seconds until the next round."""
        await self.turn()
        await self.catalog.ready.wait()  # else every app would seem to be gone
        known: dict[str, list[NativePreview]] = {}
        for one in await self.journal.native_previews():
            known.setdefault(one.app_id, []).append(one)
        apps = {app.id: app for app in self.catalog.all() if app.native_previews}
        # Where they were switched off, those that there are stay until their pull requests end.
        apps |= {id_: app for id_ in known if (app := self.catalog.get(id_)) is not None}
        going = False
        for id_ in sorted(apps.keys() | known.keys()):
            before = known.get(id_, [])
            found = await self._read(apps.get(id_), before)
            if found != before:
                await self.journal.save_native_previews(id_, found)
            since = self.clock() - LONGEST_BUILD
            going = going or any(one.state in GOING and one.active_at > since for one in found)
        return SOON if going else EVERY

    async def _read(self, app: App | None, before: list[NativePreview]) -> list[NativePreview]:
        """Return an app's previews; as they were known if they can't be read now."""
        if app is None:
            return []
        backend = self.backends.get(app.backend)
        if not isinstance(backend, HasPreviews):
            return []
        try:
            found = await backend.native_previews(app)
        except BridgeError as error:
            self._tell(app, error)
            return [] if isinstance(error, Refused) else before
        self._failing.discard(app.id)
        return found

    def _tell(self, app: App, error: BridgeError) -> None:
        """Log a failure once, however often it repeats."""
        if app.id not in self._failing:
            self._failing.add(app.id)
            what = {"app": app.label, "why": str(error)}
            log.warning("the backend's own previews can't be read", extra=what)
