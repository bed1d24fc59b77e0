"""The journal: apps, decisions, deployments and every change of them, for good.

SQLAlchemy Core over SQLite or Postgres. The calls are short transactions that run in a
small pool of threads, so the event loop never waits for the disk.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.core.change_sets import Live
from bridge.core.decision import Decision
from bridge.core.errors import Unreachable
from bridge.core.lifecycle import FINAL, Change, Deployment, State
from bridge.core.watch import App, Rules
from bridge.ports.feedback import Raised, Story
from bridge.ports.figures import Ended, JournalFigures
from bridge.ports.outcomes import Audited, Explained, Outcome, Recorded
from bridge.ports.targets import Memory, Target
from bridge.stores import (
    auditing,
    feedback,
    figures,
    ledger,
    queries,
    recording,
    retention,
    rows,
    tables,
)
from bridge.stores import transactions as tx
from bridge.stores.dialects import RETRIED
from bridge.stores.engines import WRITES
from bridge.stores.inserts import batched
from bridge.stores.migrations import migrate

T = TypeVar("T")

AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # e.g. a server that only reads, or has ended an idle transaction
    sa.exc.TimeoutError,
)
"""What says that the database can't do it now, whoever asks."""

TRIES = 5
"""Of a transaction that others stand in the way of."""


