"""Step 3, its first half: a waiting deployment → one that the backend has accepted.

The backend is not idempotent, so the intent is written down before the call. An intent that
is found in the journal may have arrived: whoever finds one looks at the backend first, and
asks only where nothing of it can be there (docs/notes/0002).
"""

import asyncio
import logging
from dataclasses import dataclass

from bridge.core import trace
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.core.tracking import description_of, marked, title_of
from bridge.core.watch import App
from bridge.journey.deployment.ending import Ending
from bridge.journey.deployment.pace import Pace
from bridge.journey.deployment.watching import Look, Sleep, Watchings, seen
from bridge.ports.backends import Backend
from bridge.ports.clock import Clock
from bridge.ports.journal import JOURNAL, Journal

log = logging.getLogger(__name__)

GONE = 404
"""A backend's status for an app that it does not have (any more)."""

ADOPTED = "the backend had accepted it already"


@dataclass(slots=True)
class _Attempt:
    """How the asking goes.

    Attributes:
        may_be_there: it may have been asked already, so look before asking. True at first,
            because an intent found in the journal may be from before a crash, or from before
            the journal itself could not be written.
    """

    pause: float
    may_be_there: bool = True
    unanswered: int = 0


class Asker:
    """Asks backends for deployments, each once."""

    def __init__(
        self,
        watchings: Watchings,
        journal: Journal,
        ending: Ending,
        clock: Clock,
        pace: Pace,
        *,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._watchings = watchings
        self._journal = journal
        self._ending = ending
        self._clock = clock
        self._pace = pace
        self._sleep = sleep

    async def ask(self, id_: str) -> None:
        """Have the backend accept it, once; return when it has, or when there is no need."""
        attempt = _Attempt(pause=self._pace.retry)
        while (deployment := await self._still_waiting(id_)) is not None:
            try:
                await self._ask_once(deployment, attempt)
            except Unreachable as error:
                if error.service == JOURNAL:  # the flow waits for it; it is not the backend
                    raise
                await self._wait_for_backend(id_, error, attempt)
            except Unanswered as error:
                attempt.unanswered += 1
                attempt.may_be_there = True
                await self._journal.say(id_, f"{error}; looking whether it arrived")
            except Refused as error:
                if error.status == GONE:
                    self._watchings.troubled(error.service)
                if attempt.may_be_there:
                    note = f"maybe asked, outcome unknown: {error}"
                    await self._ending.end(id_, State.UNKNOWN, note)
                else:
                    await self._ending.end(id_, State.FAILED, f"refused by {error}")

    async def _still_waiting(self, id_: str) -> Deployment | None:
        deployment = await self._journal.deployment(id_)
        if deployment is None or deployment.state is not State.WAITING:
            return None
        trace.follow(deployment.delivery)
        return deployment

    async def _ask_once(self, deployment: Deployment, attempt: _Attempt) -> None:
        """Make one move: write down the intent, look for an earlier ask, or ask."""
        app = await self._ending.app_of(deployment)
        if deployment.intent_at is None:
            attempt.may_be_there = False
            await self._intend(deployment, app)
        elif attempt.may_be_there:
            await self._look_for_it(deployment, app, attempt)
        else:
            await self._ask_now(deployment, app, attempt)

    async def _intend(self, deployment: Deployment, app: App) -> None:
        """Write down that we are about to ask, and what was there before.

        A record that bears our token shows that the journal has forgotten an earlier ask, as
        a copy of it that was restored has.
        """
        records = await self._backend(app).deployments(app)
        ours = next((one for one in records if marked(deployment, seen(one))), None)
        if ours is not None:
            await self._accepted(deployment.id, ADOPTED, min(self._clock(), ours.created_at))
        else:
            await self._journal.intend(deployment.id, [record.id for record in records])

    async def _ask_now(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        attempt.may_be_there, at = True, self._clock()
        try:
            await _send(self._backend(app), deployment, app)
        except (Unreachable, Refused):
            attempt.may_be_there = False
            raise
        log.info("deployment asked for", extra={"app": deployment.app, "deployment": deployment.id})
        # The answer may come later than the end of what it has begun.
        await self._accepted(deployment.id, "the backend accepted it", at)

    async def _accepted(self, id_: str, note: str, at: float) -> None:
        """Write down that the backend has it, asked for `at`, however long the journal is away.

        We know it now; who had to find it out again might not see it, and would ask again.
        """
        while True:
            try:
                await self._journal.move(id_, State.ASKED, note, asked_at=at)
            except Unreachable as error:
                log.warning("deployment waits", extra={"deployment": id_, "why": str(error)})
                await self._sleep(self._pace.retry)
            else:
                return

    # ── what may have been asked already ──────────────────────────────────

    async def _look_for_it(self, deployment: Deployment, app: App, attempt: _Attempt) -> None:
        """Adopt what the backend has; where it has nothing, wait for a turn as at first."""
        look = await self._found(deployment, app, doubt=attempt.unanswered > 0)
        if look.present:
            # It may have ended by now, so the moment of asking is the intent's, not this one.
            await self._accepted(deployment.id, ADOPTED, deployment.intent_at or self._clock())
        elif look.doubtful:
            await self._ending.doubtful(deployment, look.doubtful)
        elif attempt.unanswered and not await self._may_ask_again(deployment, app, attempt):
            return
        else:
            # Nothing was asked: a cancel or a newer push may still come first.
            await self._journal.withdraw(deployment.id)

    async def _found(self, deployment: Deployment, app: App, *, doubt: bool) -> Look:
        """Look for a while, since lists may be late; what surely is ours ends the looking."""
        watching = self._watchings.of(app)
        until = self._clock() + self._pace.adopt
        while True:
            began = self._clock()
            look = await watching.look_now(deployment, app, doubt=doubt)
            if look.present or began >= until:
                return look
            await self._sleep(self._pace.look)

    async def _may_ask_again(self, deployment: Deployment, app: App, attempt: _Attempt) -> bool:
        """After a silence, and where nothing shows: once, if the backend shows what waits."""
        if attempt.unanswered > 1:
            why = "the backend was asked twice and never answered; it shows no such deployment"
        elif not await self._watchings.of(app).tells_queue():
            why = "maybe asked, outcome unknown: no answer came, and the backend lists no queue"
        else:
            note = f"for {self._pace.adopt:g} s the backend has shown no sign of it; asked again"
            await self._journal.say(deployment.id, note)
            return True
        await self._ending.end(deployment.id, State.UNKNOWN, why)
        return False

    async def _wait_for_backend(self, id_: str, error: Unreachable, attempt: _Attempt) -> None:
        if not attempt.may_be_there:
            # Nothing was asked, so a newer push may take this one's place meanwhile.
            await self._journal.withdraw(id_)
        self._watchings.troubled(error.service)
        await self._journal.say(id_, f"waits for the backend: {error}")
        await self._sleep(error.retry_after or attempt.pause)
        attempt.pause = min(attempt.pause * 2, self._pace.retry_at_most)

    def _backend(self, app: App) -> Backend:
        return self._watchings.of(app).backend


async def _send(backend: Backend, deployment: Deployment, app: App) -> None:
    """Ask the backend for a deployment, with the token by which we find it again."""
    ask = backend.redeploy if deployment.action is Action.REDEPLOY else backend.deploy
    await ask(app, title=title_of(deployment), description=description_of(deployment))
