"""Statements on deployments, built once: every push runs them several times.

SQLAlchemy takes longer to build a statement with all columns, and to find its compiled form, than
SQLite to run it. Parameters begin with `its_`, since a column's name can't be one in an update.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.decision import Reason
from bridge.core.lifecycle import LOSABLE, OURS, State
from bridge.storage import tables

_D, _T = tables.decisions, tables.deployments
_ID, _APP = sa.bindparam("its_id", type_=sa.Text), sa.bindparam("its_app", type_=sa.Text)
_SEQ = sa.bindparam("its_seq", type_=sa.BigInteger)

UNASKED = _T.c.state.in_(OURS) & _T.c.intent_at.is_(None)
"""The condition for a deployment that was not requested and is not about to be."""

OF_ID = sa.select(_T).where(_T.c.id == _ID)
"""The query for a deployment."""

LOCKED = OF_ID.with_for_update()
"""The same, locked until the end of the transaction."""

IF_UNASKED = LOCKED.where(UNASKED)
IF_IN_LINE = LOCKED.where((_T.c.state == State.WAITING) & _T.c.intent_at.is_(None))
"""The same if it waits for its turn, and is not about to be requested."""

IF_WAITING = LOCKED.where(_T.c.state == State.WAITING)
IF_HELD = LOCKED.where(_T.c.state == State.HELD)
IF_LOSABLE = LOCKED.where(_T.c.state.in_(LOSABLE))

DUE_HOLDS = (
    sa.select(_T)
    .where(_T.c.look_at <= sa.bindparam("its_now"))
    .order_by(_T.c.look_at, _T.c.id)
    .limit(sa.bindparam("its_most"))
)
"""The query for held ones that are to be judged."""

CHANGE = sa.update(_T).where(_T.c.id == _ID).returning(_T)
"""The change of a deployment; the other parameters are its new facts."""

_OTHERS = (_T.c.app_id == _APP) & (_T.c.id != _ID)

UNASKED_OTHERS = sa.select(_T).where(_OTHERS & UNASKED).order_by(_T.c.id).with_for_update()
"""The query for the other deployments of its app that were not requested yet, locked."""

WANTED = (
    sa.select(
        *(_T.c.id, _T.c.seq, _T.c.action, _T.c.state, _T.c.person),
        *(_T.c.target, _T.c.pinned, _T.c.commit, _T.c.back_from),
    )
    .where(_OTHERS & _T.c.behind.is_(None))
    .where(sa.func.coalesce(_T.c.superseded_by, "") != _ID)
    .order_by(_T.c.seq.desc())
)
"""The query for those of its app that may be newer, newest first; each is a `Wanted`."""

LATER = _T.c.seq > _SEQ
WANTED_LATER = WANTED.where(LATER)

CANCELLED_LATER = (
    sa.select(_D.c.seq)
    .where((_D.c.app_id == _APP) & (_D.c.seq > _SEQ) & (_D.c.reason == Reason.CANCEL_ASKED))
    .limit(1)
)
"""The query for a later cancel of its app."""

PLACES = ("newest", "before", "doubt")
"""The deployments that tell what an app serves; see `Serving`."""


def served_places(app_ids: Sequence[str]) -> sa.Select[Any]:
    """Return the query for what each app served last and before, and for a doubt, by their ids.

    Order by when each began to be served: an older deployment may have been held, and begun later.
    It costs a few index searches per app, however long its history is.
    """
    a, t = tables.apps, tables.deployments
    served = (
        sa.select(t.c.id)
        .where((t.c.app_id == a.c.id) & (t.c.live_at > 0))
        .order_by(t.c.live_at.desc(), t.c.id.desc())
        .limit(1)
    )
    unknown = (
        sa.select(t.c.id)
        .where((t.c.app_id == a.c.id) & (t.c.state == State.UNKNOWN))
        .order_by(t.c.finished_at.desc())
        .limit(1)
    )
    return sa.select(
        a.c.id.label("app_id"),
        a.c.gone,
        served.scalar_subquery().label("newest"),
        served.offset(1).scalar_subquery().label("before"),
        unknown.scalar_subquery().label("doubt"),
    ).where(a.c.id.in_(app_ids))
