"""Hold deployments, and let them pass: the gates between `waiting` and the backend."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.gates.gates import Facts, approvers_of, by_commit, next_look, open_gates
from bridge.core.gates.order import Earlier
from bridge.core.health.rollback import version_of
from bridge.core.health.serving import By
from bridge.core.holds import Gate, Hold, Lift
from bridge.core.lifecycle import HELD, Deployment, State, promotes
from bridge.ports.gates import Judging
from bridge.storage import tables
from bridge.storage.journal.ci import keep_due
from bridge.storage.journal.deployment_rows import (
    IF_HELD,
    IF_IN_LINE,
    IF_UNASKED,
    change,
    holds_text,
    judging,
    last_served,
    lifts_text,
    locked,
    mark_due,
    mark_followers_due,
    one_of,
    read,
)
from bridge.storage.journal.gates import facts_of
from bridge.storage.journal.serving import served
from bridge.storage.journal.transitions import (
    NO_HOLDS,
    add_line,
    ahead_of,
    cancelled_here,
    move,
    needless,
    show,
)

STALE = "the Git host still reports the head from before the push"
STALE_FOR = 60.0
"""Seconds after a push for which its host may tell the head from before it. Later on, the head is
that of a newer push whose webhook came first."""

AGAIN = 2.0
"""Seconds until a stale head is read again."""

SERVED_BEFORE = 10
"""Versions of an earlier app among which to look for the one that would be built."""

GONE = "the app is gone from its backend, so there is nothing to deploy"

OPEN = "nothing holds it any more; waits for its turn"


def intend(
    db: sa.Connection, id_: str, facts: dict[str, Any], by: Judging, at: float
) -> Deployment | None:
    """See `Deployments.intend`."""
    judged = judge(db, id_, by, at, only=IF_IN_LINE)
    if judged is None or judged.state is not State.WAITING:
        return None
    if judged.back_from is not None and (why := _nothing_to_undo(db, judged)) is not None:
        to = State.UNKNOWN if judged.maybe_asked else State.CANCELLED
        move(db, id_, to, why, {}, at)
        return None
    return change(db, id_, facts)  # the judgement has locked it


def _nothing_to_undo(db: sa.Connection, own: Deployment) -> str | None:
    """Return why the bridge does not go back by itself any more; None if it does.

    It undoes only what it goes back from, and that only while it is what is served.
    """
    left = read(db, own.back_from or "")
    serving = served(db, [own.app_id]).get(own.app_id)
    if left is None or serving is None or (instead := serving.instead_of(left)) is None:
        return None
    asked = "; the backend may have been asked for it before" if own.maybe_asked else ""
    return f"not gone back from {version_of(left)}: {instead}{asked}"


def judge(
    db: sa.Connection,
    id_: str,
    by: Judging,
    at: float,
    *,
    only: sa.Select[Any] = IF_UNASKED,
    seen: float | None = None,
) -> Deployment | None:
    """See `Gates.judge`."""
    judging(db)
    found = locked(db, id_, only)
    if found is None:
        return None
    if (ended := needless(db, found, at, cancelled_here(found))) is not None:
        return ended
    if found.action is Action.ROLLBACK and (why := _led_elsewhere(db, found)) is not None:
        return move(db, found.id, State.CANCELLED, why, {}, at)
    if found.state is State.HELD and _is_gone(db, found.app_id):
        return move(db, id_, State.CANCELLED, GONE, {}, at)
    if found.target is not None and (broken := _broken(db, found)) is not None:
        why = f"refused: {version_of(broken)} is {broken.state} in {broken.app}"
        return move(db, id_, State.CANCELLED, why, {}, at)
    new = at < found.created_at + STALE_FOR
    if by.head is not None and new and _is_stale(db, found, by.head.commit):
        by = replace(by, head=None, unknown_head=STALE, again_at=at + AGAIN)
    facts = replace(facts_of(db, by), ahead=ahead_of(db, found))
    gated = facts.locks or facts.freezes or by_commit(by.app) or facts.ahead or found.not_before
    if gated and (holds := _holds(db, found, by, facts, at)):
        return _hold(db, found, by, holds, at, seen)
    head = found.head if by.head is None else by.head.commit
    if found.state is State.WAITING:
        return found if head == found.head else change(db, id_, {"head": head})
    open_ = {"head": head, "holds": NO_HOLDS, "look_at": None, "starts": found.starts + 1}
    approvers = approvers_of(replace(found, head=head), by.app, facts, at)
    why = f"approved by {', '.join(approvers)}; waits for its turn" if approvers else OPEN
    return move(db, id_, State.WAITING, why, open_, at)


def _holds(
    db: sa.Connection, found: Deployment, by: Judging, facts: Facts, at: float
) -> tuple[Hold, ...]:
    """Return what holds it, with what other deployments have to do with it."""
    if by.head is not None:
        found = replace(found, head=by.head.commit)
    nowhere = [name for name, app_id in by.earlier.items() if not app_id]
    facts = replace(facts, earlier=earlier_apps(db, by.earlier), nowhere=nowhere)
    return open_gates(found, by.app, facts, at)


def _led_elsewhere(db: sa.Connection, found: Deployment) -> str | None:
    """Return what somebody has deployed at the backend while a person's rollback was held."""
    if found.back_from is not None or not found.held_at:
        return None
    serving = served(db, [found.app_id]).get(found.app_id)
    seen = serving.seen if serving is not None else None
    if serving is None or seen is None or seen.by is By.BRIDGE:
        return None
    if (seen.since or 0.0) <= found.held_at:
        return None
    return f"{serving.notes[0]}, after this was asked for: ask again to go back from it"


