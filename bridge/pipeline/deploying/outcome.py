"""Determine how a deployment ends, or why it waits again, from the backend's record or its absence.

Claim nothing that the backend does not report: an outcome that can't be known is `unknown`, with
what is known about it.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from bridge.core import trace
from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, NotFound, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.failure import LOG_LINES, failed_by_itself
from bridge.core.gates.locks import lock_after
from bridge.core.lifecycle import LIVE, Cancel, Deployment, Evidence, NoteKind, State
from bridge.core.rules import RuleBook, ruled
from bridge.core.tracking import EndInLog, token_of, within
from bridge.pipeline.deploying.built import (
    BuildLog,
    built,
    end_by_log,
    what_was_built,
    why_failed,
    will_tell_commit,
)
from bridge.pipeline.deploying.polling import BackendPollers
from bridge.ports.backends import Backend, BackendDeployment, Progress, mask_for
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.journal import AppsAndDeployments


@dataclass(frozen=True, slots=True)
class FollowTiming:
    """How often to poll, and how long to wait; all in seconds.

    Attributes:
        look: pauses between polls of a running deployment; they grow while nothing changes.
        adopt: how long to look for a deployment that may have been requested already, since a
            backend may list it late.
        settle: how long after the end to wait for the deployed commit, which comes later.
        lost: how long an accepted deployment may be missing from the backend's lists, if the
            backend may have lost it.
        untold: the same without such a cause, or if the backend does not list its queue.
        unclosed: how long a record may be open while the backend has no job of the app.
        long: how long a build may take before the history notes it.
        retry: pauses between attempts while the backend, or our own journal, is away.
        failures: how often a bug of our own is retried before the outcome is unknown.
    """

    look: Backoff = Backoff(0.25, 2.0, factor=1.3)
    adopt: float = 10.0
    settle: float = 1.5
    lost: float = 10.0
    untold: float = 120.0
    unclosed: float = 30.0
    long: float = 3600.0
    retry: Backoff = Backoff(1.0, 30.0)
    failures: int = 5


log = logging.getLogger(__name__)

T = TypeVar("T")

Fingerprint = Callable[[App], Awaitable[str | None]]

MOST_LOST = 2
"""How often a deployment that never began is requested again."""

MOST_INTERRUPTED = 1
"""How often a deployment with an interrupted build is requested again: the build itself may bring
the backend down."""

MOST_UNREAD = 10
"""Failed reads of a log before the outcome is `unknown`, if the backend answers everything else."""

CLOSED = "the backend has closed its record as cancelled, as its restart does"

RESTARTED = "the backend was restarted while it built"
LOST = "the backend shows nothing of it, as after a restart or an outage of its database"


@dataclass(frozen=True, slots=True)
class Ending:
    """Records how deployments end.

    Attributes:
        locks: whether a rollback locks its app.
        fingerprint: see `GoingBack.fingerprint`.
        changed: called when a deployment has ended.
        went_live: called when one is served, and may have to be looked at.
        ended: called with one that the backend had, and that has ended without being live.
    """

    pollers: BackendPollers
    journal: AppsAndDeployments
    clock: Clock
    timing: FollowTiming
    book: RuleBook = field(default=(), kw_only=True)
    locks: bool = field(default=True, kw_only=True)
    fingerprint: Fingerprint | None = field(default=None, kw_only=True)
    changed: Wake = field(default=lambda: None, kw_only=True)
    went_live: Wake = field(default=lambda: None, kw_only=True)
    ended: Callable[[Deployment], None] = field(default=lambda _one: None, kw_only=True)
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def app(self, id_: str) -> App:
        """Return an app with our own rules for it, even if it is gone from the backend."""
        app = await self.journal.app(id_)
        if app is None:
            raise NotFound(f"app {id_} is not in the journal")
        return ruled(app, self.book)

    async def still_waiting(self, id_: str) -> Deployment | None:
        """Return a deployment if it waits, and log under its trace; None if it does not."""
        deployment = await self.journal.deployment(id_)
        if deployment is None or deployment.state is not State.WAITING:
            return None
        trace.follow(deployment.delivery)
        return deployment

    async def end(self, id_: str, state: State, note: str, **facts: object) -> None:
        """Record the outcome, unless it already has one."""
        facts.setdefault("finished_at", self.clock())
        self._ended(await self.journal.move(id_, state, note, **facts))

    def _ended(self, moved: Deployment | None) -> None:
        if moved is not None and moved.final:
            fields = {"app": moved.app, "deployment": moved.id, "state": str(moved.state)}
            log.info("deployment ended", extra=fields)
            self.changed()
            if moved.state not in LIVE and moved.intent_at is not None:
                self.ended(moved)

    # ── with a record ─────────────────────────────────────────────────────

    async def of_record(self, deployment: Deployment, app: App, record: BackendDeployment) -> None:
        """End a deployment as its record has ended."""
        facts = self._facts(deployment, app, record)
        if record.status is Progress.CANCELLED:
            await self._cancelled(deployment, app, record, facts)
        elif record.status is Progress.ERROR:
            await self._failed(deployment, app, record, facts)
        else:
            await self._done(deployment, app, record, facts)

    async def _done(
        self,
        deployment: Deployment,
        app: App,
        record: BackendDeployment,
        facts: dict[str, object],
        more: str = "",
    ) -> None:
        """Record that the backend serves what it has built; `more`: what else to say of it."""
        record = await self._settled(deployment, app, record)
        backend = self.backend(app)
        facts["deployed_commit"] = await built(deployment, app, record, backend, self.journal)
        note, facts["note_kind"] = what_was_built(deployment, record)
        note += more
        if deployment.cancel is not None:
            note += "; the cancel came too late"
        await self.serves(deployment, app, note, facts)

    async def _built(
        self,
        deployment: Deployment,
        app: App,
        record: BackendDeployment,
        facts: dict[str, object],
        log_: EndInLog,
    ) -> None:
        """Record that it is served although its record does not say so: the service was updated."""
        facts["evidence"] = Evidence.LOG
        await self._done(deployment, app, record, facts, f"; {log_.words}")

    async def serves(
        self, deployment: Deployment, app: App, note: str, facts: dict[str, object]
    ) -> None:
        """Record that the backend serves it; verify it first if the app's rules say so.

        A rollback is always verified, and locks the app.
        """
        rolled_back = deployment.action is Action.ROLLBACK
        to = State.DONE if app.verify is None and not rolled_back else State.VERIFYING
        facts |= {"live_at": facts["finished_at"]}
        facts.setdefault("evidence", Evidence.RECORD)
        if app.verify is not None and app.verify.rollback:
            facts["fingerprint"] = await self._fingerprint(deployment, app)
        id_ = deployment.id
        if rolled_back and self.locks:
            lock = lock_after(deployment, app, self.clock())
            self._ended(await self.journal.move_and_lock(lock, id_, to, note, **facts))
        else:
            self._ended(await self.journal.move(id_, to, note, **facts))
        self.went_live()

    async def _fingerprint(self, deployment: Deployment, app: App) -> str | None:
        """Return the fingerprint of now; wait for a backend that is away for a while.

        Without it, the bridge never goes back to this version by itself.
        """
        if (of := self.fingerprint) is None:
            return None
        for _ in range(MOST_UNREAD):
            try:
                return await of(app)
            except (Unreachable, Unanswered) as error:
                await self._wait(deployment, f"{error}; its settings are read as soon as that ends")
        return None

    async def perhaps_restored(self, rollback: Deployment, note: str) -> None:
        """End a rollback that may have been made; it locks the app all the same."""
        app, now = await self.app(rollback.app_id), self.clock()
        facts = {"finished_at": now}
        if not self.locks:
            return await self.end(rollback.id, State.UNKNOWN, note, **facts)
        lock = lock_after(rollback, app, now)
        move = self.journal.move_and_lock(lock, rollback.id, State.UNKNOWN, note, **facts)
        return self._ended(await move)

    async def _cancelled(
        self, deployment: Deployment, app: App, record: BackendDeployment, facts: dict[str, object]
    ) -> None:
        """End or repeat a cancelled one: by a person, or by a restart, which sets no end time.

        A restart closes every open record, even that of a build that had already ended.
        """
        if record.finished_at is not None:
            await self.end(deployment.id, State.CANCELLED, "the backend cancelled it", **facts)
            return
        self.pollers.of(app).restarted()
        log_ = await self._end_in_log(deployment, app, record)
        if log_.built:
            await self._built(deployment, app, record, facts, log_)
        elif log_.ended:
            note = f"outcome unknown: {CLOSED}; {log_.words}"
            facts["log_tail"] = log_.excerpt
            await self.end(deployment.id, State.UNKNOWN, note, **facts)
        elif deployment.interrupted < MOST_INTERRUPTED:
            await self._take_back(deployment, RESTARTED, interrupted=True)
        else:
            await self.end(deployment.id, State.CANCELLED, RESTARTED, **facts)

    async def _failed(
        self, deployment: Deployment, app: App, record: BackendDeployment, facts: dict[str, object]
    ) -> None:
        """End one whose record says that it failed, unless only its record could not be written."""
        build_log = await self._log(deployment, app, record)
        tail, why = build_log.tail, await why_failed(build_log, record)
        log_ = end_by_log(tail, why)
        if log_.built:
            return await self._built(deployment, app, record, facts, log_)
        current = await self.journal.deployment(deployment.id)
        interrupted = current is not None and current.cancel is Cancel.INTERRUPTED
        if interrupted and not (isinstance(tail, str) and failed_by_itself(tail)):
            note = "its build was interrupted by the cancel"
            return await self.end(deployment.id, State.CANCELLED, note, **facts)
        facts["log_tail"] = why.excerpt or None
        return await self.end(deployment.id, State.FAILED, why.reason, **facts)

    def _facts(
        self, deployment: Deployment, app: App, record: BackendDeployment
    ) -> dict[str, object]:
        return {
            "backend_id": record.id,
            "started_at": self.began(deployment, app, record),
            "finished_at": self._end_of(deployment, app, record),
        }

    def began(self, deployment: Deployment, app: App, record: BackendDeployment) -> float:
        """Return when its build began by our clock, as first recorded."""
        if deployment.started_at is not None:
            return deployment.started_at
        told = self.pollers.of(app).by_our_clock(record.started_at or record.created_at)
        return within(told, deployment.asked_at or 0.0, self.clock())

    def _end_of(self, deployment: Deployment, app: App, record: BackendDeployment) -> float:
        """Return when it ended by our clock: not in the future, and not before it began."""
        now = self.clock()
        told = record.finished_at
        ended = now if told is None else self.pollers.of(app).by_our_clock(told)
        return within(ended, self.began(deployment, app, record), now)

    async def _settled(
        self, deployment: Deployment, app: App, record: BackendDeployment
    ) -> BackendDeployment:
        """Return the record with its commit, which appears up to half a second after the end."""
        until = self.clock() + self.timing.settle
        while will_tell_commit(deployment, app, record) and self.clock() < until:
            await self.sleep(self.timing.look.first)
            try:
                records = await self.backend(app).deployments(app)
            except Unreachable as error:
                await self._wait(deployment, f"{error}; its commit is read as soon as that ends")
                until = self.clock() + self.timing.settle
            except BridgeError:  # it is still done; only the commit stays unknown
                return record
            else:
                record = next((r for r in records if r.id == record.id), record)
        return record

    # ── the log ───────────────────────────────────────────────────────────

    async def _end_in_log(
        self, deployment: Deployment, app: App, record: BackendDeployment
    ) -> EndInLog:
        build_log = await self._log(deployment, app, record)
        return end_by_log(build_log.tail, await why_failed(build_log, record))

    async def _log(self, deployment: Deployment, app: App, record: BackendDeployment) -> BuildLog:
        """Return the end of its log, with what must be hidden in it."""
        backend = self.backend(app)
        mask = await self._read(deployment, app, partial(mask_for, backend, app))
        tail = await self._read(deployment, app, partial(backend.log_tail, record, LOG_LINES))
        return BuildLog(tail, mask)

    async def _read(
        self, deployment: Deployment, app: App, read: Callable[[], Awaitable[T]]
    ) -> T | BridgeError:
        """Return what is read, however long the backend is away.

        It is an error if it can't be read, though the backend answers everything else.
        """
        backend, in_vain = self.backend(app), 0
        while True:
            try:
                return await read()
            except Unreachable as error:
                in_vain = in_vain + 1 if await _answers(backend, app) else 0
                if in_vain > MOST_UNREAD:
                    return error
                await self._wait(deployment, f"{error}; its log is read as soon as that ends")
            except BridgeError as error:
                return error

    async def _wait(self, deployment: Deployment, note: str) -> None:
        await self.journal.say(deployment.id, f"it has ended; {note}")
        await self.sleep(self.timing.look.longest)

    # ── without a conclusive record ───────────────────────────────────────

    async def lost(self, deployment: Deployment) -> None:
        """Request it again: it never began, so nothing is built twice."""
        times = deployment.asked_again - deployment.interrupted + 1
        if times <= MOST_LOST:
            await self._take_back(deployment, LOST)
        else:
            await self.untold(deployment, f"the backend has accepted and lost it {times} times")

    async def dropped(self, deployment: Deployment) -> None:
        """End a job that somebody has removed from the backend's queue; never request it again."""
        note = (
            "it was taken out of the backend's queue there: the backend was not restarted"
            " meanwhile, so somebody has emptied the queue or removed the app"
        )
        await self.end(deployment.id, State.CANCELLED, note)

    async def untold(self, deployment: Deployment, why: str) -> None:
        """End an accepted deployment that may have run, if the backend does not report it."""
        await self.end(deployment.id, State.UNKNOWN, f"accepted, outcome unknown: {why}")

    async def unclosed(self, deployment: Deployment, app: App, record: BackendDeployment) -> None:
        """End an open record that the backend no longer works on; only its log may say more."""
        log_ = await self._end_in_log(deployment, app, record)
        facts = self._facts(deployment, app, record) | {"finished_at": self.clock()}
        if log_.built:
            return await self._built(deployment, app, record, facts, log_)
        note = (
            "outcome unknown: the backend says that it builds, but has had no job of this app for"
            f" {self.timing.unclosed:g} s; {log_.words}"
        )
        facts["log_tail"] = log_.excerpt
        return await self.end(deployment.id, State.UNKNOWN, note, **facts)

    async def doubtful(
        self, deployment: Deployment, records: Sequence[BackendDeployment], *, certain: bool = False
    ) -> None:
        """End it by records of which any may be its own: claim only what holds for all.

        Args:
            records: ended since it was requested, newest first.
            certain: it surely ran, so a single record is its own.
        """
        newest, app = records[0], await self.app(deployment.app_id)
        if certain and len(records) == 1:
            return await self.of_record(deployment, app, newest)
        facts: dict[str, object] = {"finished_at": self._end_of(deployment, app, newest)}
        if len(records) == 1:
            doubt = "the backend does not say whether this deployment or another one built it"
        else:
            doubt = f"the backend does not say which of {len(records)} deployments is this one"
        if all(one.status is Progress.ERROR and one.commit == deployment.commit for one in records):
            why = await why_failed(await self._log(deployment, app, newest), newest)
            facts["log_tail"] = why.excerpt or None
            note = f"{why.reason} ({doubt})"
            return await self.end(deployment.id, State.FAILED, note, **facts)
        if any(record.status is not Progress.DONE for record in records):
            return await self.end(
                deployment.id, State.UNKNOWN, f"outcome unknown: {doubt}", **facts
            )
        same = all(record.commit == newest.commit for record in records)
        commit = newest.commit if same else None
        note = f"commit {(newest.commit or '')[:7]} is live; {doubt}"
        facts |= {"deployed_commit": commit, "note_kind": NoteKind.LIVE}
        return await self.serves(deployment, app, note, facts)

    async def _take_back(
        self, deployment: Deployment, why: str, *, interrupted: bool = False
    ) -> None:
        token = token_of(secrets.token_hex(8))
        taken = await self.journal.take_back(deployment.id, token, why, interrupted=interrupted)
        self._ended(taken)
        log.warning("deployment lost", extra={"deployment": deployment.id, "why": why})

    def backend(self, app: App) -> Backend:
        """Return an app's backend; raise Refused if it is no longer configured."""
        return self.pollers.of(app).backend


async def _answers(backend: Backend, app: App) -> bool:
    """Return whether it answers another question about the app."""
    try:
        await backend.deployments(app)
    except BridgeError as error:
        return not isinstance(error, Unreachable)
    return True
