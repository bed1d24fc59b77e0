"""Look at what backends serve: somebody may deploy there as well, or an outcome may be unknown.

Two requests tell of all apps of a backend when each was deployed last, and which containers run. An
app's records and its image are read only if that has changed since the last look, or if one of our
deployments has ended without going live.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, Refused
from bridge.core.failure import LOG_LINES, Failure
from bridge.core.health.containers import owner
from bridge.core.health.rollback import Rung
from bridge.core.health.serving import By, Look, Serving, came_after, overtaken, served_record
from bridge.core.lifecycle import OURS, Deployment, Evidence, State
from bridge.core.tracking import EndInLog, end_in, marked
from bridge.pipeline.background import Lanes
from bridge.pipeline.deploying.polling import by_our_clock, seen
from bridge.pipeline.housekeeping import last_absence
from bridge.ports.backends import Backend, BackendDeployment, Progress, ShowsImages, is_stopped
from bridge.ports.clock import Clock
from bridge.ports.gates import Gates
from bridge.ports.journal import AppsDeploymentsAndNotes


class ServingJournal(AppsDeploymentsAndNotes, Gates, Protocol):
    """What looks at what is served use of the journal."""


log = logging.getLogger(__name__)

FAR_BACK = 50
"""How many of an app's deployments that went live are searched for the one whose image runs."""

MOST_LOGS = 3
"""The most logs that one look reads, of the newest records that do not say that they are done."""

NEW_AT_ONCE = 1
"""How many apps that the bridge has never deployed are looked at after each listing."""

UNSURE_AT_ONCE = 5
"""How many apps are looked at after each listing only because no bridge was running before."""

RERUN_AT_ONCE = 5
"""How many apps are looked at after each listing only because other containers run of them."""

RAN = "containers of {}"
"""The journal's key for which containers ran of a backend's apps when they were looked at."""

RETRY = Backoff(5.0, 300.0)
"""Pauses after an app or the journal could not be read, or while an app is being built."""

TROUBLE = "what is served can't be read"

POLL = 600.0
"""Seconds between two rounds that nothing has woken; each listing wakes one."""


