"""The rows of deployments: read, find, lock and change them, and mark held ones to be judged again.

Statements that every push runs several times are built once: SQLAlchemy takes longer to build one
with all columns, and to find its compiled form, than SQLite to run it. Their parameters begin with
`its_`, since a column's name can't be one in an update.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from bridge.core.access import Right
from bridge.core.decision import Reason
from bridge.core.events import Action
from bridge.core.holds import Gate, Hold, Lift, Proposal
from bridge.core.lifecycle import (
    FINAL,
    LOSABLE,
    OURS,
    Cancel,
    Change,
    Deployment,
    Evidence,
    NoteKind,
    State,
    Verdict,
)
from bridge.core.people import Cause, Origin
from bridge.storage import tables
from bridge.storage.engines import lock
from bridge.storage.journal.rows import actor_row, batched, split_actor

_D, _T = tables.decisions, tables.deployments

_ID, _APP = sa.bindparam("its_id", type_=sa.Text), sa.bindparam("its_app", type_=sa.Text)

_SEQ = sa.bindparam("its_seq", type_=sa.BigInteger)

GOING = _T.c.state.in_([state for state in State if state not in FINAL])
"""The condition for an open deployment."""

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


def ids_text(ids: Sequence[str]) -> str:
    """Return ids as the text of a column."""
    return json.dumps(list(ids))


def read_deployment(row: Mapping[str, Any] | sa.RowMapping) -> Deployment:
    """Return a deployment from a row of `deployments`."""
    facts, origin = split_origin(row)
    return Deployment(
        **facts
        | {
            "origin": origin,
            "action": Action(row["action"]),
            "state": State(row["state"]),
            "known_before": tuple(json.loads(row["known_before"])),
            "accounts": tuple(json.loads(row["accounts"])),
            "images": None if row["images"] is None else tuple(json.loads(row["images"])),
            "cancel": row["cancel"] and Cancel(row["cancel"]),
            "verdict": row["verdict"] and Verdict(row["verdict"]),
            "evidence": row["evidence"] and Evidence(row["evidence"]),
            "holds": read_holds(row["holds"]),
            "lifts": read_lifts(row["lifts"]),
            "note_kind": row["note_kind"] and NoteKind(row["note_kind"]),
        }
    )


def read_change(row: Mapping[str, Any] | sa.RowMapping) -> Change:
    """Return a line of a history from a row of `changes`."""
    kind = row["note_kind"] and NoteKind(row["note_kind"])
    return Change(row["at"], State(row["state"]), row["note"], kind, row["way_back"])


def holds_text(holds: Sequence[Hold]) -> str:
    """Return holds as the text of a column."""
    return json.dumps([asdict(one) for one in holds])


def read_holds(text: str) -> tuple[Hold, ...]:
    """Return holds from a column."""
    return tuple(_read_hold(said) for said in json.loads(text))


def _read_hold(said: Mapping[str, Any]) -> Hold:
    """Return a hold; one that an earlier version has written lacks some facts."""
    proposal = said.get("proposal")
    if proposal is not None:
        several = {one: tuple(proposal.get(one, ())) for one in ("files", "same", "authors", "by")}
        proposal = Proposal(**proposal | several)
    typed = {"gate": Gate(said["gate"]), "may_lift": Right(said["may_lift"])}
    return Hold(**{**said, **typed, "proposal": proposal})


def lifts_text(lifts: Sequence[Lift]) -> str:
    """Return lifts as the text of a column."""
    return json.dumps([asdict(one) for one in lifts])


def read_lifts(text: str) -> tuple[Lift, ...]:
    """Return lifts from a column."""
    return tuple(Lift(**said | {"keys": tuple(said["keys"])}) for said in json.loads(text))


ORIGIN = (_T.c.trigger, _T.c.cause, _T.c.found, _T.c.actor_door, _T.c.actor_name, _T.c.actor_id)
"""The columns of what led to a deployment."""


def origin_row(origin: Origin) -> dict[str, Any]:
    """Return what led to a deployment as columns; processes of older releases read `trigger`."""
    facts = {"trigger": str(origin), "cause": origin.cause, "found": origin.found}
    return facts | actor_row(origin.actor)


def split_origin(row: Mapping[str, Any] | sa.RowMapping) -> tuple[dict[str, Any], Origin]:
    """Return the columns of a deployment's row, and what led to it.

    Processes of an older release write only `trigger`, beside ours during an upgrade.
    """
    facts, actor = split_actor(row)
    text, cause, found = (facts.pop(name) for name in ("trigger", "cause", "found"))
    return facts, Origin(Cause(cause), actor, found) if cause else Origin.read(text)


# ── find them ────────────────────────────────────────────────────────────────────────────────────


def one_of(
    db: sa.Connection, query: sa.Executable, its: Mapping[str, Any] = MappingProxyType({})
) -> Deployment | None:
    """Return the first deployment that a query finds; None if it finds none."""
    row = db.execute(query, its).mappings().first()
    return None if row is None else read_deployment(row)


def all_of(
    db: sa.Connection, query: sa.Select[Any], its: Mapping[str, Any] = MappingProxyType({})
) -> list[Deployment]:
    """Return the deployments that a query finds."""
    return [read_deployment(row) for row in db.execute(query, its).mappings().all()]


def read(db: sa.Connection, id_: str) -> Deployment | None:
    """Return a deployment; None if there is none."""
    return one_of(db, OF_ID, {"its_id": id_})


def read_all(db: sa.Connection, ids: Iterable[str]) -> dict[str, Deployment]:
    """Return deployments by their ids; omit those that there are not."""
    found: list[Deployment] = []
    for some in batched(sorted(ids)):
        found += all_of(db, sa.select(_T).where(_T.c.id.in_(some)))
    return {one.id: one for one in found}


def last_served(db: sa.Connection, app_id: str, limit: int) -> list[Deployment]:
    """Return the newest deployments that an app has served, newest first."""
    query = sa.select(_T).where((_T.c.app_id == app_id) & (_T.c.live_at > 0))
    return all_of(db, query.order_by(_T.c.live_at.desc(), _T.c.id.desc()).limit(limit))


def last_served_of(
    db: sa.Connection, app_ids: Sequence[str], each: int
) -> dict[str, list[Deployment]]:
    """Return the newest deployments that each app has served, newest first; read only those."""
    a, one = tables.apps, _T.alias()
    first = (
        sa.select(one.c.live_at)
        .where((one.c.app_id == a.c.id) & (one.c.live_at > 0))
        .order_by(one.c.live_at.desc())
        .limit(1)
        .offset(each - 1)
        .scalar_subquery()
    )
    since = (_T.c.live_at > 0) & (_T.c.live_at >= sa.func.coalesce(first, 0))
    of_app = (_T.c.app_id == a.c.id) & since
    query = sa.select(_T).select_from(a.join(_T, of_app))
    found: dict[str, list[Deployment]] = {id_: [] for id_ in app_ids}
    for some in batched(app_ids):
        of_some = query.where(a.c.id.in_(some)).order_by(_T.c.live_at.desc(), _T.c.id.desc())
        for lived in all_of(db, of_some):
            found[lived.app_id].append(lived)
    return found


def locked(db: sa.Connection, id_: str, only: sa.Select[Any]) -> Deployment | None:
    """Return a deployment if `only` finds it, locked until the end of this transaction."""
    return one_of(db, only, {"its_id": id_})


def change(db: sa.Connection, id_: str, facts: dict[str, Any]) -> Deployment | None:
    """Change a deployment; return None if there is none."""
    return one_of(db, CHANGE, facts | {"its_id": id_})


# ── held deployments that have to be judged again ─────────────────────────────────────────────────

_GATES = "gates"
"""The lock between judgements and changes of facts: nothing passes a gate that has just closed."""


def judging(db: sa.Connection) -> None:
    """Keep facts from changing until the end of this transaction; others may judge meanwhile."""
    lock(db, _GATES, shared=True)


def changing(db: sa.Connection) -> None:
    """Keep others from judging until the end of this transaction."""
    lock(db, _GATES)


def mark_due(db: sa.Connection, only: sa.ColumnElement[bool], at: float) -> None:
    """Mark held deployments, so they are judged again."""
    held = (_T.c.state == State.HELD) & only
    db.execute(sa.update(_T).where(held).values(look_at=at))


def mark_apps_due(db: sa.Connection, app_ids: Sequence[str] | None, at: float) -> None:
    """Mark the held deployments of these apps; of all, if None."""
    if app_ids is None:
        mark_due(db, sa.true(), at)
        return
    for some in batched(app_ids):
        mark_due(db, _T.c.app_id.in_(some), at)


def mark_followers_due(db: sa.Connection, app_id: str, at: float, moved: str = "") -> None:
    """Mark those that are held until an app serves something, or its deployment `moved`."""
    a, holds = tables.apps, _T.c.holds
    label = db.scalar(sa.select(a.c.label).where(a.c.id == app_id))
    keys = [f"{Gate.ORDER}:{label}:"] if label is not None else []
    keys += [f"{Gate.ORDER}:{moved}"] if moved else []
    texts = [json.dumps(key)[1:-1] for key in keys]  # as in the column
    mark_due(db, sa.or_(*(holds.contains(text, autoescape=True) for text in texts)), at)
