"""Answer chat commands about gates at once: lock, freeze, approve, override.

Rights are checked at each call: a lock or freeze needs `lock` for every app in its scope, and no
answer names an app that the person may not view.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from bridge.core.access import Person, Right
from bridge.core.apps import App
from bridge.core.chat.gate_replies import (
    Affected,
    ApprovalAsked,
    ApprovalGiven,
    ClosedGates,
    FreezeDeclared,
    FreezeNow,
    FreezesEnded,
    Lifted,
    LockBusy,
    LockKept,
    LockReleased,
    LockTaken,
    MoreHolds,
    typed_scope,
)
from bridge.core.chat.grammar import Command, Verb, written
from bridge.core.chat.replies import Reply, Sorry
from bridge.core.chat.when import ends_at, merge_in, zone_of
from bridge.core.errors import NotFound, Rejected
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Lock, Scope, covered, scope_named, scopes_of
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import OURS, Deployment, State
from bridge.pipeline.audit import named
from bridge.pipeline.feedback.lookup import Finding
from bridge.pipeline.gates.commands import Actor, GateCommands, proposed
from bridge.ports.chats import Place
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal

ABOUT_GATES = frozenset(
    {
        Verb.LOCK,
        Verb.STEAL,
        Verb.UNLOCK,
        Verb.LOCKS,
        Verb.FREEZE,
        Verb.UNFREEZE,
        Verb.APPROVE,
        Verb.OVERRIDE,
    }
)
"""The commands that are answered here."""

GONE = "That lock is gone already."


class ChatGates:
    """Answers people about gates."""

    def __init__(
        self,
        chat: str,
        commands: GateCommands,
        finding: Finding,
        journal: Journal,
        apps: Callable[[], Sequence[App]],
        clock: Clock,
        *,
        freezes: Sequence[Freeze] = (),
    ) -> None:
        """Take the parts.

        Args:
            apps: returns all apps.
            freezes: those of the settings.
        """
        self._chat = chat
        self._commands = commands
        self._finding = finding
        self._journal = journal
        self._apps = apps
        self._clock = clock
        self._freezes = freezes

    # ── typed ─────────────────────────────────────────────────────────────

    async def answer(self, person: Person, place: Place, typed: Command) -> Reply:
        """Carry out or answer what somebody typed."""
        try:
            if typed.verb is Verb.LOCKS:
                return await self._closed(person, place)
            if typed.verb in (Verb.APPROVE, Verb.OVERRIDE):
                return await self._about_app(person, place, typed)
            return await self._about_scope(person, place, typed)
        except Rejected as error:
            return Sorry(_sentence(error))

    async def _about_scope(self, person: Person, place: Place, typed: Command) -> Reply:
        scope = self._scope(person, place, typed)
        if not isinstance(scope, Scope):
            return scope
        if denied := self._finding.scope_denied(person, place, scope):
            return denied
        actor = self._actor(person)
        match typed.verb:
            case Verb.LOCK | Verb.STEAL:
                return await self._lock(actor, place, scope, typed)
            case Verb.UNLOCK:
                released = await self._commands.unlock(actor, scope)
                return LockReleased(released) if released else await self._not_locked(scope)
            case Verb.FREEZE:
                return await self._freeze(actor, scope, typed)
            case _:
                ended = await self._commands.unfreeze(actor, scope)
                if not ended:
                    return Sorry(f"Nobody has frozen {scope.label} by command. `locks` lists all.")
                return FreezesEnded(scope.label, tuple(ended))

    def _scope(self, person: Person, place: Place, typed: Command) -> Scope | Reply:
        """Return the scope that is meant, among what the person may view."""
        assert typed.app is not None
        try:
            seen = self._finding.apps(person, place, Right.VIEW)
            if seen:
                return scope_named(typed.app, seen)
        except NotFound:
            pass
        found = self._finding.find(person, place, typed)
        return Scope(f"app/{found.id}", found.label) if isinstance(found, App) else found

    async def _lock(self, actor: Actor, place: Place, scope: Scope, typed: Command) -> Reply:
        seconds, merge = None, merge_in(typed.when)
        if typed.when is not None and merge is None:
            now = self._clock()
            seconds = ends_at(typed.when, now) - now
        steal = typed.verb is Verb.STEAL
        reason = typed.rest or ""
        done = await self._commands.lock(
            actor,
            scope,
            reason,
            seconds=seconds,
            steal=steal,
            until_merge=merge,
            channel=place.channel,
        )
        if not done.taken.taken:
            return LockBusy(done.taken.lock, written(replace(typed, verb=Verb.STEAL)))
        affected = await self._affected(scope, but=actor.person)
        return LockTaken(done.taken.lock, affected, done.taken.before, zone_of(typed.when).key)

    async def _not_locked(self, scope: Scope) -> Sorry:
        """Return that a scope has no lock, with the wider locks that cover it."""
        wider = await self._commands.covering(scope)
        commands = tuple(f"{Verb.UNLOCK} {typed_scope(one)}" for one in wider)
        return Sorry(f"{scope.label} itself is not locked.", commands)

    async def _freeze(self, actor: Actor, scope: Scope, typed: Command) -> Reply:
        until = None if typed.when is None else ends_at(typed.when, self._clock())
        declared = await self._commands.freeze(actor, scope, typed.rest or "", until=until)
        return FreezeDeclared(declared, await self._affected(scope), zone_of(typed.when).key)

    async def _affected(self, scope: Scope, but: str = "") -> Affected:
        """Return what a scope has under way; `but`: whose deployments are not held."""
        ids = {app.id for app in covered(scope, self._apps())}
        open_ = [one for one in await self._journal.open_deployments() if one.app_id in ids]
        going = tuple(one for one in open_ if one.state not in OURS or one.intent_at is not None)
        held = (one for one in open_ if one not in going and not (but and one.person == but))
        return Affected(going, tuple(held))

    async def _closed(self, person: Person, place: Place) -> ClosedGates:
        """Return the locks and freezes of what the person may view."""
        now = self._clock()
        seen = [(app, scopes_of(app)) for app in self._finding.apps(person, place, Right.VIEW)]
        keys = {key for _, scopes in seen for key in scopes}
        found = []
        for one in [*self._freezes, *await self._journal.freezes()]:
            closed = one.closed(now)
            apps = tuple(app.label for app, scopes in seen if one.covers(app.label, scopes))
            if closed is not None and apps:
                found.append(FreezeNow(one, closed[1], apps))
        locks = tuple(one for one in await self._journal.locks() if one.scope in keys)
        return ClosedGates(locks, tuple(found))

    async def _about_app(self, person: Person, place: Place, typed: Command) -> Reply:
        app = self._finding.find(person, place, typed)
        if not isinstance(app, App):
            return app
        if typed.verb is Verb.APPROVE:
            if denied := self._finding.denied(person, place, Right.APPROVE, app):
                return denied
            held = await self._commands.held(app)
            if typed.rest is None:
                return ApprovalAsked(held, app, proposed(held))
            return await self._approve(person, app, held, typed.rest)
        held = await self._commands.held(app)
        if denied := self._finding.denied(person, place, right_to_lift(held.holds), app):
            return denied
        return await self._lift(person, held, typed.rest or "")

    # ── clicked ───────────────────────────────────────────────────────────

    async def approve(self, person: Person, place: Place, deployment_id: str, commit: str) -> Reply:
        """Approve the commit that the clicked card showed."""
        found = await self._held(person, place, deployment_id, Right.APPROVE)
        if not isinstance(found, Deployment):
            return found
        (app,) = [one for one in self._apps() if one.id == found.app_id]
        try:
            return await self._approve(person, app, found, commit)
        except Rejected as error:
            return Sorry(_sentence(error))

    async def may_lift(
        self, person: Person, place: Place, deployment_id: str
    ) -> Deployment | Reply:
        """Return a held deployment, if the person may let it pass everything that holds it."""
        found = await self._held(person, place, deployment_id, Right.VIEW)
        if not isinstance(found, Deployment):
            return found
        return await self._held(person, place, deployment_id, right_to_lift(found.holds))

    async def lift(
        self,
        person: Person,
        place: Place,
        deployment_id: str,
        reason: str,
        seen: Collection[str],
    ) -> Reply:
        """Let a deployment pass the holds that the person has seen, given by their short keys."""
        found = await self.may_lift(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        if any(one.short not in seen for one in found.holds):
            return MoreHolds(found)
        try:
            return await self._lift(person, found, reason)
        except Rejected as error:
            return Sorry(_sentence(error))

    async def unlock(self, person: Person, place: Place, deployment_id: str, key: str) -> Reply:
        """Remove the lock that held a deployment when its card was drawn; `key`: of the hold."""
        found = await self._finding.deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        lock = next((one for one in await self._journal.locks() if _key(one) == key), None)
        if lock is None:
            now = "; ".join(one.says for one in found.holds if one.gate is Gate.LOCK)
            still = f" Now: {now}." if now else f" {_stands(found)}"
            return Sorry(f"{GONE}{still}")
        scope = Scope(lock.scope, lock.label)
        if denied := self._finding.scope_denied(person, place, scope):
            return denied
        released = await self._commands.unlock(self._actor(person), scope)
        return LockReleased(released) if released else Sorry(GONE)

    async def release(self, person: Person, place: Place, key: str) -> Reply:
        """Remove the lock of a reminder."""
        lock = await self._of_reminder(person, place, key)
        if not isinstance(lock, Lock):
            return lock
        scope = Scope(lock.scope, lock.label)
        released = await self._commands.unlock(self._actor(person), scope)
        return LockReleased(released) if released else Sorry(GONE)

    async def keep(self, person: Person, place: Place, key: str) -> Reply:
        """Remind of a lock less soon."""
        lock = await self._of_reminder(person, place, key)
        if not isinstance(lock, Lock):
            return lock
        kept = await self._commands.keep(self._actor(person), lock)
        return LockKept(kept) if kept else Sorry(GONE)

    async def _of_reminder(self, person: Person, place: Place, key: str) -> Lock | Reply:
        """Return a lock, if the person may lock its scope; owners may, where they have locked it.

        They are reminded elsewhere, where they may have fewer rights.
        """
        lock = next((one for one in await self._journal.locks() if one.key == key), None)
        if lock is None:
            return Sorry(GONE)
        if lock.owner == person.key(self._chat):
            place = Place(lock.channel)
        return self._finding.scope_denied(person, place, Scope(lock.scope, lock.label)) or lock

    async def _held(
        self, person: Person, place: Place, deployment_id: str, right: Right
    ) -> Deployment | Reply:
        """Return a held deployment, if the person has a right to its app."""
        found = await self._finding.deployment(person, place, deployment_id)
        if not isinstance(found, Deployment):
            return found
        app = next((one for one in self._apps() if one.id == found.app_id), None)
        if app is None:
            return Sorry("That app is gone.")
        if denied := self._finding.denied(person, place, right, app):
            return denied
        return found if found.state is State.HELD else Sorry(_stands(found))

    # ── both ──────────────────────────────────────────────────────────────

    async def _approve(self, person: Person, app: App, held: Deployment, commit: str) -> Reply:
        """Approve the commit that was shown, and say what is still missing."""
        new = await self._commands.approve(self._actor(person), held, commit)
        given = await self._commands.counting(held)
        lacking = max(0, (app.rules.approvals or 0) - len(given))
        others = tuple(one for one in held.holds if one.gate is not Gate.APPROVAL)
        at, names = proposed(held).commit, tuple(one.name for one in given)
        return ApprovalGiven(held, at, new, names, lacking, others)

    async def _lift(self, person: Person, held: Deployment, reason: str) -> Reply:
        lifted = await self._commands.lift(self._actor(person), held, reason)
        return Lifted(lifted, held.holds, " ".join(reason.split()))

    def _actor(self, person: Person) -> Actor:
        shown = named(self._chat, person)
        key, email = person.key(self._chat), person.email or ""
        return Actor(key, person.called, shown, email, person.accounts(self._chat))


def right_to_lift(holds: Sequence[Hold]) -> Right:
    """Return the right that lets a deployment pass; `deploy` ends a mere wait for a time."""
    only_time = all(one.may_lift is Right.DEPLOY for one in holds)
    return Right.DEPLOY if only_time else Right.OVERRIDE


def _key(lock: Lock) -> str:
    """Return the key of the hold that a lock makes; see `core.gates.gates`."""
    return f"{Gate.LOCK}:{lock.key}"


def _stands(deployment: Deployment) -> str:
    """Return what is true now of a deployment that is not as its card showed it."""
    if deployment.state is State.HELD:
        return f"It is held: {'; '.join(one.says for one in deployment.holds)}."
    return f"It is not held any more: it is {deployment.state}."


def _sentence(error: Exception) -> str:
    said = str(error)
    return said if said.endswith((".", "?")) else f"{said}."