@dataclass(frozen=True, slots=True)
class Looks:
    """Reads what an app serves from its backend's records, and stores it.

    Attributes:
        titles: the backends' names for people, by name.
    """

    journal: ServingJournal
    clock: Clock
    titles: Mapping[str, str] = field(default_factory=dict)

    def place(self, backend: str) -> str:
        """Return a backend's name for people."""
        return self.titles.get(backend, backend)

    async def at(self, backend: Backend, app: App, *, told: str | None = None) -> Serving | None:
        """Look at an app, and return what it serves; None if nothing is known to be served.

        While the backend may be at one of our deployments, nothing is concluded: its record may
        be there before the bridge knows that it is ours.

        Args:
            told: what the listing says of the app; None if it was not read.

        Raises:
            BridgeError: the backend or our journal can't be read.
        """
        at = self.clock()
        records = await backend.deployments(app)
        open_ = await self.journal.open_deployments(app_id=app.id)
        serving = await self.journal.serving_of(app)
        if any(
            one.state not in OURS or one.intent_at is not None for one in open_ if not one.served
        ):
            return serving
        known = serving or await self.journal.unserved(app)
        look = await self._look(backend, app, known, records)
        if told is None and serving is not None and serving.look is not None:
            told = serving.look.told
        if records and records[0].status is Progress.RUNNING and look.record != records[0].id:
            told = None  # its end may be written to its log alone, so this must be looked at again
        stopped = await is_stopped(backend, app) is True
        look = replace(look, at=at, told=told, stopped=stopped)
        await self.journal.save_look(app.id, look)
        return await self.journal.serving_of(app)

    async def _look(
        self, backend: Backend, app: App, serving: Serving, records: Sequence[BackendDeployment]
    ) -> Look:
        newest, doubt = serving.newest, serving.doubt
        look = Look(0.0, newest.id if newest else None, doubt.id if doubt else None)
        now = self.clock()
        dated = [_dated(one, backend, now) for one in records]
        ends = await self._ends(backend, dated)
        built = {id_ for id_, end in ends.items() if end.built}
        shown = served_record(dated, built)
        if shown is None:  # the backend keeps few records: failures may have pushed it out
            return serving.shown or look
        unsettled = doubt if not serving.known else None
        if unsettled is not None and await self._in_doubt(
            backend, app, unsettled, dated, ends, shown
        ):
            return look
        mine = await self.journal.pinned(app.id)
        whose = mine.get(shown.id) or next(
            (one.id for one in (newest, doubt) if one and marked(one, seen(shown))), None
        )
        absence = None if whose else await last_absence(self.journal)  # our journal may be a copy
        lost = absence is not None and absence.covers(shown.created_at)
        look = replace(
            look,
            record=shown.id,
            deployment=whose,
            commit=shown.commit,
            since=shown.finished_at or shown.created_at,
            evidence=Evidence.LOG if shown.id in built else Evidence.RECORD,
            by=By.BRIDGE if whose else By.UNKNOWN if lost else By.BACKEND,
            place=self.place(backend.name),
        )
        if newest is None or (newest.id != whose and overtaken(newest, dated, shown)):
            return look
        return await self._by_image(backend, app, replace(look, deployment=newest.id), serving)

    async def _by_image(self, backend: Backend, app: App, look: Look, serving: Serving) -> Look:
        """Return what the image that runs says, which is more than the record of a deployment.

        A rollback that is pressed at the backend makes no record of its own.
        """
        newest, known = serving.newest, serving.seen
        known = known if known is not None and known.evidence is Evidence.IMAGE else None
        now: Sequence[str] | None = None
        own = newest.images if newest is not None else None
        if (own or known) and isinstance(backend, ShowsImages):
            now = await backend.images(app)
        if not now or newest is None:
            return known or look
        if not set(now).isdisjoint(newest.images or ()):
            return replace(look, evidence=Evidence.IMAGE)
        if known is not None and known.record in now:
            return known
        if not newest.images:  # what it has built is not known, but something new runs
            return look
        history = await self.journal.deployments(limit=FAR_BACK, app_id=app.id, lived=True)
        unsure = serving.out_of_sight or newest.state is State.UNHEALTHY  # a Swarm may do so, too
        whose = owner(now, history)
        return replace(
            look,
            record=now[0],
            deployment=whose.id if whose else None,
            commit=whose.deployed_commit if whose else None,
            since=self.clock(),
            evidence=Evidence.IMAGE,
            by=By.UNKNOWN if unsure else By.BACKEND,
        )

    async def _in_doubt(
        self,
        backend: Backend,
        app: App,
        doubt: Deployment,
        records: Sequence[BackendDeployment],
        ends: Mapping[str, EndInLog],
        shown: BackendDeployment,
    ) -> bool:
        """Return whether a deployment of unknown outcome may have replaced what is shown.

        What a backend restores has no record. What has begun may be served though its record was
        never closed, or is gone; what has not may still be waiting.
        """
        own = next((one for one in records if marked(doubt, seen(one))), None)
        if came_after(doubt, records, own, shown):
            return False
        if own is not None:
            end = ends.get(own.id)
            return own.finished_at is None and not (end is not None and end.failed)
        if doubt.way == Rung.KEPT or doubt.started_at is not None or doubt.backend_id is not None:
            return True
        jobs = await backend.queue()
        return jobs is None or any(one.app == app.id for one in jobs)

    async def _ends(
        self, backend: Backend, records: Sequence[BackendDeployment]
    ) -> dict[str, EndInLog]:
        """Return what their logs say of the newest records, before the first that is done."""
        found: dict[str, EndInLog] = {}
        for one in records[:MOST_LOGS]:
            if one.status is Progress.DONE:
                break
            with suppress(Refused):  # a log that may not be read tells nothing
                tail = await backend.log_tail(one, LOG_LINES)
                found[one.id] = end_in(tail, Failure("", ""))
        return found


def _dated(record: BackendDeployment, backend: Backend, now: float) -> BackendDeployment:
    ended = record.finished_at
    return replace(
        record,
        created_at=by_our_clock(backend, record.created_at, now),
        finished_at=None if ended is None else by_our_clock(backend, ended, now),
    )


