"""Who has asked for what by chat, for the audit log: what was kept, and what was refused."""

from bridge.core.access import Person
from bridge.core.chat.replies import Accepted, Denied, Reply
from bridge.core.commands import CHAT_HOST
from bridge.ports.clock import Clock
from bridge.ports.journal import Audit
from bridge.ports.outcomes import Audited

REFUSED_AGAIN = 60.0
"""Seconds in which the same refusal is kept once: nobody can fill the audit log with them."""

MOST_REFUSALS = 1000


class ChatAudit:
    """Keeps it; the same refusal only once in a while."""

    def __init__(self, journal: Audit, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._refusals: dict[tuple[str, str, str], float] = {}

    async def note(self, person: Person, what: str, reply: Reply) -> None:
        """Keep in the audit log that somebody asked for something, where that is worth it."""
        by = f"{actor(person)} ({person.id})"
        if isinstance(reply, Accepted):
            if not reply.duplicate:
                app, outcome = reply.app, f"kept as {reply.delivery}"
                await self._journal.audit(
                    Audited(self._clock(), by, str(reply.action), app.id, app.label, (), outcome)
                )
        elif isinstance(reply, Denied) and self._is_new(person, what, reply):
            app_id, label = (reply.app.id, reply.app.label) if reply.app else ("", "")
            outcome = f"refused: no right to {reply.right}"
            await self._journal.audit(Audited(self._clock(), by, what, app_id, label, (), outcome))

    def _is_new(self, person: Person, what: str, reply: Denied) -> bool:
        """Whether a refusal has not been kept a moment ago."""
        now = self._clock()
        key = (person.id, what, reply.app.id if reply.app else "")
        new = now - self._refusals.get(key, -REFUSED_AGAIN) >= REFUSED_AGAIN
        if new:
            self._refusals.pop(key, None)  # to the end, so that the oldest stand first
            self._refusals[key] = now
            if len(self._refusals) > MOST_REFUSALS:
                del self._refusals[next(iter(self._refusals))]
        return new


def actor(person: Person) -> str:
    """How a person is named as the cause of a deployment."""
    return f"{CHAT_HOST}: {person.called}"
