"""Whether anything has changed that people can see."""

import sqlalchemy as sa

from bridge.storage import tables
from bridge.storage.journal.transactions import Transactions


class Versions(Transactions):
    """The newest numbers of what only grows."""

    async def version(self) -> str:
        d, a, c, r = tables.decisions, tables.audit, tables.changes, tables.refused
        newest = (
            sa.select(sa.func.max(col)).scalar_subquery()
            for col in (c.c.number, a.c.number, d.c.seq, r.c.last)
        )
        row = (await self._all(sa.select(*(one.label(f"n{n}") for n, one in enumerate(newest)))))[0]
        return ".".join(str(row[f"n{n}"] or 0) for n in range(4))
