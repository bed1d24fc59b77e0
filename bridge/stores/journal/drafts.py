"""Changes that are shown to somebody who has not agreed yet."""

import sqlalchemy as sa

from bridge.stores import tables
from bridge.stores.journal.transactions import Transactions

DRAFTS_LAST = 7 * 86400.0
"""Seconds; one that was agreed to waits no longer for its backend than that."""


class Drafts(Transactions):
    """Changes that wait for somebody to agree; what is secret in them is sealed."""

    async def keep_draft(self, id_: str, sealed: str) -> None:
        """Keep a change that is shown to somebody; those that are a week old are forgotten."""
        at = self._clock()
        await self._write(lambda db: _keep(db, id_, sealed, at))

    async def draft(self, id_: str) -> str | None:
        """A change that was kept; None where it is not, or not any more."""
        t = tables.drafts
        found = await self._all(sa.select(t.c.sealed).where(t.c.id == id_))
        return str(found[0]["sealed"]) if found else None

    async def drop_draft(self, id_: str) -> None:
        """Forget one that was carried out, or never will be."""
        t = tables.drafts
        await self._write(lambda db: db.execute(sa.delete(t).where(t.c.id == id_)))


def _keep(db: sa.Connection, id_: str, sealed: str, at: float) -> None:
    """Keep a change that is shown to somebody, in place of an older one under that id."""
    t = tables.drafts
    db.execute(sa.delete(t).where((t.c.id == id_) | (t.c.at < at - DRAFTS_LAST)))
    db.execute(sa.insert(t).values(id=id_, sealed=sealed, at=at))