@dataclass(eq=False)
class ServingReconciler:
    """Looks at apps whose backends show something new, or of which a deployment did not go live.

    Each backend has a lane of its own, so one that hangs delays no other.

    Attributes:
        app_of: returns a known app by its id.
    """

    backends: Mapping[str, Backend]
    journal: ServingJournal
    clock: Clock
    looks: Looks
    app_of: Callable[[str], App | None]
    _told: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _looked: dict[str, str] = field(default_factory=dict, init=False)
    _due: dict[str, set[str]] = field(default_factory=dict, init=False)
    _pauses: dict[str, tuple[int, float]] = field(default_factory=dict, init=False)
    """How often in a row each app paused, and until when."""
    _ran: dict[str, dict[str, str]] = field(default_factory=dict, init=False)
    _lanes: Lanes[str] = field(init=False)

    def __post_init__(self) -> None:
        self._lanes = Lanes[str](TROUBLE, self._round, self.clock, RETRY)

    async def run(self) -> None:
        await self._lanes.run()

    def heard(self, backend: str, told: Mapping[str, str]) -> None:
        """Take what a listing tells of each app, by its id; it differs after each deployment."""
        before = self._told.get(backend, told)
        moved = {id_ for id_, text in told.items() if before.get(id_, text) != text}
        self._due.setdefault(backend, set()).update(moved)
        self._pauses = {id_: one for id_, one in self._pauses.items() if id_ not in moved}
        self._told[backend] = dict(told)
        self._lanes.wake()

    def ended(self, deployment: Deployment) -> None:
        """Look at an app again: a deployment that the backend had has ended without being live."""
        app = self.app_of(deployment.app_id)
        if app is not None and app.backend in self.backends:
            self._due.setdefault(app.backend, set()).add(app.id)
            self._pauses.pop(app.id, None)
            self._lanes.wake()

    async def _round(self) -> float:
        names = (self._told.keys() | self._due.keys()) & self.backends.keys()
        free = {name: self._do(name) for name in names if not self._lanes.goes_on(name)}
        await self._lanes.begin(free)
        return POLL

    async def _do(self, name: str) -> None:
        told, first = self._told.get(name, {}), self._due.setdefault(name, set())
        now = self.clock()
        rest = {id_ for id_, (_, until) in self._pauses.items() if now < until}
        ran: Mapping[str, str] = {}
        if isinstance(backend := self.backends[name], ShowsImages):
            ran = await backend.fingerprints([app for id_ in told if (app := self.app_of(id_))])
        due = [*first - rest, *await self._changed(told, first | rest)]
        rerun, looked = await self._rerun(name, ran, first & rest), set[str]()
        for app_id in dict.fromkeys((*due, *rerun)):
            first.discard(app_id)
            with self._alone(app_id, first):
                if await self._one(name, app_id, told.get(app_id), now):
                    looked.add(app_id)
        await self._note(name, ran, rerun, looked)

    @contextmanager
    def _alone(self, app_id: str, due: set[str]) -> Iterator[None]:
        """Let what can't be read of one app delay no other; it is read again after a pause."""
        try:
            yield
        except BridgeError as error:
            log.warning(TROUBLE, extra={"app": app_id, "why": str(error)})
            due.add(app_id)
            self._pause(app_id)

    def _pause(self, app_id: str) -> None:
        times = self._pauses.get(app_id, (0, 0.0))[0] + 1
        self._pauses[app_id] = times, self.clock() + RETRY.pause(times)

    async def _rerun(self, name: str, now: Mapping[str, str], besides: Container[str]) -> list[str]:
        """Return the apps that run other containers than at the last look, that longest ago first.

        A rollback that is pressed at a backend changes nothing else. A restart, or an app that
        crashes again and again, looks the same, so these are few at once.

        Args:
            besides: what could not be read, and is to be read again after a pause.
        """
        if name not in self._ran:
            self._ran[name] = json.loads(await self.journal.recall(RAN.format(name)) or "{}")
        ran = self._ran[name]
        rerun = [id_ for id_, text in ran.items() if now.get(id_, text) != text]
        return [id_ for id_ in rerun if id_ not in besides][:RERUN_AT_ONCE]

    async def _note(
        self, name: str, now: Mapping[str, str], rerun: Collection[str], looked: Container[str]
    ) -> None:
        """Remember what ran, of apps of which a look is stored, and of those that are new here.

        The others of `rerun` are looked at again, after all that wait.
        """
        before, told = self._ran[name], self._told.get(name, {})
        waiting = sorted(before, key=rerun.__contains__)
        kept = {id_: before[id_] for id_ in waiting if id_ in told and id_ not in looked}
        new = {id_: text for id_, text in now.items() if id_ not in kept}
        if told and kept | new != before:
            await self.journal.note(RAN.format(name), json.dumps(kept | new))
        if told:
            self._ran[name] = kept | new

    async def _changed(self, told: Mapping[str, str], besides: Container[str]) -> list[str]:
        """Return the apps that are listed differently than at the last look."""
        new = [
            id_
            for id_, text in told.items()
            if text and self._looked.get(id_) != text and id_ not in besides
        ]
        apps = [app for id_ in new if (app := self.app_of(id_)) is not None]
        serving = await self.journal.serving(apps) if apps else {}
        stale, unknown, unsure = [], [], []
        for app in apps:
            known = serving.get(app.id)
            if known is None:
                unknown.append(app.id)
            elif known.look is None or known.look.told != told[app.id]:
                stale.append(app.id)
            elif known.out_of_sight and known.newest is not None and known.newest.images:
                unsure.append(app.id)
            else:
                self._looked[app.id] = told[app.id]
        return stale + unknown[:NEW_AT_ONCE] + unsure[:UNSURE_AT_ONCE]

    async def _one(self, name: str, app_id: str, told: str | None, since: float) -> bool:
        """Look at an app; return whether a look that began since a time is stored.

        Of an app that is not known to serve anything, there is nothing to look at again.
        """
        app = self.app_of(app_id)
        if app is None:
            return False
        before = await self.journal.serving_of(app)
        now = await self.looks.at(self.backends[name], app, told=told)
        look = now.look if now is not None else None
        if look is not None and look.told is None:
            self._pause(app_id)
        else:
            self._pauses.pop(app_id, None)
        if told is not None and (look is None or look.told == told):
            self._looked[app_id] = told
        if now is not None and (before is None or now.version != before.version):
            log.info("another version is served", extra={"app": app.label, "says": now.notes[0]})
        await asyncio.sleep(0)
        return now is None or (look is not None and look.at >= since)
