"""Webhooks that were refused at the door: counts, bounded in number and age."""

from collections.abc import Sequence
from dataclasses import asdict

import sqlalchemy as sa

from bridge.core.refused import RefusedWebhooks
from bridge.stores import tables
from bridge.stores.inserts import insert_into
from bridge.stores.journal.transactions import Transactions

MOST = 20_000
"""Counts that are kept, some megabytes: of a steady flood the last ten hours."""

DAYS = 30.0
"""How long they are kept."""


class Refusals(Transactions):
    """Counts of refused webhooks."""

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        """Add counts of refused webhooks; the oldest of very many are forgotten."""
        if those:
            now = self._clock()
            await self._write(lambda db: _keep(db, those, now))

    async def refused(self, *, limit: int, since: float | None = None) -> list[RefusedWebhooks]:
        """Return the newest counts, newest first; those of webhooks from `since` on if given."""
        t = tables.refused
        query = sa.select(t).order_by(t.c.last.desc()).limit(limit)
        if since is not None:
            query = query.where(t.c.last >= since)
        return [RefusedWebhooks(**row) for row in await self._all(query)]


def _keep(db: sa.Connection, those: Sequence[RefusedWebhooks], now: float) -> None:
    """Add each count to what is known of it, and forget what is too old or too much."""
    t = tables.refused
    insert = insert_into(db, t)
    newest = insert.excluded
    added = {"count": t.c.count + newest.count, "last": newest.last, "why": newest.why}
    query = insert.on_conflict_do_update(index_elements=list(t.primary_key.columns), set_=added)
    db.execute(query, [asdict(one) for one in those])
    db.execute(sa.delete(t).where(t.c.last < now - DAYS * 86_400))
    too_old = sa.select(t.c.last).order_by(t.c.last.desc()).offset(MOST).limit(1)
    db.execute(sa.delete(t).where(t.c.last <= too_old.scalar_subquery()))
