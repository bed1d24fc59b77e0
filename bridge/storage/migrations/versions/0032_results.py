"""Keep what results, locks and holds mean as facts beside the text."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

from bridge.core.holds import Gate
from bridge.ports.outcomes import Result

revision = "0032"
down_revision = "0031"

_MANY = 1000
_OF_ROLLBACK = "rolled back by deployment #%"


def upgrade() -> None:
    """Add the columns; read the facts about earlier rows from their text.

    The inbox, which has tables of its own, gets the number of unfinished attempts, and the
    repository that no app deploys from.
    """
    for name in ("stage", "why"):
        op.add_column("audit", sa.Column(name, sa.Text, nullable=False, server_default=""))
    of_rollback = sa.Column("of_rollback", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("locks", of_rollback)
    t = sa.table("locks", sa.column("reason"), sa.column("of_rollback"))
    says = t.c.reason.like(_OF_ROLLBACK)
    op.execute(sa.update(t).where(says).values(of_rollback=sa.true()))
    _fill_results()
    _fill_holds()


def _fill_results() -> None:
    names = ("number", "outcome", "stage", "why")
    t = sa.table("audit", *(sa.column(name) for name in names))
    rows = op.get_bind().execute(sa.select(t.c.number, t.c.outcome)).all()
    results = ((number, Result.read(outcome)) for number, outcome in rows)
    _change(t, "number", [{"key": n, "stage": one.stage, "why": one.why} for n, one in results])


def _fill_holds() -> None:
    """Name the part of held deployments' reasons that their history tells."""
    t = sa.table("deployments", *(sa.column(name) for name in ("id", "state", "holds")))
    held = sa.select(t.c.id, t.c.holds).where(t.c.state == "held")
    rows = op.get_bind().execute(held).all()
    _change(t, "id", [{"key": id_, "holds": _with_headlines(holds)} for id_, holds in rows])


def _with_headlines(holds: str) -> str:
    def told(hold: dict[str, Any]) -> dict[str, Any]:
        told_of = hold["gate"] in (Gate.CHECKS, Gate.APPROVAL, Gate.ORDER)
        return hold | {"headline": hold["says"].partition(":")[0] if told_of else ""}

    return json.dumps([told(one) for one in json.loads(holds)])


def _change(t: sa.TableClause, key: str, rows: list[dict[str, Any]]) -> None:
    for begin in range(0, len(rows), _MANY):
        some = rows[begin : begin + _MANY]
        columns = [name for name in some[0] if name != "key"]
        change = (
            sa.update(t)
            .where(t.c[key] == sa.bindparam("key"))
            .values({one: sa.bindparam(one) for one in columns})
        )
        op.get_bind().execute(change, some)
