"""Configure an app: read, merge, show, read again, write, read back.

A save at the backend resets every field that it does not name, so two people who change one app at
the same time could silently undo each other's work. Only the previewed change is written, on top of
what was read. If the app has changed in between, the write is refused with the difference.

A response may be lost after the backend has carried out the request. Then the app is read back, and
the missing part is written again, a limited number of times (docs/notes/0033).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from bridge.core.apps import App
from bridge.core.configuration.configuration import changes
from bridge.core.configuration.difference import (
    Changed,
    Configured,
    Undoing,
    difference,
    only,
    read_undoing,
    written,
)
from bridge.core.configuration.merge import Wanted, merge
from bridge.core.configuration.plan import (
    HalfMade,
    NotKept,
    Overtaken,
    Plan,
    back_to,
    breaks_pin,
    change_of,
    going_on,
    not_as_asked,
    not_read_back,
    odd_names,
    overruled,
    stray,
    there_of,
)
from bridge.core.errors import BridgeError, NotFound, Rejected, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment
from bridge.core.matching.lint import lint
from bridge.core.matching.watch_paths import Semantics
from bridge.core.people import Actor
from bridge.core.rules import RuleBook
from bridge.ports.backends import (
    Backend,
    BackendDeployment,
    Configures,
    Progress,
    QueuedJob,
    read_apps,
)
from bridge.ports.chats import Seal
from bridge.ports.clock import Clock, Sleep, Wake
from bridge.ports.feedback import Subscriptions
from bridge.ports.journal import AppsAndDeployments, Audit
from bridge.ports.outcomes import (
    CLEAR,
    DONE,
    NOT_CONFIGURED,
    Audited,
    Result,
    Stage,
    Subscription,
)


class ConfigurationJournal(AppsAndDeployments, Audit, Subscriptions, Protocol):
    """What changes of configuration use of the journal."""


T = TypeVar("T")

PAUSES = (0.5, 1.0, 2.0)
"""Seconds before a lost write is sent again, and before a failed read is repeated."""


class Noted:
    """Adds a change to the audit log before it is made, and its outcome afterwards."""

    def __init__(
        self,
        journal: ConfigurationJournal,
        note: Audited,
        shown: Callable[[Audited], Sequence[Subscription]] = lambda _: (),
    ) -> None:
        self._journal = journal
        self._note = note
        self._shown = shown

    async def __aenter__(self) -> None:
        self._note = replace(self._note, number=await self._journal.audit(self._note))
        if subscriptions := self._shown(self._note):
            await self._journal.subscribe(subscriptions)

    async def __aexit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            await self._journal.settle(self._note.number, DONE)
        elif isinstance(error, BridgeError):
            await self._journal.settle(self._note.number, result_of(error))
        # Any other error interrupts it, and the entry correctly stays "begun".


def result_of(error: BridgeError) -> Result:
    """Return the result of a change that has failed."""
    stage = Stage.UNSURE if isinstance(error, Unanswered) else Stage.REFUSED
    if isinstance(error, HalfMade | NotKept):
        stage = Stage.PARTLY
    return Result.failed(stage, type(error).__name__, str(error))


# ── clearing an app's logs ───────────────────────────────────────────────────────────────────────

_HARM = (
    "clearing deletes the app's whole log folder, and a build that fails without its log stays"
    " `running` in the backend until that restarts"
)


@dataclass(frozen=True, slots=True)
class Cleared:
    """The result of clearing an app's deployments; their records always stay.

    Attributes:
        removed: ids of the deployments whose logs existed before and are gone now.
        kept: ids of those whose logs still exist.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


