"""AnyReply chat commands about gates at once: lock, freeze, approve, override.

Rights are checked at each call: a lock or freeze needs `lock` for every app in its scope, and no
answer names an app that the person may not view.
"""

from collections.abc import Callable, Collection, Sequence

from bridge.core.access import Person, Right
from bridge.core.apps import App
from bridge.core.chat.gate_replies import (
    ApprovalAsked,
    ApprovalGiven,
    Lifted,
    MoreHolds,
)
from bridge.core.chat.grammar import Command, Verb
from bridge.core.chat.replies import Reply, Sorry
from bridge.core.errors import Rejected
from bridge.core.gates.locks import Lock, Scope
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.audit import named
from bridge.pipeline.feedback.lookup import Finding
from bridge.pipeline.gates.commands import GateCommands, Requester, proposed
from bridge.ports.chats import AnyReply, Place
from bridge.ports.clock import Clock
from bridge.ports.journal import Journal
from bridge.views.gates import lock_kept, lock_released

ABOUT_GATES = frozenset({Verb.APPROVE, Verb.OVERRIDE})
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
    ) -> None:
        """Take the parts; `apps` returns all apps."""
        self._chat = chat
        self.commands = commands
        self._finding = finding
        self._journal = journal
        self._apps = apps
        self._clock = clock

    # ── typed ─────────────────────────────────────────────────────────────

    async def answer(self, person: Person, place: Place, typed: Command) -> Reply:
        """Carry out or answer what somebody typed."""
        try:
            return await self._about_app(person, place, typed)
        except Rejected as error:
            return Sorry(sentence(error))

    async def _about_app(self, person: Person, place: Place, typed: Command) -> Reply:
        app = self._finding.find(person, place, typed)
        if not isinstance(app, App):
            return app
        if typed.verb is Verb.APPROVE:
            if denied := self._finding.denied(person, place, Right.APPROVE, app):
                return denied
            held = await self.commands.held(app)
            if typed.rest is None:
                return ApprovalAsked(held, app, proposed(held))
            return await self._approve(person, app, held, typed.rest)
        held = await self.commands.held(app)
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
            return Sorry(sentence(error))

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
            return Sorry(sentence(error))

    async def unlock(self, person: Person, place: Place, deployment_id: str, key: str) -> AnyReply:
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
        released = await self.commands.unlock(self._actor(person), scope)
        return lock_released(released) if released else Sorry(GONE)

    async def release(self, person: Person, place: Place, key: str) -> AnyReply:
        """Remove the lock of a reminder."""
        lock = await self._of_reminder(person, place, key)
        if not isinstance(lock, Lock):
            return lock
        scope = Scope(lock.scope, lock.label)
        released = await self.commands.unlock(self._actor(person), scope)
        return lock_released(released) if released else Sorry(GONE)

    async def keep(self, person: Person, place: Place, key: str) -> AnyReply:
        """Remind of a lock less soon."""
        lock = await self._of_reminder(person, place, key)
        if not isinstance(lock, Lock):
            return lock
        kept = await self.commands.keep(self._actor(person), lock)
        return lock_kept(kept) if kept else Sorry(GONE)

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
        new = await self.commands.approve(self._actor(person), held, commit)
        given = await self.commands.counting(held)
        lacking = max(0, (app.rules.approvals or 0) - len(given))
        others = tuple(one for one in held.holds if one.gate is not Gate.APPROVAL)
        at, names = proposed(held).commit, tuple(one.name for one in given)
        return ApprovalGiven(held, at, new, names, lacking, others)

    async def _lift(self, person: Person, held: Deployment, reason: str) -> Reply:
        lifted = await self.commands.lift(self._actor(person), held, reason)
        return Lifted(lifted, held.holds, " ".join(reason.split()))

    def _actor(self, person: Person) -> Requester:
        by = named(self._chat, person)
        key, email = person.key(self._chat), person.email or ""
        return Requester(key, by, email, person.accounts(self._chat))


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


def sentence(error: Exception) -> str:
    """Return an error as a sentence."""
    said = str(error)
    return said if said.endswith((".", "?")) else f"{said}."
