"""What there is to show of what a place follows."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.watch import App
from bridge.ports.feedback import Story
from bridge.ports.targets import Memory, Target, about_delivery, about_deployment, named
from bridge.stores import tables
from bridge.stores.inserts import batched
from bridge.stores.journal import rows
from bridge.stores.journal.apps import APPS
from bridge.stores.journal.explaining import explained_of, newest_of_apps

MOST_DELIVERIES = 1000
"""Of those that one target follows, the newest; a statement takes only so many values."""


def story(db: sa.Connection, target: Target) -> Story:
    """What there is to show of what a target follows, in one moment.

    Of very many pushes, as of a pull request that lives for a year, the newest are read.
    """
    ids = named(target.follows, "deployment")
    seqs = sorted(int(seq) for seq in named(target.follows, "delivery"))[-MOST_DELIVERIES:]
    deployments = _deployments(db, ids, seqs)
    query = explained_of(seqs)
    explained = tuple(rows.read_explained(dict(row)) for row in db.execute(query).mappings())
    changed_apps = _audited([int(n) for n in named(target.follows, "change")], seqs)
    audited = tuple(rows.read_audited(dict(row)) for row in db.execute(changed_apps).mappings())
    app_ids = {one.app_id for one in deployments} | {one.decision.app_id for one in explained}
    app_ids |= {one.app_id for one in audited}
    newer = [one.superseded_by for one in deployments if one.superseded_by]
    return Story(
        explained=explained,
        deployments=deployments,
        history={id_: _history(db, id_) for id_ in ids},
        apps=_apps(db, sorted(app_ids)),
        beside=_beside(db, target.id, [*(one.id for one in deployments), *newer])
        | _comments(db, sorted({one.seq for one in deployments if one.id in ids})),
        before=_before(db, [one for one in deployments if one.id in ids]),
        audited=audited,
    )


def _deployments(
    db: sa.Connection, ids: Sequence[str], seqs: Sequence[int]
) -> tuple[Deployment, ...]:
    query = newest_of_apps(tables.deployments, ids, seqs)
    return tuple(rows.read_deployment(dict(row)) for row in db.execute(query).mappings())


def _apps(db: sa.Connection, ids: Sequence[str]) -> dict[str, App]:
    found: dict[str, App] = {}
    for some in batched(ids):
        query = APPS.where(tables.apps.c.id.in_(some))
        found |= {row["id"]: rows.read_app(dict(row)) for row in db.execute(query).mappings()}
    return found


def _history(db: sa.Connection, id_: str) -> tuple[Change, ...]:
    t = tables.changes
    query = sa.select(t).where(t.c.deployment == id_).order_by(t.c.number)
    found = db.execute(query).mappings()
    return tuple(Change(row["at"], State(row["state"]), row["note"]) for row in found)


def _beside(db: sa.Connection, target_id: str, ids: Sequence[str]) -> dict[str, Memory]:
    t, f = tables.feedback, tables.follows
    found: dict[str, Memory] = {}
    for some in batched([about_deployment(id_) for id_ in ids]):
        others = sa.select(f.c.target).where(f.c.key.in_(some) & (f.c.target != target_id))
        query = sa.select(t.c.id, t.c.memory).where(t.c.id.in_(others))
        found |= {id_: rows.read_place(memory) for id_, memory in db.execute(query)}
    return found


def _comments(db: sa.Connection, seqs: Sequence[int]) -> dict[str, Memory]:
    """What the comments about deliveries remember."""
    t, f = tables.feedback, tables.follows
    followers = sa.select(f.c.target).where(f.c.key.in_([about_delivery(seq) for seq in seqs]))
    query = sa.select(t.c.id, t.c.memory).where(t.c.id.in_(followers) & t.c.kind.like("%.comment"))
    return {id_: rows.read_place(memory) for id_, memory in db.execute(query)} if seqs else {}


def _before(db: sa.Connection, deployments: Sequence[Deployment]) -> dict[str, str]:
    """The commit that was live before each deployment, where the backend has told it."""
    d = tables.deployments
    found: dict[str, str] = {}
    for one in deployments:
        earlier = (d.c.app_id == one.app_id) & (d.c.state == State.DONE) & (d.c.seq < one.seq)
        query = sa.select(d.c.deployed_commit).where(earlier).order_by(d.c.seq.desc()).limit(1)
        if (commit := db.scalar(query)) is not None:
            found[one.id] = commit
    return found


def _audited(numbers: Sequence[int], seqs: Sequence[int]) -> sa.Select[Any]:
    """The query for changes by number or asking delivery, and what undoes them; oldest first."""
    t = tables.audit
    those = t.c.number.in_(numbers) | t.c.seq.in_(seqs) | t.c.undoes.in_(numbers)
    return sa.select(t).where(those).order_by(t.c.number)
