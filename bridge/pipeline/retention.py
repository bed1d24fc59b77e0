"""Retention: delete expired data, a little at a time, so nothing has to wait for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from bridge.core.errors import BridgeError
from bridge.pipeline.leader import Turn, at_once
from bridge.ports.clock import Clock, Sleep
from bridge.ports.flows import Flows
from bridge.ports.gates import Gates
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Audit, Decisions
from bridge.ports.previews import Previews


class ExpiryJournal(Audit, Decisions, Gates, Previews, Protocol):
    """What expiry uses of the journal."""


log = logging.getLogger(__name__)

DAY = 86_400.0

Forget = Callable[[float, int], Awaitable[int]]
"""Deletes at most so many from before a time; returns how many."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long things are kept; all but the last three in days.

    Attributes:
        bodies: of deliveries, which can't be replayed without them.
        deliveries: their ids; a later redelivery counts as new.
        decisions: with deployments, their history and their subscriptions, and what is left of
            previews.
        audit: who changed what.
        drafts: sealed changes that were previewed in a chat but never confirmed.
        flows: those that have ended.
        every: seconds between two rounds.
        bite: how many rows are deleted in one transaction.
        pause: seconds between two transactions.
    """

    bodies: float = 30.0
    deliveries: float = 60.0
    decisions: float = 365.0
    audit: float = 730.0
    drafts: float = 7.0
    flows: float = 7.0
    every: float = 3600.0
    bite: int = 200
    pause: float = 0.05


class Retention:
    """Deletes expired data; of several processes one does."""

    def __init__(
        self,
        inbox: Inbox,
        journal: ExpiryJournal,
        flows: Flows,
        clock: Clock,
        keeping: Keeping | None = None,
        *,
        turn: Turn = at_once,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Take the parts; `turn` returns once it is this process's turn."""
        self._inbox = inbox
        self._journal = journal
        self._flows = flows
        self._clock = clock
        self._keeping = keeping or Keeping()
        self._turn = turn
        self._sleep = sleep

    async def run(self) -> None:
        """Delete expired data as long as the process lives."""
        while True:
            await self._turn()
            try:
                await self.round()
            except BridgeError as error:
                log.warning("expired data can't be deleted", extra={"why": str(error)})
            except Exception:  # old data must not end the process, which also deploys
                log.exception("retention failed unexpectedly")
            await self._sleep(self._keeping.every)

    async def round(self) -> dict[str, int]:
        """Delete everything that has expired; log how much."""
        now, keeping = self._clock(), self._keeping
        work: dict[str, tuple[Forget, float]] = {
            "flows": (self._flows.forget, keeping.flows),
            "bodies": (self._inbox.forget_bodies, keeping.bodies),
            "deliveries": (self._inbox.forget, keeping.deliveries),
            "decisions": (self._journal.forget, keeping.decisions),
            "audit": (self._journal.forget_audit, keeping.audit),
            "drafts": (self._journal.forget_drafts, keeping.drafts),
            "gates": (self._journal.forget_gates, keeping.decisions),
            "previews": (self._journal.forget_previews, keeping.decisions),
        }
        forgotten = {
            what: await self._all(forget, now - days * DAY) for what, (forget, days) in work.items()
        }
        if any(forgotten.values()):
            log.info("expired data deleted", extra=forgotten)
        return forgotten

    async def _all(self, forget: Forget, before: float) -> int:
        total = 0
        while forgotten := await forget(before, self._keeping.bite):
            total += forgotten
            await self._sleep(self._keeping.pause)
        return total
