"""Configuring an app: read, merge, show, read again, write, read back.

A save at the backend replaces what it does not name, so two people who change one app at a
time could undo each other's work unseen. What is written is what was shown, on top of what
was read; whatever has changed in between is refused with the difference.
"""

from dataclasses import dataclass, replace
from typing import Protocol

from bridge.core.difference import RULES, Changed, Configured, difference
from bridge.core.errors import BridgeError, Rejected, Unanswered
from bridge.core.merge import NoSource, Wanted, WantedBuild, WantedSource, merge
from bridge.core.rules import RuleBook, rules_for
from bridge.core.watch import App
from bridge.core.watch_lint import Finding, lint
from bridge.core.watch_paths import Semantics
from bridge.ports import Audited, Backend, BackendDeployment, Clock, Configures, Journal, Wake


class Configurable(Backend, Configures, Protocol):
    """A backend whose apps can be configured."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A change before it is made.

    Attributes:
        what: in a few words, for the audit.
        before, after: the app's whole configuration; secrets are sealed.
        difference: what would change, fit to be shown.
        findings: what is probably not meant in new watch paths.
        remarks: what else a person should know before saying yes.
    """

    app: App
    what: str
    wanted: Wanted
    before: Configured
    after: Configured
    difference: tuple[Changed, ...]
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.difference and not isinstance(self.wanted, NoSource)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What clearing an app's deployments did: their records always stay.

    Attributes:
        removed: ids of the deployments whose logs were there before and are gone now.
        kept: ids of those whose logs are still there, as of what runs.
    """

    removed: tuple[str, ...]
    kept: tuple[str, ...]


class Overtaken(Rejected):
    """Somebody else has changed the app in between.

    Attributes:
        changed: what they have changed.
    """

    def __init__(self, app: App, changed: tuple[Changed, ...]) -> None:
        names = ", ".join(one.field for one in changed)
        super().__init__(
            f"{app.label} was changed by somebody else in between ({names}): nothing was"
            " written; look at it, and ask again"
        )
        self.changed = changed


class NotKept(BridgeError):
    """The backend took the change, but has something else than what was written.

    Attributes:
        changed: by field what was wanted and what there is.
    """

    def __init__(self, app: App, changed: tuple[Changed, ...]) -> None:
        names = ", ".join(one.field for one in changed)
        super().__init__(
            f"{app.label} was written, but reads back differently ({names}): look at it in the"
            " backend"
        )
        self.changed = changed


class Configurer:
    """Changes how the apps of one backend are configured."""

    def __init__(
        self,
        backend: Configurable,
        journal: Journal,
        clock: Clock,
        *,
        book: RuleBook = (),
        semantics: Semantics = "exclude",
        wake: Wake = lambda: None,
    ) -> None:
        """Take the parts.

        Args:
            book: the rules of `bridge.yaml`, which win over those that are set here.
            wake: called after a change, where a catalog in this process wants to know.
        """
        self._backend = backend
        self._journal = journal
        self._clock = clock
        self._book = book
        self._semantics = semantics
        self._wake = wake

    async def now(self, app: App) -> Configured:
        """How the app is configured at this moment."""
        return Configured(await self._backend.saved(app), await self._journal.rules(app.id))

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """What a change would do; nothing is written.

        Raises:
            Rejected: it can't be; names the field, the value and the remedy.
        """
        before = await self.now(app)
        after = merge(before, wanted)
        changed = difference(before, after)
        new_paths = any(one.field == "watch_paths" for one in changed)
        return Plan(
            app=app,
            what=_words(wanted),
            wanted=wanted,
            before=before,
            after=after,
            difference=changed,
            findings=tuple(lint(after.saved.watch_paths, self._semantics)) if new_paths else (),
            remarks=tuple(self._overruled(app, changed)),
        )

    async def apply(self, plan: Plan, *, by: str) -> Configured:
        """Write what was planned; returns what the backend has now.

        Raises:
            Overtaken: somebody else was faster; nothing was written.
            NotKept: it was written and reads back differently.
            Refused, Unreachable, Unanswered: as the backend raises them.
        """
        if plan.empty:
            return plan.before
        if between := difference(plan.before, await self.now(plan.app)):
            raise Overtaken(plan.app, between)
        async with _Noted(self._journal, self._note(plan.app, plan.what, by, plan.difference)):
            try:
                await self._write(plan, by)
            except Unanswered:  # it may have arrived: look instead of asking again
                if difference(plan.after, await self._read_back(plan, strict=False)):
                    raise
            found = await self._read_back(plan)
        self._wake()
        return found

    async def clear(self, app: App, *, by: str) -> Cleared:
        """Remove the logs of old deployments, and say of which."""
        before = await self._with_logs(app)
        async with _Noted(self._journal, self._note(app, "clear", by, ())):
            await self._backend.clear_deployments(app)
        after = set(await self._with_logs(app))
        return Cleared(
            tuple(id_ for id_ in before if id_ not in after),
            tuple(id_ for id_ in before if id_ in after),
        )

    def _note(self, app: App, what: str, by: str, changed: tuple[Changed, ...]) -> Audited:
        return Audited(self._clock(), by, what, app.id, app.label, changed)

    async def _write(self, plan: Plan, by: str) -> None:
        app, old, new = plan.app, plan.before.saved, plan.after.saved
        backend = self._backend
        if isinstance(plan.wanted, NoSource):
            await backend.disconnect_provider(app)
        elif new.provider != old.provider and new.provider is not None:
            await backend.save_provider(app, new.provider)
        if new.build != old.build and new.build is not None:
            await backend.save_build_type(app, new.build)
        if new.environment != old.environment:
            await backend.save_environment(app, new.environment)
        if plan.after.rules != plan.before.rules:
            await self._journal.save_rules(app.id, plan.after.rules, by=by)

    async def _read_back(self, plan: Plan, *, strict: bool = True) -> Configured:
        try:
            found = await self.now(plan.app)
        except BridgeError as error:
            raise Unanswered(
                self._backend.name,
                f"the change was sent, but can't be read back: {error}",
            ) from error
        if strict and (unkept := difference(plan.after, found)):
            raise NotKept(plan.app, unkept)
        return found

    def _overruled(self, app: App, changed: tuple[Changed, ...]) -> list[str]:
        """What `bridge.yaml` says of the very fields that change."""
        file = rules_for(app.label, self._book)
        says = {
            f"rules.{spoken}" if name != "watch_paths" else name: getattr(file, name)
            for name, spoken in RULES.items()
        }
        if file.trigger is not None:
            says["trigger"] = file.trigger
        return [
            f"bridge.yaml says {one.field.removeprefix('rules.')}: {_plain(says[one.field])} for"
            f" {app.label}, and wins"
            for one in changed
            if says.get(one.field) is not None
        ]

    async def _with_logs(self, app: App) -> list[str]:
        found: list[BackendDeployment] = await self._backend.deployments(app)
        return [one.id for one in found if (await self._backend.log_tail(one, 1)).strip()]


class _Noted:
    """Notes a change before it is made, and what became of it."""

    def __init__(self, journal: Journal, note: Audited) -> None:
        self._journal = journal
        self._note = note

    async def __aenter__(self) -> None:
        self._note = replace(self._note, number=await self._journal.audit(self._note))

    async def __aexit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            await self._journal.settle(self._note.number, "done")
        elif isinstance(error, BridgeError):
            await self._journal.settle(self._note.number, f"{type(error).__name__}: {error}")
        # Anything else cuts it off: the note stays as begun, which is what is known.


def _words(wanted: Wanted) -> str:
    match wanted:
        case WantedSource():
            return "provider set"
        case NoSource():
            return "provider disconnect"
        case WantedBuild():
            return "build set"
        case _:
            return "env set"


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value).lower()
