"""What must run once in a cluster runs with who holds its lease."""

import sqlalchemy as sa

from bridge.stores import tables
from bridge.stores.dialects import now
from bridge.stores.inserts import add_new
from bridge.stores.journal.transactions import Transactions


class Leases(Transactions):
    """Who holds what, and until when."""

    async def hold(self, name: str, owner: str, seconds: float) -> bool:
        """Hold a lease, or renew it: what must run once in a cluster runs with its holder."""
        clock = self._clock()
        return await self._write(lambda db: _hold(db, name, owner, clock, seconds))

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is held."""
        await self._write(lambda db: _release(db, name, owner))

    async def leave(self, owner: str) -> None:
        """Give back every lease that one holds."""
        t = tables.leases
        await self._write(lambda db: db.execute(sa.delete(t).where(t.c.owner == owner)))


def _hold(db: sa.Connection, name: str, owner: str, clock: float, seconds: float) -> bool:
    """Take a lease that nobody holds any more, or renew one's own."""
    t = tables.leases
    at = now(db, clock)
    mine_or_over = (t.c.name == name) & ((t.c.owner == owner) | (t.c.until < at))
    taken = db.execute(sa.update(t).where(mine_or_over).values(owner=owner, until=at + seconds))
    if taken.rowcount:
        return True
    return bool(add_new(db, t, [{"name": name, "owner": owner, "until": at + seconds}]))


def _release(db: sa.Connection, name: str, owner: str) -> None:
    """Give a lease back."""
    t = tables.leases
    db.execute(sa.delete(t).where((t.c.name == name) & (t.c.owner == owner)))


def held(db: sa.Connection, name: str, owner: str) -> bool:
    """Whether a lease is still somebody's. Not locked: who falls silent must not keep it."""
    t = tables.leases
    mine = sa.select(t.c.name).where((t.c.name == name) & (t.c.owner == owner))
    return db.scalar(mine) is not None
