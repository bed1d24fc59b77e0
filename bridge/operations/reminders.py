"""Answer the reminders of locks."""

from bridge.core.access import Person
from bridge.core.gates.locks import Lock, Scope
from bridge.pipeline.audit import ChatAudit, named
from bridge.pipeline.feedback.lookup import Finding
from bridge.pipeline.gates.commands import GateCommands, Requester
from bridge.ports.chats import AnyReply, Place
from bridge.ports.gates import Gates
from bridge.views.gates import lock_gone, lock_kept, lock_released


class Reminders:
    """Answers people who are reminded of a lock."""

    def __init__(
        self,
        chat: str,
        commands: GateCommands,
        finding: Finding,
        journal: Gates,
        audit: ChatAudit,
    ) -> None:
        self._chat = chat
        self._commands = commands
        self._finding = finding
        self._journal = journal
        self._audit = audit

    async def release(self, person: Person, place: Place, key: str) -> AnyReply:
        """Remove the lock of a reminder."""
        lock = await self._of_reminder(person, place, key, "unlock")
        if not isinstance(lock, Lock):
            return lock
        scope = Scope(lock.scope, lock.label)
        released = await self._commands.unlock(self._actor(person), scope)
        return lock_released(released) if released else lock_gone([])

    async def keep(self, person: Person, place: Place, key: str) -> AnyReply:
        """Remind of a lock less soon."""
        lock = await self._of_reminder(person, place, key, "keep lock")
        if not isinstance(lock, Lock):
            return lock
        kept = await self._commands.keep(self._actor(person), lock)
        return lock_kept(kept) if kept else lock_gone([])

    async def _of_reminder(
        self, person: Person, place: Place, key: str, what: str
    ) -> Lock | AnyReply:
        """Return a lock, if the person may lock its scope; owners may, where they have locked it.

        They are reminded elsewhere, where they may have fewer rights. The audit log has a refusal
        of `what` they ask for.
        """
        lock = next((one for one in await self._journal.locks() if one.key == key), None)
        if lock is None:
            return lock_gone([])
        if lock.owner == person.key(self._chat):
            place = Place(lock.channel)
        denied = self._finding.scope_denied(person, place, Scope(lock.scope, lock.label))
        if denied is not None:
            await self._audit.note(person, what, denied)
        return denied or lock

    def _actor(self, person: Person) -> Requester:
        by = named(self._chat, person)
        key, email = person.key(self._chat), person.email or ""
        return Requester(key, by, email, person.accounts(self._chat))