def check_nothing_open(
    app: App,
    ours: Sequence[Deployment],
    records: Sequence[BackendDeployment],
    queue: Sequence[QueuedJob] | None,
) -> None:
    """Raise Rejected while a deployment of the app is open, with the remedy.

    Args:
        ours: the bridge's open deployments, of all apps.
        records: the backend's deployments of this app.
        queue: the backend's jobs, of all apps; None if it is too old to list them.
    """
    jobs = [job for job in queue or () if job.app == app.id]
    open_here = [one for one in ours if one.app_id == app.id]
    # A running build has a job: a running record without one will never be closed.
    runs = queue is None and any(one.status is Progress.RUNNING for one in records)
    why = f"is {open_here[0].state} here" if open_here else None
    if jobs:
        why = "waits in the backend's queue"
    if runs or any(job.active for job in jobs):
        why = "is being built"
    if why is not None:
        raise Rejected(
            f"a deployment of {app.label} {why}; {_HARM}: wait for its end, or cancel it"
            f" (`dokploy-bridge cancel {app.label}`), and clear then"
        )


# ── the configurer ────────────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

NEWEST = 20
"""How many of an app's changes to search for the one to undo."""


@runtime_checkable
class Configurable(Backend, Configures, Protocol):
    """A backend whose apps can be configured."""


