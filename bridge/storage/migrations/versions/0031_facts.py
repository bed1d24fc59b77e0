"""Keep who led to a deployment or a change, and what notes say, as facts beside the text."""

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

from bridge.core.people import Actor, Origin

revision = "0031"
down_revision = "0030"

_ACTOR = ("actor_door", "actor_name", "actor_id")
_MANY = 1000


def upgrade() -> None:
    """Add the columns; read the facts about earlier rows from their text."""
    op.add_column("deployments", sa.Column("cause", sa.Text))
    found = sa.Column("found", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("deployments", found)
    for table in ("deployments", "audit"):
        for name in _ACTOR:
            actor = sa.Column(name, sa.Text, nullable=False, server_default="")
            op.add_column(table, actor)
    for table in ("deployments", "changes"):
        op.add_column(table, sa.Column("note_kind", sa.Text))
        op.add_column(table, sa.Column("way_back", sa.Text, nullable=False, server_default=""))
    _fill("deployments", "id", "trigger", _of_origin)
    _fill("audit", "number", "by", _of_actor)
    for table, key in (("deployments", "id"), ("changes", "number")):
        for kind, notes in _KINDS.items():
            t = sa.table(table, sa.column("note"), sa.column("note_kind"))
            says = sa.or_(*(t.c.note.like(one) for one in notes)) & t.c.note_kind.is_(None)
            op.execute(sa.update(t).where(says).values(note_kind=kind))
        _fill(table, key, "note", _of_note, "state = 'unhealthy'")


_KINDS = {
    "live": ("commit % is live%", "image % is live%"),
    "again": ("% is served again, as it was built then%",),
    "untold": ("the backend does not say which commit is live%",),
    "away": ("waits for the backend%",),
}
_WAY_BACK = re.compile(
    r"; (it goes back to .{1,300}? by itself( once nothing holds it: .*)?"
    r"|whether it goes back by itself is decided later: .*)$",
    re.DOTALL,
)


def _of_note(text: str) -> dict[str, Any]:
    found = _WAY_BACK.search(text)
    return {"way_back": found[1] if found else ""}


def _of_origin(text: str) -> dict[str, Any]:
    origin = Origin.read(text)
    return _facts(origin.actor) | {"cause": str(origin.cause), "found": origin.found}


def _of_actor(text: str) -> dict[str, Any]:
    return _facts(Actor.read(text))


def _facts(actor: Actor) -> dict[str, Any]:
    return dict(zip(_ACTOR, (actor.door, actor.name, actor.id), strict=True))


def _fill(
    table: str, key: str, text: str, read: Callable[[str], dict[str, Any]], only: str = "1 = 1"
) -> None:
    """Fill in what the text of each row says."""
    names = (key, text, *read(""))
    t = sa.table(table, *(sa.column(name) for name in names))
    db = op.get_bind()
    change = sa.update(t).where(t.c[key] == sa.bindparam("its_key"))
    rows = db.execute(sa.select(t.c[key], t.c[text]).where(sa.text(only))).all()
    for begin in range(0, len(rows), _MANY):
        some = rows[begin : begin + _MANY]
        values = [read(said) | {"its_key": its_key} for its_key, said in some]
        db.execute(change.values({name: sa.bindparam(name) for name in names[2:]}), values)
