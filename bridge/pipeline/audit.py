"""Record in the audit log what is not a delivery: refusals, and acts that take effect at once.

A command that is a delivery is written with its decision, whatever door it came by.
"""

import time

from bridge.core.access import Person
from bridge.core.chat.replies import Denied
from bridge.core.people import Actor
from bridge.ports.clock import Clock
from bridge.ports.journal import Audit
from bridge.ports.outcomes import DONE, Audited, Result, Stage

REFUSED_AGAIN = 60.0
"""Seconds in which the same refusal is recorded once, so nobody can flood the audit log."""

MOST_REFUSALS = 1000


class ChatAudit:
    """Records refusals in the audit log, the same one only once in a while."""

    def __init__(self, chat: str, journal: Audit, clock: Clock) -> None:
        self._chat = chat
        self._journal = journal
        self._clock = clock
        self._refusals: dict[tuple[str, str, str], float] = {}

    async def note(self, person: Person, what: str, denied: Denied) -> None:
        """Record in the audit log that somebody was refused something, unless it just was.

        Args:
            what: the operation's name.
        """
        by = named(self._chat, person)
        if self._is_new(person, what, denied):
            app_id, label = (denied.app.id, denied.app.label) if denied.app else ("", denied.target)
            result = Result.failed(Stage.REFUSED, "refused", f"no right to {denied.right}")
            await self._journal.audit(Audited(self._clock(), by, what, app_id, label, (), result))

    def _is_new(self, person: Person, what: str, reply: Denied) -> bool:
        """Return whether a refusal was not recorded a moment ago."""
        now = self._clock()
        key = (person.id, what, reply.app.id if reply.app else reply.target)
        new = now - self._refusals.get(key, -REFUSED_AGAIN) >= REFUSED_AGAIN
        if new:
            self._refusals.pop(key, None)  # move it to the end, so the oldest comes first
            self._refusals[key] = now
            if len(self._refusals) > MOST_REFUSALS:
                del self._refusals[next(iter(self._refusals))]
        return new


async def record(
    journal: Audit, by: Actor, what: str, about: str, *, app_id: str = "", at: float | None = None
) -> None:
    """Write what somebody has done; see `done`."""
    await journal.audit(done(by, what, about, app_id=app_id, at=at))


def done(by: Actor, what: str, about: str, *, app_id: str = "", at: float | None = None) -> Audited:
    """Return what the audit log says of what somebody has done.

    Args:
        about: the app's label, or what else was changed; never a secret.
        at: seconds; None: now.
    """
    moment = time.time() if at is None else at
    return Audited(moment, by, what, app_id, about, (), DONE)


def named(chat: str, person: Person) -> Actor:
    """Return how the audit log names a person."""
    return Actor(chat, person.called, person.id)
