"""Gates: what deployments are judged by, and waking the held ones.

A held deployment costs nothing: it has no flow, and no task waits for it. A changed fact marks the
deployments that it concerns in the journal; so does time. The gatekeeper judges what is marked, and
starts a flow for what passes, which judges once more just before the backend is asked.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.changes import Pushes
from bridge.core.errors import BridgeError, Rejected
from bridge.core.events import Action, Commit
from bridge.core.gates.approvals import NO_COMPARED, Compared, Content, approved, at_once
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.gates import by_commit
from bridge.core.gates.locks import scopes_of
from bridge.core.gates.order import earlier_of
from bridge.core.health.serving import Serving
from bridge.core.holds import Proposal
from bridge.core.lifecycle import Deployment, State, app_of, promotes
from bridge.core.pins import exact, pin_of, tracked
from bridge.core.rules import RuleBook, ruled
from bridge.pipeline.background import PATIENCE, Lanes, cancelled
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.reconcile import Homes, ReadsRefs, place_of
from bridge.pipeline.gates.brought import AuthorsOfRanges, Contents
from bridge.ports.clock import Clock
from bridge.ports.deployments import Deployments
from bridge.ports.gates import CiFacts, CommitAt, Gates, Judging
from bridge.ports.githosts import HostApi
from bridge.ports.journal import Apps


class HeldJournal(Apps, CiFacts, Deployments, Gates, Protocol):
    """What judgements use of the journal."""


log = logging.getLogger(__name__)

HEAD_AGAIN = 30.0
"""Seconds until a head that could not be read is read again."""

LIST_LASTS = 30.0
"""Seconds for which a list of checks lets deployments pass; an event may have been lost since."""

MOST_BROUGHT = 100
"""An app's newest deployments: their authors may not approve the newest one; it builds on them."""

MOST_PUSHES = 500
"""Pushes since what is live whose pushers may not approve; with more, nobody may."""

AT_ONCE = 64
"""Held deployments that are judged together."""

RECORDED_AT_ONCE = 8
"""Judgements that are recorded together."""

POLL = 2.0
"""Seconds between two looks at the journal; another process may have changed a fact."""

RETRY = Backoff(1.0, 60.0)
"""Pauses after the journal could not be reached, or after a bug."""

TROUBLE = "held deployments can't be judged"

NO_BRANCH = "its source is no branch of a Git host that the bridge knows"
ONE_BRANCH = "it is pinned, so its rule `branch` must name the one branch that it tracks"

Place = tuple[str, str, str]
"""A host, a repository as its API names it, and a branch."""

Head = tuple[str | None, str]
"""A branch's commit, or None and why it is not known."""


# ── what a deployment is judged by ──────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Heads:
    """Reads the commits of branches.

    A head counts only if its reading began after somebody asked for it: it may have moved just
    before. So those who ask during a reading share the next one.
    """

    apis: Mapping[str, HostApi]
    clock: Clock
    homes: Homes
    _next: dict[Place, asyncio.Task[Head]] = field(default_factory=dict, init=False)
    _turns: dict[Place, asyncio.Lock] = field(default_factory=dict, init=False)
    _readings: set[asyncio.Task[Head]] = field(default_factory=set, init=False)

    def place(self, app: App) -> Place | None:
        """Return where the branch is whose head is to be built."""
        branch = tracked(app)
        if app.source is None or branch is None:
            return None
        found = place_of(app.source, self.homes)
        return None if found is None else (*found, branch)

    def never(self, app: App) -> str:
        """Return why no host can tell the commit that would be built; "" if one can."""
        place = self.place(app)
        if place is None:
            return ONE_BRANCH if pin_of(app) else NO_BRANCH
        if not isinstance(self.apis.get(place[0]), ReadsRefs):
            return f"no credential is set with which {place[0]} could be asked"
        return ""

    async def of(self, app: App, exact: str | None = None) -> tuple[CommitAt | None, str]:
        """Return the commit that would be built, or why it is not known.

        Args:
            exact: the commit to build, whatever the head is.
        """
        place = self.place(app)
        if place is not None and exact is not None:
            host, repository, branch = place
            return CommitAt(host, repository, exact, branch), ""
        if why := self.never(app):
            return None, why
        assert place is not None
        host, repository, branch = place
        api = self.apis[host]
        assert isinstance(api, ReadsRefs)
        if place not in self._next:
            reading = self._next[place] = asyncio.create_task(self._read(api, place))
            self._readings.add(reading)
            reading.add_done_callback(self._readings.discard)
        commit, trouble = await asyncio.shield(self._next[place])
        return (
            (None, trouble) if commit is None else (CommitAt(host, repository, commit, branch), "")
        )

    async def told(self, app: App, wanted: Deployment) -> str | None:
        """Return the commit that a deployment would build now; None if no host can tell."""
        found, _ = await self.of(app, exact(wanted, app))
        return found.commit if found else None

    async def _read(self, api: ReadsRefs, place: Place) -> Head:
        turn = self._turns.setdefault(place, asyncio.Lock())
        async with turn:
            task = self._next.pop(place)  # who asks from here on needs another reading
            assert task is asyncio.current_task()
            _, repository, branch = place
            try:
                commit = await api.head(repository, branch)
            except BridgeError as error:
                return None, f"the head of {branch} can't be read: {error}"
            finally:
                if place not in self._next:
                    self._turns.pop(place, None)
            return commit, f"there is no branch {branch} in {repository}"

    async def commit(self, at: CommitAt) -> Commit:
        """Return a commit with its message and authors; raise the errors of `HostApi`."""
        if at.host not in self.apis:
            raise Rejected(f"no credential is set with which {at.host} could be asked")
        return await self.apis[at.host].commit(at.repository, at.commit)

    async def close(self) -> None:
        await cancelled(self._readings)


