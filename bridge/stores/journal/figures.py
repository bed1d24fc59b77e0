"""Figures, for those who watch over it."""

from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import FINAL, State
from bridge.ports.figures import Ended, JournalFigures
from bridge.stores import tables
from bridge.stores.journal.transactions import Transactions
from bridge.stores.migrations import refuse_newer


class Figures(Transactions):
    """How much there is, what has ended, and whether the database answers."""

    async def figures(self) -> JournalFigures:
        """How much is going on now."""
        return await self._read(_figures)

    async def newest_change(self) -> int:
        """The number of the newest change; 0 where there is none."""
        return await self._read(_newest_change)

    async def ended(self, after: int) -> list[Ended]:
        """What has ended by a change with a number above `after`, each deployment once."""
        return [_read_ended(row) for row in await self._all(_ended(after))]

    async def ready(self) -> None:
        """Return if the journal can be used.

        Raises:
            Unreachable: the database can't be read.
            Rejected: a newer release has brought its tables up to date meanwhile.
        """
        await self._read(refuse_newer)


def _figures(db: sa.Connection) -> JournalFigures:
    """How much is going on now; each part is read from an index."""
    d, f = tables.deployments, tables.feedback
    count = sa.func.count()
    going = [state for state in State if state not in FINAL]
    by_state = sa.select(d.c.state, count).where(d.c.state.in_(going)).group_by(d.c.state)
    waiting = sa.select(count, sa.func.min(f.c.due_at)).where(f.c.due_at.is_not(None))
    raised, overdue = db.execute(waiting).one()
    parked = db.scalar(sa.select(count).where(f.c.parked))
    counted = {State(state): number for state, number in db.execute(by_state)}
    return JournalFigures(counted, raised, parked or 0, overdue)


def _newest_change(db: sa.Connection) -> int:
    """The number of the newest change; 0 where there is none."""
    return db.scalar(sa.select(sa.func.max(tables.changes.c.number))) or 0


def _ended(after: int) -> sa.Select[Any]:
    """The query for what has ended since; what was said after an end is no second one."""
    c, d = tables.changes, tables.deployments
    earlier = tables.changes.alias()
    before = (earlier.c.deployment == c.c.deployment) & (earlier.c.number < c.c.number)
    again = sa.exists().where(before & earlier.c.state.in_(FINAL))
    return (
        sa.select(c.c.number, d.c.app, c.c.state, d.c.started_at, d.c.finished_at)
        .join(d, d.c.id == c.c.deployment)
        .where(c.c.number > after, c.c.state.in_(FINAL), ~again)
        .order_by(c.c.number)
    )


def _read_ended(row: dict[str, Any]) -> Ended:
    """A row of `_ended`."""
    began, finished = row["started_at"], row["finished_at"]
    seconds = None if began is None or finished is None else max(0.0, finished - began)
    return Ended(row["number"], row["app"], State(row["state"]), seconds)
