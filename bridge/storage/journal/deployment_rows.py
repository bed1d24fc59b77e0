"""The rows of deployments: read, find, lock and change them within a transaction."""

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.lifecycle import Cancel, Change, Deployment, Evidence, NoteKind, State, Verdict
from bridge.core.people import Cause, Origin
from bridge.storage import tables
from bridge.storage.journal.gates import read_holds, read_lifts
from bridge.storage.journal.rows import actor_row, batched, split_actor
from bridge.storage.journal.statements import CHANGE, OF_ID

_T = tables.deployments


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


def locked(db: sa.Connection, id_: str, only: sa.Select[Any]) -> Deployment | None:
    """Return a deployment if `only` finds it, locked until the end of this transaction."""
    return one_of(db, only, {"its_id": id_})


def change(db: sa.Connection, id_: str, facts: dict[str, Any]) -> Deployment | None:
    """Change a deployment; return None if there is none."""
    return one_of(db, CHANGE, facts | {"its_id": id_})