@dataclass(frozen=True, slots=True)
class Judges:
    """Finds what deployments are judged by, besides the facts in the journal.

    Attributes:
        authors: tells who wrote and pushed what a deployment brings, and who is who.
        wake: called when checks are to be read.
    """

    catalog: Catalog
    journal: HeldJournal
    heads: Heads
    contents: Contents
    freezes: Sequence[Freeze]
    clock: Clock
    book: RuleBook = field(default=(), kw_only=True)
    authors: AuthorsOfRanges = field(kw_only=True)
    wake: Callable[[], None] = field(default=lambda: None, kw_only=True)

    async def at_once(self, id_: str) -> Judging:
        """Return what a deployment is judged by as far as no host has to be asked."""
        return self._judging(await self._app(app_of(id_)))

    async def now(self, id_: str) -> Judging:
        """Return what a deployment is judged by, with the head as the host tells it now."""
        app = await self._app(app_of(id_))
        if not by_commit(app) and pin_of(app) is None:
            return self._judging(app)
        deployment = await self.journal.deployment(id_)
        head, trouble = await self.heads.of(app, exact(deployment, app) if deployment else None)
        if head is not None and app.rules.checks is not None:
            now = self.clock()
            if await self.journal.want_ci(head, now, listed_after=now - LIST_LASTS):
                self.wake()
        proposal = None
        if deployment is not None and head is not None and app.rules.approvals:
            try:
                proposal = await self._proposal(app, deployment, head)
            except BridgeError as error:  # who must not approve it is not known
                trouble = f"the authors of {head.commit[:7]} can't be read: {error}"
                head = None
        again_at = self.clock() + HEAD_AGAIN if trouble and not self.heads.never(app) else None
        judging = replace(self._judging(app, head, trouble, again_at), proposal=proposal)
        compared = NO_COMPARED if deployment is None else await self._compared(judging, deployment)
        return replace(judging, compared=compared)

    async def _proposal(self, app: App, deployment: Deployment, head: CommitAt) -> Proposal:
        """Return what an approval would be for, and who must not give it."""
        now = (await self.journal.earlier({app.label: app.id}))[app.label]
        history = await self.journal.deployments(limit=MOST_BROUGHT, app_id=app.id)
        served = served_before(now.serving, history)
        base = await self.authors.base(head, served)
        since = served[0] if base == head.commit else base
        pushes = await self._pushes(app, deployment, head, since)
        deployed = _deployed(deployment, since, history, now.serving)
        authors = await self.authors.of(head, base, pushes, deployed, _missing(pushes, since))
        if deployment.pinned is not None or head.commit != deployment.commit:
            built = await self.heads.commit(head)
        else:
            message, author = deployment.message or "", deployment.author or ""
            built = Commit(head.commit, message, author)
        return await self.contents.proposal(app, now, head, built, authors)

    async def _pushes(
        self, app: App, wanted: Deployment, head: CommitAt, base: str | None
    ) -> Pushes:
        """Return the pushes that a deployment would bring.

        Many have led to no deployment: they were to be skipped, or came too late.
        """
        of = await self._app(app_of(wanted.target)) if promotes(wanted) and wanted.target else app
        pinned = exact(wanted, app) is not None
        return await self.journal.brought(
            of, base, head.commit, pinned=pinned, limit=MOST_PUSHES + 1
        )

    async def _compared(self, by: Judging, deployment: Deployment) -> Compared:
        """Return the commits that matter beside the one that would be built."""
        if deployment.action is not Action.DEPLOY or by.again_at is not None:
            return NO_COMPARED
        commit = by.head.commit if by.head is not None else deployment.head or deployment.commit
        if commit is None:
            return NO_COMPARED
        earlier = await self.journal.earlier(by.earlier) if by.earlier else {}
        those = [
            (await self._app(one.app_id), runs) for one in earlier.values() for runs in one.commits
        ]
        if by.app.rules.approvals:
            approvals = await self.journal.approvals(by.app.id)
            those += [(by.app, one) for one in approved(approvals, commit)]
        found = await asyncio.gather(*(self._content(*one, commit, by) for one in those))
        return {(app.id, one): content for (app, one), content in zip(those, found, strict=True)}

    async def _content(self, app: App, one: str, commit: str, by: Judging) -> Content:
        if by.head is not None:
            return await self.contents.compared(app, one, by.head)
        return at_once(app, one, commit) or Content(None, by.unknown_head)

    async def _app(self, id_: str) -> App:
        app = self.catalog.get(id_) or await self.journal.app(id_)
        if app is None:
            raise LookupError(f"app {id_} is not in the journal")
        return ruled(app, self.book)

    def _judging(
        self,
        app: App,
        head: CommitAt | None = None,
        trouble: str = "",
        again_at: float | None = None,
    ) -> Judging:
        scopes = scopes_of(app)
        freezes = [one for one in self.freezes if one.covers(app.label, scopes)]
        earlier = earlier_of(app, self.catalog.all()) if app.rules.after else {}
        return Judging(
            app, freezes, earlier, head, trouble, again_at, identities=self.authors.identities
        )


