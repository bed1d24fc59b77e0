"""Small facts of the bridge's own."""

import secrets

import sqlalchemy as sa

from bridge.stores import tables
from bridge.stores.inserts import add_new
from bridge.stores.journal.transactions import Transactions


class Notes(Transactions):
    """Facts by their key; one of them is the name of this journal."""

    async def note(self, key: str, value: str) -> None:
        """Keep a small fact of the bridge's own, in place of the one before."""
        await self._write(lambda db: _note(db, key, value))

    async def recall(self, key: str) -> str | None:
        """A fact that was noted."""
        t = tables.meta
        found = await self._all(sa.select(t.c.value).where(t.c.key == key))
        return str(found[0]["value"]) if found else None

    async def instance(self) -> str:
        """A random name for this journal, made once: another bridge's tokens are not ours."""
        return await self._write(_instance)


def _note(db: sa.Connection, key: str, value: str) -> None:
    """Keep a small fact, in place of the one before."""
    t = tables.meta
    if not add_new(db, t, [{"key": key, "value": value}]):
        db.execute(sa.update(t).where(t.c.key == key).values(value=value))


def _instance(db: sa.Connection) -> str:
    """This journal's name, made when it is first asked for."""
    t = tables.meta
    add_new(db, t, [{"key": "instance", "value": secrets.token_hex(8)}])
    return str(db.scalar(sa.select(t.c.value).where(t.c.key == "instance")))