class SqlJournal:
    """The journal in a SQL database; one schema on SQLite and Postgres.

    `woken` is called in the event loop after each transaction that may have raised a target.
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        clock: Callable[[], float],
        threads: int = 4,
        woken: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self.woken = woken
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="journal")
        # SQLite takes one writer at a time: waiting here is cheaper than polling its lock.
        one_writer = engine.dialect.name == "sqlite"
        self._writing: Any = threading.Lock() if one_writer else nullcontext()
        # What is read in several questions is of one moment; SQLite's transactions are anyway.
        moment = {} if one_writer else {"isolation_level": "REPEATABLE READ"}
        self._reading = engine.execution_options(**moment)

    async def start(self) -> None:
        """Bring the tables up to date."""
        await self._run(lambda: migrate(self._engine))

    async def stop(self) -> None:
        """Finish what runs, then close."""
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.dispose()

    # ── apps ──────────────────────────────────────────────────────────────

    async def save_apps(self, backend: str, found: Sequence[App]) -> None:
        """Replace what is known of a backend's apps; those not found any more are gone."""
        await self._write(lambda db: tx.save_apps(db, backend, found))

    async def apps(self) -> list[App]:
        """The apps that there are, by label, each with the rules that were set for it."""
        t = tables.apps
        query = ledger.APPS.where(~t.c.gone).order_by(t.c.label, t.c.id)
        return [rows.read_app(row) for row in await self._all(query)]

    async def apps_version(self) -> int:
        """Counts up whenever `apps` would say something new."""
        return await self._read(ledger.apps_version)

    async def app(self, app_id: str) -> App | None:
        """One app, also when it is gone by now."""
        found = await self._all(ledger.APPS.where(tables.apps.c.id == app_id))
        return rows.read_app(found[0]) if found else None

    # ── configuring ───────────────────────────────────────────────────────

    async def rules(self, app_id: str) -> Rules:
        """Our own rules that were set for an app."""
        t = tables.rules
        found = await self._all(sa.select(t.c.data).where(t.c.app_id == app_id))
        return rows.read_rules(found[0]["data"] if found else None)

    async def save_rules(self, app_id: str, rules: Rules, *, by: str) -> None:
        """Set them, in place of those before."""
        at = self._clock()
        await self._write(lambda db: ledger.save_rules(db, app_id, rules, by, at))

    async def audit(self, new: Audited) -> int:
        """Note that somebody changes something; returns its number."""
        at = self._clock()
        return await self._write(lambda db: auditing.audit(db, new, at))

    async def settle(self, number: int, outcome: str) -> None:
        """Note what became of it."""
        at = self._clock()
        await self._change(lambda db: auditing.settle(db, number, outcome, at))

    async def audited(self, *, limit: int, app_id: str | None = None) -> list[Audited]:
        """The newest changes, newest first; of one app where given."""
        t = tables.audit
        query = sa.select(t).order_by(t.c.number.desc()).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        return [rows.read_audited(row) for row in await self._all(query)]

    async def change(self, number: int) -> Audited | None:
        """One change by its number."""
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.number == number))
        return rows.read_audited(found[0]) if found else None

    async def change_of(self, seq: int) -> Audited | None:
        """The change that a delivery asked for, once it is noted."""
        t = tables.audit
        found = await self._all(sa.select(t).where(t.c.seq == seq))
        return rows.read_audited(found[0]) if found else None

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Keep a change that is shown to somebody; those that are a week old are forgotten."""
        at = self._clock()
        await self._write(lambda db: auditing.keep_draft(db, id_, sealed, at))

    async def draft(self, id_: str) -> str | None:
        """A change that was kept; None where it is not, or not any more."""
        t = tables.drafts
        found = await self._all(sa.select(t.c.sealed).where(t.c.id == id_))
        return str(found[0]["sealed"]) if found else None

    async def drop_draft(self, id_: str) -> None:
        """Forget one that was carried out, or never will be."""
        t = tables.drafts
        await self._write(lambda db: db.execute(sa.delete(t).where(t.c.id == id_)))

    # ── decisions ─────────────────────────────────────────────────────────

    async def record(self, outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        """Write what deliveries led to, all or nothing; says what follows from it.

        Recording a delivery again changes nothing and says the same again.
        A push that another delivery brought within `window` seconds deploys nothing; older
        waiting deployments of an app are superseded by a newer one.
        """
        now = self._clock()
        return await self._change(lambda db: recording.record_all(db, outcomes, now, window))

    async def decisions(self, seqs: Sequence[int]) -> dict[int, list[Decision]]:
        """The decisions of deliveries, by their seq."""
        t = tables.decisions
        found: dict[int, list[Decision]] = {seq: [] for seq in seqs}
        for some in batched(seqs):
            query = sa.select(t).where(t.c.seq.in_(some)).order_by(t.c.seq, t.c.app)
            for row in await self._all(query):
                found[row["seq"]].append(rows.read_decision(row))
        return found

    async def explained(
        self, app_id: str, *, commit: str | None = None, limit: int
    ) -> list[Explained]:
        """What was decided for an app, newest first; only of pushes of a commit where given.

        Args:
            commit: an object id or the beginning of one; a tag's own counts too.
        """
        return [
            rows.read_explained(r)
            for r in await self._all(queries.explained(app_id, commit, limit))
        ]

    async def last_pushes(self) -> dict[str, float]:
        """When the newest push of its repository came, by an app's id."""
        return {row["app_id"]: row["at"] for row in await self._all(queries.LAST_PUSHES)}

    async def deployed_tags(self, app_ids: Sequence[str]) -> dict[str, list[str]]:
        """The tags that apps were deployed for, or are; not those that failed or were cancelled."""
        t = tables.deployments
        query = sa.select(t.c.app_id, t.c.ref).where(
            t.c.app_id.in_(app_ids),
            t.c.ref.startswith("refs/tags/"),
            t.c.state.not_in([State.FAILED, State.CANCELLED]),
        )
        found: dict[str, list[str]] = {}
        for row in await self._all(query.distinct()):
            found.setdefault(row["app_id"], []).append(row["ref"].removeprefix("refs/tags/"))
        return found

    async def live(self, app_ids: Sequence[str]) -> dict[str, Live]:
        """What apps run, by id; none for those that no deployment has brought up yet."""
        return await self._read(lambda db: queries.live(db, app_ids))

    # ── deployments ───────────────────────────────────────────────────────

    async def deployment(self, id_: str) -> Deployment | None:
        """One deployment by its id."""
        t = tables.deployments
        found = await self._all(sa.select(t).where(t.c.id == id_))
        return rows.read_deployment(found[0]) if found else None

    async def deployments(
        self, *, limit: int, app_id: str | None = None, seq: int | None = None
    ) -> list[Deployment]:
        """The newest deployments, newest first; of one app or one delivery where given."""
        t = tables.deployments
        query = sa.select(t).order_by(t.c.seq.desc(), t.c.app).limit(limit)
        if app_id is not None:
            query = query.where(t.c.app_id == app_id)
        if seq is not None:
            query = query.where(t.c.seq == seq)
        return [rows.read_deployment(dict(row)) for row in await self._all(query)]

    async def last_deployments(self) -> dict[str, Deployment]:
        """The newest deployment of every app that has one, by the app's id."""
        t = tables.deployments
        newest = sa.select(t.c.app_id, sa.func.max(t.c.seq).label("seq")).group_by(t.c.app_id)
        last = newest.subquery()
        query = sa.select(t).join(last, (t.c.app_id == last.c.app_id) & (t.c.seq == last.c.seq))
        found = [rows.read_deployment(dict(row)) for row in await self._all(query)]
        return {deployment.app_id: deployment for deployment in found}

    async def open_deployments(self) -> list[Deployment]:
        """All that have not ended, oldest first."""
        t = tables.deployments
        going = [state for state in State if state not in FINAL]
        query = sa.select(t).where(t.c.state.in_(going)).order_by(t.c.seq)
        return [rows.read_deployment(dict(row)) for row in await self._all(query)]

    async def changes(self, id_: str, *, after: int = 0) -> list[Change]:
        """A deployment's history, oldest first, without its first `after` lines."""
        t = tables.changes
        query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number).offset(after)
        return [Change(r["at"], State(r["state"]), r["note"]) for r in await self._all(query)]

    async def intend(self, id_: str, known_before: Sequence[str]) -> Deployment | None:
        """Say that the backend is about to be asked; None when it is not waiting any more.

        From here on nothing supersedes it. `known_before` are the backend's deployment
        ids of the app; what comes on top of them may be ours.
        """
        at = self._clock()
        facts = {"intent_at": at, "known_before": rows.as_json(known_before)}
        return await self._write(lambda db: tx.change(db, id_, tx.WAITING, facts))

    async def ask_again(
        self, id_: str, known_before: Sequence[str], token: str, note: str
    ) -> Deployment | None:
        """Say that the backend has lost it and is about to be asked again, from the start."""
        at = self._clock()
        facts = {
            "known_before": rows.as_json(known_before),
            "token": token,
            "state": State.ASKED,
            "note": note,
            "intent_at": at,
            "asked_at": at,
            "backend_id": None,
            "started_at": None,
        }
        return await self._change(lambda db: tx.ask_again(db, id_, facts))

    async def withdraw(self, id_: str) -> None:
        """Take the intent back: nothing was asked, so a newer one may supersede it again."""
        waiting = tables.deployments.c.state == State.WAITING
        await self._write(lambda db: tx.change(db, id_, waiting, {"intent_at": None}))

    async def move(self, id_: str, to: State, note: str = "", **facts: Any) -> Deployment | None:
        """Move a deployment on, with what is known now; None when `to` may not follow."""
        at = self._clock()
        return await self._change(lambda db: tx.move(db, id_, to, note, facts, at))

    async def say(self, id_: str, note: str) -> None:
        """Add a line to a deployment's history without moving it; a repeated one is left out."""
        at = self._clock()
        await self._change(lambda db: tx.say(db, id_, note, at))

    async def cancel_waiting(
        self, app_id: str, seq: int, note: str, only: str | None = None
    ) -> list[Deployment]:
        """Cancel what still waits with us for an app and came before `seq`, or `only` that one."""
        at = self._clock()
        return await self._change(lambda db: tx.cancel_waiting(db, app_id, seq, note, at, only))

    async def instance(self) -> str:
        """A random name for this journal, made once: another bridge's tokens are not ours."""
        return await self._write(tx.instance)

    # ── catching up ───────────────────────────────────────────────────────

    async def newest_push(self, ref_key: str) -> str | None:
        """Where the newest decided push of a ref has led to; None where none was decided."""
        t = tables.pushes
        query = sa.select(t.c.after).where(t.c.ref_key == ref_key).order_by(t.c.seq.desc())
        found = await self._all(query.limit(1))
        return str(found[0]["after"]) if found else None

    async def note(self, key: str, value: str) -> None:
        """Keep a small fact of the bridge's own, in place of the one before."""
        await self._write(lambda db: ledger.note(db, key, value))

    async def recall(self, key: str) -> str | None:
        """A fact that was noted."""
        t = tables.meta
        found = await self._all(sa.select(t.c.value).where(t.c.key == key))
        return str(found[0]["value"]) if found else None

    # ── forgetting ────────────────────────────────────────────────────────

    async def forget(self, before: float, limit: int) -> int:
        """Forget what some deliveries from before then led to, if all of it has ended.

        An app's newest deployment stays. Returns how many deliveries.
        """
        return await self._write(lambda db: retention.forget(db, before, limit))

    async def forget_audit(self, before: float, limit: int) -> int:
        """Forget some of who changed what before then; how many."""
        return await self._write(lambda db: retention.forget_audit(db, before, limit))

    async def forget_drafts(self, before: float, limit: int) -> int:
        """Forget some changes that were shown before then and never agreed to; how many."""
        return await self._write(lambda db: retention.forget_drafts(db, before, limit))

    # ── feedback ──────────────────────────────────────────────────────────

    async def unwant(self, target_id: str) -> None:
        """Show it no more."""
        await self._write(lambda db: feedback.unwant(db, target_id))

    async def want(self, targets: Sequence[Target]) -> None:
        """Have them shown from now on; one that is wanted already follows what is new as well."""
        at = self._clock()
        await self._change(lambda db: feedback.want(db, targets, at))

    async def raised(
        self, until: float, limit: int, *, ready: float | None = None, busy: Sequence[str] = ()
    ) -> list[Raised]:
        """Targets that are due by `until`, of each lane the one whose turn it is."""
        ready = until if ready is None else ready
        return await self._targets(feedback.raised(limit, until, ready, busy))

    async def story(self, target: Target) -> Story:
        """What there is to show of what it follows."""
        return await self._read(lambda db: feedback.story(db, target))

    async def remember(
        self, target_id: str, memory: Memory, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Keep what a place remembers of itself, while a lease is held by who is named."""
        at = self._clock()
        return await self._change(
            lambda db: feedback.remember(db, target_id, memory, at, holding=holding)
        )

    async def showed(self, target_id: str, wanted: int) -> None:
        """It shows what was so at `wanted`; what has changed since raises it again."""
        at = self._clock()
        await self._write(lambda db: feedback.showed(db, target_id, wanted, at))

    async def not_shown(
        self, target_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """It could not be shown; again at `due_at`; None parks it until something changes."""
        at = self._clock()
        failed = (target_id, wanted)
        await self._write(lambda db: feedback.not_shown(db, failed, error, at, due_at))

    async def show_again(self, target_id: str | None = None) -> int:
        """Have one that fails or is parked tried again at once, or all; returns how many."""
        at = self._clock()
        return await self._change(lambda db: feedback.show_again(db, target_id, at))

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Raised]:
        """Targets, the newest first; only those that fail or are parked where asked for."""
        t = tables.feedback
        query = sa.select(t).order_by(t.c.at.desc(), t.c.id).limit(limit)
        return await self._targets(query.where(t.c.error.is_not(None)) if failing else query)

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease, or renew it: what must run once in a cluster runs with its holder."""
        now = self._clock()
        return await self._write(lambda db: feedback.hold(db, name, owner, now, seconds))

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""
        await self._write(lambda db: feedback.release(db, name, owner))

    async def leave(self, owner: str) -> None:
        """Give back every lease that one holds."""
        t = tables.leases
        await self._write(lambda db: db.execute(sa.delete(t).where(t.c.owner == owner)))

    async def _targets(self, query: sa.Select[Any]) -> list[Raised]:
        return await self._read(lambda db: feedback.read(db, db.execute(query).mappings()))

    # ── for those who watch over it ───────────────────────────────────────

    async def figures(self) -> JournalFigures:
        """How much is going on now."""
        return await self._read(figures.figures)

    async def newest_change(self) -> int:
        """The number of the newest change; 0 where there is none."""
        return await self._read(figures.newest_change)

    async def ended(self, after: int) -> list[Ended]:
        """What has ended by a change with a number above `after`, each deployment once."""
        return [figures.read_ended(row) for row in await self._all(figures.ended(after))]

    async def ready(self) -> None:
        """Raises when the database can't be read."""
        await self._all(sa.select(tables.meta).limit(1))

    # ── threads and transactions ──────────────────────────────────────────

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except AWAY as error:
            # The driver's words only: SQLAlchemy's own quote the statement and its values.
            raise Unreachable("the journal", str(getattr(error, "orig", error))) from error

    async def _all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        return await self._read(lambda db: [dict(row) for row in db.execute(query).mappings()])

    async def _read(self, work: Callable[[sa.Connection], T]) -> T:
        def read() -> T:
            with self._reading.begin() as db:
                return work(db)

        return await self._run(read)

    async def _change(self, work: Callable[[sa.Connection], T]) -> T:
        """Write what may raise a target."""
        result = await self._write(work)
        self.woken()
        return result

    async def _write(self, work: Callable[[sa.Connection], T]) -> T:
        def write() -> T:
            with self._writing, self._engine.connect() as connection:
                db = connection.execution_options(**{WRITES: True})
                with db.begin():
                    return work(db)

        return await self._run(lambda: _again(write))


def _again(write: Callable[[], T]) -> T:
    """Once more where the database had to choose between two that waited for each other."""
    for _ in range(TRIES - 1):
        try:
            return write()
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in RETRIED:
                raise
    return write()