def served_before(serving: Serving | None, history: Sequence[Deployment]) -> list[str]:
    """Return the commits that an app has served, what is live or surely was last first.

    Args:
        history: its deployments, newest first.
    """
    last = serving and (serving.last_known or serving.newest)
    live = (serving and serving.commit, last and (last.deployed_commit or last.commit))
    known = (*live, *(one.deployed_commit for one in history if one.served))
    return list(dict.fromkeys(one for one in known if one))


def _missing(pushes: Pushes, base: str | None) -> str:
    """Return why pushes may not be all; "" if they are."""
    if pushes.whole:
        return ""
    since = f" since {base[:7]}" if base else ", and nothing is live yet"
    return f"more than {MOST_PUSHES} pushes may have come{since}"


def _deployed(
    wanted: Deployment, base: str | None, history: Sequence[Deployment], serving: Serving | None
) -> list[int]:
    """Return what has deployed, or would: it, and the app's deployments since a commit was served.

    They may be of tags, or of other branches.
    """
    if wanted.pinned is not None:
        return [wanted.seq]
    of_base = [one.seq for one in history if base in (one.commit, one.deployed_commit)]
    newest = serving.newest.seq if serving and serving.newest else 0
    since = min(of_base) if base and of_base else newest
    return [wanted.seq, *(one.seq for one in history if one.seq > since)]


# ── waking the held ones ────────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Gatekeeper:
    """Judges held deployments when a fact has changed or their time has come.

    Each deployment has a lane of its own, so a Git host that hangs holds up only those that depend
    on it.
    """

    journal: HeldJournal
    judges: Judges
    release: Callable[[Deployment], Awaitable[None]]
    clock: Clock
    _: KW_ONLY
    poll: float = POLL
    patience: float = PATIENCE
    _lanes: Lanes[str] = field(init=False)
    _recording: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[str](TROUBLE, self.look, self.clock, RETRY, self.patience)
        self._recording = asyncio.Semaphore(RECORDED_AT_ONCE)

    async def run(self) -> None:
        await self._lanes.run()

    def wake(self) -> None:
        self._lanes.wake()

    async def look(self) -> float:
        now, late = self.clock(), False
        while due := await self._due(now):
            works = {one.id: self._judge(one) for one in due}
            late = not await self._lanes.begin(works, hurry=late) or late
            now = self.clock()
        next_at = await self.journal.next_hold_at(now)
        return self.poll if next_at is None else min(self.poll, next_at - self.clock())

    async def _due(self, now: float) -> list[Deployment]:
        """Return the first deployments that are due, without those that are being judged."""
        found = await self.journal.due_holds(now, AT_ONCE + len(self._lanes))
        return [one for one in found if not self._lanes.goes_on(one.id)][:AT_ONCE]

    async def _judge(self, held: Deployment) -> None:
        by = await self.judges.now(held.id)
        async with self._recording:  # what has waited for the same host does so at once
            judged = await self.journal.judge(held.id, by, seen=held.look_at)
        if judged is not None and judged.state is State.WAITING:
            log.info("held deployment released", extra={"app": judged.app, "deployment": judged.id})
            await self.release(judged)
