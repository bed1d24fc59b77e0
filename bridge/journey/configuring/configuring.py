"""What somebody has agreed to in a chat is carried out; the body of a durable flow.

The change was shown, sealed and kept before (docs/notes/0011), and the agreement stands in the
inbox. Here it is noted, then made; while the backend is away it waits, which the note says. A
try that was cut off goes on where it was: what is made already is left alone.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bridge.core.commands import CHAT_HOST, parse_command
from bridge.core.configuring.difference import difference, lines_of
from bridge.core.configuring.merge import NoSource
from bridge.core.configuring.plan import Plan
from bridge.core.configuring.restoring import Undoing, read_undoing
from bridge.core.errors import (
    BridgeError,
    MalformedPayload,
    NotFound,
    Rejected,
    Unanswered,
    Unreachable,
)
from bridge.core.events import Action, Asked
from bridge.core.watch import App
from bridge.journey.configuring.configure import Configurer
from bridge.journey.configuring.overtaken import NotKept, Overtaken
from bridge.ports.clock import Clock
from bridge.ports.desk import Permits
from bridge.ports.flows import Steps
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal
from bridge.ports.outcomes import DONE, UNKNOWN, WAITS, Audited
from bridge.ports.seal import Seal

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two tries; doubled each time."""

FORGOTTEN = "Rejected: what was asked is not kept any more: open the dialog again"

UNANSWERED = 5
"""Tries without a clear answer, after which somebody has to look."""