@dataclass(frozen=True, slots=True)
class Configurer:
    """Changes how the apps of one backend are configured.

    Attributes:
        book: the rules of `bridge.yaml`, which override those that are set here.
        seal: seals changes for undo; without it none can be undone.
        wake: called after a change, to notify a catalog in this process.
        shown: where a change that `apply` makes is published; planned when it begins, so no
            change goes unnoticed.
    """

    backend: Configurable
    journal: ConfigurationJournal
    clock: Clock
    book: RuleBook = field(default=(), kw_only=True)
    semantics: Semantics = field(default="exclude", kw_only=True)
    seal: Seal | None = field(default=None, kw_only=True)
    wake: Wake = field(default=lambda: None, kw_only=True)
    shown: Callable[[Audited], Sequence[Subscription]] = field(default=lambda _: (), kw_only=True)
    sleep: Sleep = field(default=asyncio.sleep, kw_only=True)

    async def now(self, app: App) -> Configured:
        """Return how the app is configured now."""
        return Configured(await self.backend.saved(app), await self.journal.rules(app.id))

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """Return what a change would do; nothing is written.

        Raises:
            Rejected: the change is impossible; names the field, the value and the remedy.
        """
        before = await self.now(app)
        after = merge(before, wanted)
        changed = difference(before, after)
        new_paths = any(one.field == "watch_paths" for one in changed)
        return Plan(
            app=app,
            what=change_of(wanted),
            wanted=wanted,
            before=before,
            after=after,
            difference=changed,
            findings=tuple(lint(after.saved.watch_paths, self.semantics)) if new_paths else (),
            remarks=(
                *overruled(app, changed, self.book),
                *breaks_pin(wanted, before, after),
                *odd_names(changed),
                *self._not_undone(changed),
            ),
        )

    async def plan_undo(self, app: App, number: int | None = None) -> Plan:
        """Return how to undo one change of an app, by default its newest; nothing is written.

        Raises:
            NotFound: there is nothing to undo.
            Rejected: too little of it was stored; says why.
            Overtaken: somebody has changed the same fields since; says which.
        """
        notes = await self._undoable(app, number)
        now = await self.now(app)
        for note in notes:
            undoing = self.undoing_of(note)
            here = only(now, undoing.part)
            if note.perhaps and not difference(undoing.before, here):
                continue  # it was not made
            done = note.result == DONE
            if between := difference(undoing.after, here) if done else stray(undoing, now):
                raise Overtaken(app, between)
            return back_to(app, undoing, now, note.number, sure=done)
        if number is not None:
            raise Rejected(f"the change {number} of {app.label} was never made")
        raise NotFound(f"there is no change of {app.label} to undo")

    def undoing_of(self, note: Audited) -> Undoing:
        """Return the values before and after a change; raise Rejected if they are unknown."""
        if not note.undoing or self.seal is None:
            raise Rejected(
                f"the change {note.number} of {note.app} was kept without what was before"
            )
        undoing = read_undoing(json.loads(self.seal.open(note.undoing)))
        if not undoing.savable:
            raise Rejected(
                f"the source that {note.app} had before can't be saved from here: set it in the"
                " backend"
            )
        return undoing

    async def apply(self, plan: Plan, *, by: Actor) -> Configured:
        """Write the plan; return the configuration that the backend has now.

        Raises:
            Overtaken: somebody else was faster; nothing was written.
            NotKept: it was written and reads back differently.
            HalfMade: only a part of it was written.
            Unanswered: it may have been written.
            Refused, Unreachable: nothing was written.
        """
        if plan.empty:
            return plan.before
        if between := difference(plan.before, await self.now(plan.app)):
            raise Overtaken(plan.app, between)
        async with Noted(self.journal, self.note(plan, by=by), self.shown):
            return await self._make(plan, by)

    def note(self, plan: Plan, *, by: Actor, seq: int | None = None) -> Audited:
        """Return the audit entry of a change, before it is made."""
        note = self._note(plan.app, plan.what, by, plan.difference)
        return replace(note, undoing=self.sealed(plan.undoing), undoes=plan.undoes, seq=seq)

    def _not_undone(self, changed: Sequence[Changed]) -> Iterator[str]:
        """Yield a warning, before a change, that it can't be undone, and why."""
        if self.seal is None or not changed:
            return
        try:
            self.seal.close("")
        except Rejected as error:
            yield f"this can't be undone, since what was before may hold secrets: {error}"

    def sealed(self, undoing: Undoing) -> str:
        """Return the sealed values before and after a change; "" without a seal."""
        if self.seal is None:
            return ""
        try:
            return self.seal.close(json.dumps(written(undoing)))
        except Rejected as error:  # without a key the change is still made
            log.warning("a change can't be undone", extra={"why": str(error)})
            return ""

    async def carry_out(self, app: App, undoing: Undoing, *, by: Actor) -> Configured:
        """Make a change that was recorded before, or the missing rest of it.

        Raises:
            As `apply`; Overtaken if a field has neither its old nor its new value.
        """
        now = await self.now(app)
        if others := stray(undoing, now):
            raise Overtaken(app, others, there_of(undoing, now))
        plan = going_on(app, undoing, now)
        return now if plan.empty else await self._make(plan, by)

    async def _make(self, plan: Plan, by: Actor) -> Configured:
        """Write what differs and read it back; write the missing part if a response was lost.

        A write contains the final values, so repeating it is harmless.
        """
        app, change, rest = plan.app, plan.undoing, plan
        for pause in (*PAUSES, None):
            why = await self._write(rest, by, begun=rest is not plan)
            try:
                found = await self._patiently(partial(self.now, app))
            except BridgeError as error:
                raise not_read_back(app, change, why, error) from error
            rest = going_on(app, change, found)
            lost = isinstance(why, Unanswered | Unreachable)
            if rest.empty or pause is None or not lost or stray(change, found):
                break
            await self.sleep(pause)
        await self._publish(app)
        if not rest.empty:
            raise not_as_asked(app, change, found, why)
        return found

    async def _publish(self, app: App) -> None:
        """Make every process use the changed app, at the latest after the next full reading."""
        try:
            found = await read_apps(self.backend, [app])
            await self.journal.renew_apps(found, gone=() if found else (app.id,))
        except BridgeError as error:  # the change itself is made
            fields = {"app": app.label, "why": str(error)}
            log.warning("a changed app can't be read back into the journal", extra=fields)
        self.wake()

    async def _undoable(self, app: App, number: int | None) -> list[Audited]:
        """Return the change to undo, preceded by newer ones that may have been made."""
        if number is not None:
            found = await self.journal.change(number)
            if found is None or found.app_id != app.id:
                raise NotFound(f"there is no change of {app.label} to undo")
            return [found] if found.result == DONE or found.perhaps else []
        notes: list[Audited] = []
        for note in await self.journal.audited(limit=NEWEST, app_id=app.id):
            if note.what not in NOT_CONFIGURED and (note.result == DONE or note.perhaps):
                notes.append(note)
            if notes and notes[-1].result == DONE:
                break
        return notes

    async def check_clearable(self, app: App) -> None:
        """Raise Rejected while a deployment of the app is open, in the bridge or the backend."""
        ours = await self.journal.open_deployments()
        records = await self.backend.deployments(app)
        check_nothing_open(app, ours, records, await self.backend.queue())

    async def clear(self, app: App, *, by: Actor) -> Cleared:
        """Delete the app's log folder; return which logs are gone.

        Raises:
            Rejected: a deployment of the app is open; nothing was deleted.
        """
        await self.check_clearable(app)
        before = await self._with_logs(app)
        async with Noted(self.journal, self._note(app, CLEAR, by, ())):
            try:
                await self.backend.clear_deployments(app)
            except Unanswered as error:
                return await self._cleared(app, before, error)
        return await self._cleared(app, before)

    async def _cleared(
        self, app: App, before: Sequence[str], why: Unanswered | None = None
    ) -> Cleared:
        """Read back which logs are gone; `why` explains why that is not known."""
        name = app.label
        try:
            after = set(await self._patiently(partial(self._with_logs, app)))
        except BridgeError as error:
            maybe = "may have been" if why else "was"
            said = f"the log folder of {name} {maybe} deleted; what is left can't be read back"
            words = f"{why.why}; {said}" if why else said
            remedy = f"look with `dokploy-bridge logs {name}`"
            raise Unanswered(app.backend, f"{words} ({error}): {remedy}") from error
        removed = tuple(id_ for id_ in before if id_ not in after)
        if why is not None and before and not removed:
            said = f"{why.why}; the logs of {name} are still there: ask again"
            raise Unanswered(app.backend, said)
        return Cleared(removed, tuple(id_ for id_ in before if id_ in after))

    def _note(self, app: App, what: str, by: Actor, changed: tuple[Changed, ...]) -> Audited:
        return Audited(self.clock(), by, what, app.id, app.label, changed)

    async def _write(self, plan: Plan, by: Actor, *, begun: bool) -> BridgeError | None:
        """Send what differs; return the error that ended it early, if any.

        Args:
            begun: something may have been written before.

        Raises:
            Refused, Unreachable, Rejected: nothing was written.
        """
        for step in self._steps(plan, by):
            try:
                await step()
            except BridgeError as error:
                if not begun and not isinstance(error, Unanswered):
                    raise
                return error
            begun = True
        return None

    def _steps(self, plan: Plan, by: Actor) -> Iterator[Callable[[], Awaitable[None]]]:
        app, old, new = plan.app, plan.before.saved, plan.after.saved
        backend = self.backend
        if old.row and new.row and (fields := changes(old.row, new.row)):
            yield partial(backend.write_source, app, fields)
        if new.build != old.build and new.build is not None:
            yield partial(backend.save_build_type, app, new.build)
        if new.environment != old.environment:
            yield partial(backend.save_environment, app, new.environment)
        if plan.after.rules != plan.before.rules:
            yield partial(self.journal.save_rules, app.id, plan.after.rules, by=str(by))

    async def _patiently(self, read: Callable[[], Awaitable[T]]) -> T:
        """Read; retry after each pause while nothing answers."""
        for pause in PAUSES:
            try:
                return await read()
            except Unreachable:
                await self.sleep(pause)
        return await read()

    async def _with_logs(self, app: App) -> list[str]:
        found: list[BackendDeployment] = await self.backend.deployments(app)
        return [one.id for one in found if (await self.backend.log_tail(one, 1)).strip()]


@dataclass(frozen=True, slots=True)
class Configurers:
    """What changes how the apps of all backends are configured.

    Attributes:
        each: the configurer of each backend, by its name.
        planned: the plans that were shown, by the word that agrees to them, where a change is made
            at once; None where it is kept.
        then: says what follows from a change that was made at once.
    """

    each: Mapping[str, Configurer]
    backends: Mapping[str, Backend]
    planned: dict[str, Plan] | None = None
    then: Callable[[], str] = str

    def of(self, app: App) -> Configurer:
        """Return what configures an app; raise Rejected if its backend can't be configured."""
        if (found := self.each.get(app.backend)) is None:
            raise Rejected(f"apps of {app.backend} can't be configured from here; do it there")
        return found
