"""Which places show what became of a push, and which of them show something old."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.ports.feedback import Raised, Story
from bridge.ports.targets import Memory, Target
from bridge.stores import tables
from bridge.stores.journal import showing, wanting
from bridge.stores.journal.story import story
from bridge.stores.journal.transactions import Transactions


class Targets(Transactions):
    """The outbox of feedback: what is to be shown, and how far it is."""

    async def unwant(self, target_id: str) -> None:
        """Show it no more."""
        await self._write(lambda db: wanting.unwant(db, target_id))

    async def want(self, targets: Sequence[Target]) -> None:
        """Have them shown from now on; one that is wanted already follows what is new as well."""
        at = self._clock()
        await self._change(lambda db: wanting.want(db, targets, at))

    async def raised(
        self,
        until: float,
        limit: int,
        *,
        ready: float | None = None,
        busy: Sequence[str] = (),
        favoured: Mapping[str, int] | None = None,
    ) -> list[Raised]:
        """Targets that are due by `until`, of each lane the one whose turn it is."""
        ready = until if ready is None else ready
        return await self._targets(showing.raised(limit, until, ready, busy, favoured or {}))

    async def story(self, target: Target) -> Story:
        """What there is to show of what it follows."""
        return await self._read(lambda db: story(db, target))

    async def remember(
        self, target_id: str, memory: Memory, *, holding: tuple[str, str] | None = None
    ) -> bool:
        """Keep what a place remembers of itself, while a lease is held by who is named."""
        at = self._clock()
        return await self._change(
            lambda db: showing.remember(db, target_id, memory, at, holding=holding)
        )

    async def showed(self, target_id: str, wanted: int) -> None:
        """It shows what was so at `wanted`; what has changed since raises it again."""
        at = self._clock()
        await self._write(lambda db: showing.showed(db, target_id, wanted, at))

    async def not_shown(
        self, target_id: str, wanted: int, error: str, *, due_at: float | None
    ) -> None:
        """It could not be shown; again at `due_at`; None parks it until something changes."""
        at = self._clock()
        failed = (target_id, wanted)
        await self._write(lambda db: showing.not_shown(db, failed, error, at, due_at))

    async def postpone(self, target_id: str, due_at: float) -> None:
        """Show it at `due_at`, with what has changed by then; nothing has failed."""
        await self._write(lambda db: showing.postpone(db, target_id, due_at))

    async def show_again(self, target_id: str | None = None) -> int:
        """Have one that fails or is parked tried again at once, or all; returns how many."""
        at = self._clock()
        return await self._change(lambda db: showing.show_again(db, target_id, at))

    async def feedback(self, *, limit: int, failing: bool = False) -> list[Raised]:
        """Targets, the newest first; only those that fail or are parked where asked for."""
        t = tables.feedback
        query = sa.select(t).order_by(t.c.at.desc(), t.c.id).limit(limit)
        return await self._targets(query.where(t.c.error.is_not(None)) if failing else query)

    async def _targets(self, query: sa.Select[Any]) -> list[Raised]:
        return await self._read(lambda db: showing.read(db, db.execute(query).mappings()))