class Configuring:
    """Carries out changes that were agreed to in a chat."""

    def __init__(
        self,
        configurers: Mapping[str, Configurer],
        inbox: Inbox,
        journal: Journal,
        seal: Seal,
        permits: Permits,
        clock: Clock,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts.

        Args:
            configurers: by the name of a backend.
            permits: asked again before anything is written: rights may be gone by then.
        """
        self._configurers = configurers
        self._inbox = inbox
        self._journal = journal
        self._seal = seal
        self._permits = permits
        self._clock = clock
        self._sleep = sleep

    async def run(self, steps: Steps, id_: str) -> None:
        """The flow; `id_` holds the asking delivery's seq and the app."""
        text, _, app_id = id_.partition(".")
        await steps.run("configure", lambda: self._surely(int(text), app_id))

    async def _surely(self, seq: int, app_id: str) -> None:
        """Try until it is made, or never will be."""
        pause, unanswered = FIRST_PAUSE, 0
        while True:
            try:
                trouble = await self._once(seq, app_id, give_up=unanswered >= UNANSWERED)
            except Unreachable as error:  # our own stores
                log.warning("a change waits", extra={"seq": seq, "why": str(error)})
                trouble = error
            if trouble is None:
                return
            unanswered += isinstance(trouble, Unanswered)
            asked = trouble.retry_after if isinstance(trouble, Unreachable) else None
            await self._sleep(asked or pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _once(self, seq: int, app_id: str, *, give_up: bool) -> BridgeError | None:
        """One try; what keeps it from being made for now, None once it is over."""
        note = await self._journal.change_of(seq)
        if note is not None and note.over:
            return None
        if (asked := await self._asked(seq)) is None:
            await self._settle(seq, note or self._first(seq, app_id), FORGOTTEN)
            return None
        if note is None:
            note = replace(
                self._first(seq, app_id),
                by=_by(asked),
                what=str(asked.action),
                app=asked.app or app_id,
            )
        trouble: BridgeError | None = None
        try:
            note = await self._make(asked, note)
            outcome = DONE
        except (Unreachable, Unanswered) as error:
            trouble = None if give_up and isinstance(error, Unanswered) else error
            outcome = _refusal(error) if trouble is None else f"{WAITS}the backend: {error}"
        except BridgeError as error:
            outcome = _refusal(error)
        except Exception as error:  # a bug; whoever asked has to hear of it all the same
            log.exception("a change failed inside", extra={"seq": seq})
            outcome = f"{UNKNOWN}: the bridge failed inside ({type(error).__name__})"
        await self._settle(seq, note, outcome)
        if trouble is None:
            await self._journal.drop_draft(asked.draft)
        return trouble

    async def _make(self, asked: Asked, note: Audited) -> Audited:
        """Make what is asked; returns its note, which is kept before."""
        app = await self._journal.app(asked.target)
        if app is None:
            raise NotFound(f"there is no app {asked.app or asked.target} any more")
        configurer = self._configurers.get(app.backend)
        if configurer is None:
            raise Rejected(f"there is no backend {app.backend} any more")
        if (why_not := await self._permits(asked.person, app, asked.channel)) is not None:
            raise Rejected(why_not)
        if note.undoing:  # it was begun before
            undoing = read_undoing(json.loads(self._seal.open(note.undoing)))
        else:
            undoing, noted = await self._begin(configurer, app, asked, note)
            note = replace(noted, number=await self._journal.audit(noted))
        await configurer.carry_out(app, undoing, by=note.by)
        return note

    async def _begin(
        self, configurer: Configurer, app: App, asked: Asked, note: Audited
    ) -> tuple[Undoing, Audited]:
        """What shall be made of what, and its note."""
        match asked.action:
            case Action.DISCONNECT if not asked.draft:  # kept by a release that showed no view
                plan = await configurer.plan(app, NoSource())
            case Action.CONFIGURE | Action.DISCONNECT:
                what, undoing = await self._drafted(asked)
                changed = difference(undoing.before, undoing.after)
                sealed = configurer.sealed(undoing)
                return undoing, replace(note, what=what, difference=changed, undoing=sealed)
            case _:
                plan = await self._undone(configurer, app, asked)
        return plan.undoing, configurer.note(plan, by=note.by, seq=note.seq)

    async def _undone(self, configurer: Configurer, app: App, asked: Asked) -> Plan:
        if not asked.draft.isdecimal():
            raise Rejected("it is not said which change to undo")
        return await configurer.plan_undo(app, int(asked.draft[:9]))

    async def _drafted(self, asked: Asked) -> tuple[str, Undoing]:
        """What was shown to the person, about this very app."""
        sealed = await self._journal.draft(asked.draft)
        form = json.loads(self._seal.open(sealed)) if sealed else {}
        if form.get("app") != asked.target:
            raise Rejected("what was agreed to is not kept any more: open the dialog again")
        return str(form["what"]), read_undoing(form["undoing"])

    async def _asked(self, seq: int) -> Asked | None:
        """What was asked; None where it is not kept any more, or can't be read."""
        delivery = await self._inbox.get(seq)
        if delivery is None:
            return None
        try:
            body = delivery.body
            return None if body is None else parse_command(delivery.event, body)
        except (MalformedPayload, Rejected) as error:
            log.warning("a change can't be read", extra={"seq": seq, "why": str(error)})
            return None

    def _first(self, seq: int, app_id: str) -> Audited:
        """The note of a change of which nothing more is known yet."""
        return Audited(self._clock(), CHAT_HOST, "configure", app_id, app_id, (), seq=seq)

    async def _settle(self, seq: int, note: Audited, outcome: str) -> None:
        """Note what became of it, beside what was noted of it before."""
        kept = await self._journal.change_of(seq)
        if kept is None:
            await self._journal.audit(replace(note, outcome=outcome))
        elif kept.outcome != outcome:
            await self._journal.settle(kept.number, outcome)


def _by(asked: Asked) -> str:
    return f"{asked.actor} ({asked.person})" if asked.person else asked.actor


def _refusal(error: BridgeError) -> str:
    """Why it was not made, for the audit and for people; with what others have changed."""
    words = f"{type(error).__name__}: {error}"
    if isinstance(error, Overtaken | NotKept):
        words += f" ({'; '.join(lines_of(error.changed))})"
    return words