def _is_gone(db: sa.Connection, app_id: str) -> bool:
    return bool(db.scalar(sa.select(tables.apps.c.gone).where(tables.apps.c.id == app_id)))


def _broken(db: sa.Connection, found: Deployment) -> Deployment | None:
    """Return what a promotion would bring, if that has turned out to be unhealthy meanwhile."""
    there = read(db, found.target or "") if promotes(found) else None
    if there is None or there.app_id == found.app_id or there.state is not State.UNHEALTHY:
        return None
    return there


def _is_stale(db: sa.Connection, found: Deployment, head: str) -> bool:
    """Return whether a host has told the head from before the push."""
    if found.pinned is not None or found.commit in (None, head):
        return False
    p = tables.pushes
    push = db.execute(sa.select(p).where(p.c.seq == found.seq)).mappings().first()
    if push is None:
        return False
    led = (p.c.ref_key == push["ref_key"]) & (p.c.after == head)
    newest = db.scalar(sa.select(sa.func.max(p.c.seq)).where(led))
    return bool(head == push["before"] if newest is None else newest < found.seq)


def _hold(
    db: sa.Connection,
    found: Deployment,
    by: Judging,
    holds: tuple[Hold, ...],
    at: float,
    seen: float | None,
) -> Deployment | None:
    """Hold a deployment, or record why it is still held."""
    note = HELD + "; ".join(one.says for one in holds)
    marked = seen is not None and found.look_at not in (None, seen)
    facts = {
        "state": State.HELD,
        "head": found.head if by.head is None else by.head.commit,
        "holds": holds_text(holds),
        "held_at": found.held_at or at,
        "look_at": found.look_at if marked else next_look(holds, at),
        "note": note,
        "note_kind": None,
    }
    held = change(db, found.id, facts)
    if by.head is not None and any(one.gate is Gate.CHECKS for one in holds):
        keep_due(db, by.head, at)
    if found.state is not State.HELD:
        mark_followers_due(db, found.app_id, at, found.id)  # they no longer wait for it
    new = found.state is not State.HELD or _told(holds) != _told(found.holds)
    if held is not None and new:
        add_line(db, held, at)
    elif holds != found.holds:
        show(db, found.id, found.seq, at)
    return held


def _told(holds: Sequence[Hold]) -> list[tuple[str, str]]:
    """Return what a history tells of holds."""
    return [(one.key, one.headline or one.says) for one in holds]


def earlier_apps(db: sa.Connection, ids: Mapping[str, str]) -> dict[str, Earlier]:
    """See `Gates.earlier`."""
    there = {label: app_id for label, app_id in ids.items() if app_id}
    serving = served(db, list(there.values()))
    return {
        label: Earlier(
            app_id,
            serving.get(app_id),
            _newest(db, app_id),
            last_served(db, app_id, SERVED_BEFORE),
        )
        for label, app_id in there.items()
    }


def _newest(db: sa.Connection, app_id: str) -> Deployment | None:
    """Return the newest deployment of an app, of those neither superseded nor cancelled."""
    t = tables.deployments
    of_app = (t.c.app_id == app_id) & t.c.state.not_in([State.SUPERSEDED, State.CANCELLED])
    query = sa.select(t).where(of_app).order_by(t.c.seq.desc()).limit(1)
    return one_of(db, query)


def lift(db: sa.Connection, id_: str, new: Lift, at: float) -> Deployment | None:
    """See `Gates.lift`."""
    held = locked(db, id_, IF_HELD)
    if held is None:
        return None
    changed_ = change(db, id_, {"lifts": lifts_text((*held.lifts, new))})
    mark_due(db, tables.deployments.c.id == id_, at)
    add_line(db, replace(held, note=f"{new.by} lets it pass: {new.reason}"), at)
    return changed_
