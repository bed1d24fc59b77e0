"""Whose turn it is to be shown, what it remembers, and how it went."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from bridge.ports.feedback import Raised
from bridge.ports.targets import LINK, Memory, about_delivery, about_deployment, named
from bridge.stores import tables
from bridge.stores.inserts import batched
from bridge.stores.journal import rows
from bridge.stores.journal.leases import held
from bridge.stores.journal.raising import changed


def raised(
    limit: int, until: float, ready: float, busy: Sequence[str], favoured: Mapping[str, int]
) -> sa.Select[Any]:
    """The query for targets that are due: of each lane the one whose turn it is."""
    t = tables.feedback
    not_yet = sa.case((t.c.due_at <= ready, 0), else_=1)  # what is due soon delays nothing
    first_rank = sa.case(dict(favoured), value=t.c.lane, else_=0) if favoured else sa.literal(0)
    passed_over = sa.case((t.c.rank < first_rank, 1), else_=0)
    order = (not_yet, passed_over, t.c.rank, t.c.due_at, t.c.id)
    turn = sa.func.row_number().over(partition_by=t.c.lane, order_by=order)
    due = sa.select(t, turn.label("turn")).where(t.c.due_at <= until)
    first = (due.where(t.c.lane.not_in(list(busy))) if busy else due).subquery()
    return sa.select(first).where(first.c.turn == 1).order_by(first.c.due_at).limit(limit)


def remember(
    db: sa.Connection,
    target_id: str,
    memory: Memory,
    at: float,
    *,
    holding: tuple[str, str] | None = None,
) -> bool:
    """Keep what a place remembers of itself; a new link is news for what may show it."""
    t = tables.feedback
    if holding is not None and not held(db, *holding):
        return False
    before = db.scalar(sa.select(t.c.memory).where(t.c.id == target_id))
    db.execute(sa.update(t).where(t.c.id == target_id).values(memory=rows.place_text(memory)))
    if before is not None and rows.read_place(before).get(LINK) != memory.get(LINK):
        changed(db, _linking(db, target_id), at, but=target_id)
    return True


def _linking(db: sa.Connection, target_id: str) -> list[str]:
    """What is followed by all that may link to a target: see `ports.LINK`."""
    t, f = tables.deployments, tables.follows
    followed = db.scalars(sa.select(f.c.key).where(f.c.target == target_id))
    ids = named(followed, "deployment")
    query = sa.select(t.c.id, t.c.seq).where(t.c.id.in_(ids) | t.c.superseded_by.in_(ids))
    found = db.execute(query).all()
    return [key for id_, seq in found for key in (about_deployment(id_), about_delivery(seq))]


def showed(db: sa.Connection, target_id: str, wanted: int, at: float) -> None:
    """It is up to `wanted`; if more has changed by now, it is due again."""
    t = tables.feedback
    values = {
        "shown": wanted,
        "due_at": sa.case((t.c.wanted > wanted, at), else_=sa.null()),
        "attempts": 0,
        "failing_since": None,
        "error": None,
        "parked": False,
    }
    db.execute(sa.update(t).where(t.c.id == target_id).values(values))


def not_shown(
    db: sa.Connection, failed: tuple[str, int], error: str, at: float, due_at: float | None
) -> None:
    """A target, as it was wanted, could not be shown; without `due_at` it is parked.

    But what has changed while it was tried counts as the change that takes it up again.
    """
    t = tables.feedback
    target_id, wanted = failed
    parks = t.c.wanted <= wanted if due_at is None else sa.false()
    values = {
        "attempts": t.c.attempts + 1,
        "failing_since": sa.func.coalesce(t.c.failing_since, at),
        "error": error,
        "due_at": sa.case((parks, sa.null()), else_=at if due_at is None else due_at),
        "parked": parks,
    }
    db.execute(sa.update(t).where(t.c.id == target_id).values(values))


def postpone(db: sa.Connection, target_id: str, due_at: float) -> None:
    """Show it at `due_at`; whether it was failing stays as it was."""
    t = tables.feedback
    db.execute(sa.update(t).where(t.c.id == target_id).values(due_at=due_at))


def show_again(db: sa.Connection, target_id: str | None, at: float) -> int:
    """Try one that fails or is parked at once, or all of them."""
    t = tables.feedback
    which = t.c.error.is_not(None) if target_id is None else t.c.id == target_id
    again = {"due_at": at, "attempts": 0, "failing_since": None, "parked": False}
    return db.execute(sa.update(t).where(which & t.c.error.is_not(None)).values(again)).rowcount


def read(db: sa.Connection, found: Iterable[sa.RowMapping]) -> list[Raised]:
    """Rows as targets, with what they follow."""
    listed = list(found)
    f = tables.follows
    keys: dict[str, list[str]] = {row["id"]: [] for row in listed}
    for some in batched(list(keys)):
        query = sa.select(f).where(f.c.target.in_(some)).order_by(f.c.key)
        for row in db.execute(query).mappings():
            keys[row["target"]].append(row["key"])
    return [rows.read_raised(dict(row), tuple(keys[row["id"]])) for row in listed]
