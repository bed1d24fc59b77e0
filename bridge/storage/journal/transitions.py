"""Changes of a deployment, each within a transaction."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from bridge.core.events import Action
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import (
    ASKED_FOR,
    BAD,
    BROUGHT_UP,
    FINAL,
    LIVE,
    SERVED,
    Cancel,
    Deployment,
    Evidence,
    NoteKind,
    State,
    Verdict,
    Wanted,
    goes_first,
    makes_moot,
    may_move,
    promotes,
)
from bridge.ports.outcomes import ABOUT_ANYTHING, about_delivery, about_deployment
from bridge.storage import tables
from bridge.storage.journal.deployment_rows import (
    CANCELLED_LATER,
    IF_HELD,
    IF_LOSABLE,
    IF_WAITING,
    LATER,
    LOCKED,
    UNASKED,
    UNASKED_OTHERS,
    WANTED,
    WANTED_LATER,
    all_of,
    change,
    holds_text,
    ids_text,
    lifts_text,
    locked,
    mark_apps_due,
    mark_followers_due,
    origin_row,
    read,
)
from bridge.storage.journal.outbox import changed, hurry
from bridge.storage.journal.pushes import pushed_after
from bridge.storage.journal.shown import also_shown

_T = tables.deployments

NEVER_ASKED = "cancelled before the backend was asked"
NOT_ASKED_AGAIN = "cancelled before the backend was asked again"
MAYBE_ASKED = (
    "cancelled; the backend may have been asked for it before, and has shown no sign of it"
)

NEWER_HEAD = "is newer and builds the same branch's head"

NO_KIND: dict[str, Any] = {"note_kind": None, "way_back": ""}
"""The facts about a note on which nothing depends."""

LAST_LINES = 5
"""The last lines of a deployment's history; a note that is among them is not repeated."""


NO_HOLDS = holds_text(())


def add_deployment(db: sa.Connection, new: Deployment, now: float) -> None:
    """Add a deployment; one of a push supersedes what waits for the same head, or the reverse.

    One that waits behind a newer tag's deployment supersedes none.
    """
    older = [one for one in _unasked(db, new) if one.seq < new.seq]
    if _cancelled_since(db, new):
        new = replace(new, state=State.CANCELLED, finished_at=now, note=NEVER_ASKED)
    elif (facts := _newer(db, new) or _pushed_later(db, new, older)) is not None:
        new = replace(new, state=State.SUPERSEDED, finished_at=now, **facts)
    db.execute(sa.insert(_T), [deployment_row(new)])
    add_line(db, new, now)
    if new.superseded_by not in {one.id for one in older}:
        _replace(db, new, older, now)


def deployment_row(deployment: Deployment) -> dict[str, Any]:
    """Return a deployment as a row of `deployments`."""
    row = {name: getattr(deployment, name) for name in Deployment.__dataclass_fields__}
    return (
        row
        | origin_row(row.pop("origin"))
        | {
            "known_before": ids_text(deployment.known_before),
            "accounts": ids_text(deployment.accounts),
            "images": None if deployment.images is None else ids_text(deployment.images),
            "holds": holds_text(deployment.holds),
            "lifts": lifts_text(deployment.lifts),
        }
    )


def _unasked(db: sa.Connection, one: Deployment) -> list[Deployment]:
    """Return the other deployments of the same app that were not requested yet, locked."""
    return all_of(db, UNASKED_OTHERS, {"its_app": one.app_id, "its_id": one.id})


def _beside(db: sa.Connection, asked: Deployment) -> list[Deployment]:
    """Return those that were not requested yet and are older than a deployment."""
    return [
        one
        for one in _unasked(db, asked)
        if asked.id in {newer.id for newer in newer_than(db, one)}
    ]


def _replace(db: sa.Connection, new: Deployment, older: Sequence[Deployment], now: float) -> None:
    """Supersede the older ones that a deployment makes unnecessary, as it is now."""
    for old in older if new.behind is None else ():
        if makes_moot(new, old):
            _supersede(db, old.id, _in_favour_of(new.id, new, old), now)


def _pushed_later(
    db: sa.Connection, new: Deployment, older: Sequence[Deployment]
) -> dict[str, Any] | None:
    """Return how a push that was late is superseded: a newer one of its branch waits already."""
    waiting = {one.seq: one for one in older if not one.person and makes_moot(one, new)}
    if new.person or not waiting:
        return None
    later = next((seq for seq in pushed_after(db, new.seq) if seq in waiting), None)
    return None if later is None else _in_favour_of(waiting[later].id, waiting[later], new)


def _in_favour_of(id_: str, newer: Wanted, older: Wanted) -> dict[str, Any]:
    """Return how a newer deployment supersedes one that waits."""
    if newer.action == Action.ROLLBACK:
        return _superseded(id_, "goes back to an earlier version")
    if older.back_from is None and older.action == Action.ROLLBACK:
        return _superseded(id_, "went live after this was asked for: ask again to go back from it")
    if older.back_from is not None:
        since = f"since {_shown(older.back_from)}, from which this would go back"
        return _superseded(id_, f"has come {since}")
    if promotes(newer):
        which = "another version" if promotes(older) else "the same commit"
        return _superseded(id_, f"is newer and brings {which}")
    if promotes(older):
        return _superseded(id_, "is newer and was deployed before it")
    return _superseded(id_, NEWER_HEAD)


def _cancelled_since(db: sa.Connection, new: Deployment) -> bool:
    """Return whether another process has already decided a later cancel."""
    later = {"its_app": new.app_id, "its_seq": new.seq}
    return db.scalar(CANCELLED_LATER, later) is not None


def _newer(db: sa.Connection, old: Deployment) -> dict[str, Any] | None:
    """Return how the newest deployment that makes an older one unnecessary supersedes it."""
    for one in newer_than(db, old):
        if makes_moot(one, old):
            return _in_favour_of(one.id, one, old)
    return None


def newer_than(db: sa.Connection, old: Deployment) -> list[Any]:
    """Return what is newer than a deployment of the same app, newest first; each is a `Wanted`.

    What the bridge does by itself counts as old as what it goes back from, so it respects all that
    people have pushed or asked for since. Newer than a person's rollback is also what had come
    before it, and was asked for and served while that was held.
    """
    newer, query = LATER, WANTED_LATER
    if old.action is Action.ROLLBACK and old.back_from is None and old.held_at is not None:
        newer = newer | (_T.c.intent_at > old.held_at) & _T.c.state.in_(SERVED)
        query = WANTED.where(newer)
    if (left := _left(db, old)) is not None:
        served_since = sa.func.coalesce(_T.c.live_at, _T.c.finished_at) > (left.live_at or 0.0)
        since = sa.case((_T.c.state.in_(BROUGHT_UP), served_since), else_=_T.c.seq > left.seq)
        query = WANTED.where(newer | _T.c.back_from.is_(None) & since)
    its = {"its_app": old.app_id, "its_id": old.id, "its_seq": old.seq}
    return list(db.execute(query, its))


def ahead_of(db: sa.Connection, found: Deployment) -> Deployment | None:
    """Return the deployment that goes before this one.

    It is a newer one that waits for its turn and will replace this one, or that of a newer tag, if
    that is held. While the former is held, this one does not wait for it.
    """
    for one in newer_than(db, found):
        if goes_first(one, found):
            # Locked: if it moves just now, whoever moves it must see what waits for it.
            ahead = locked(db, one.id, LOCKED)
            if ahead is not None and goes_first(ahead, found):
                return ahead
    if found.behind is None or (ahead := read(db, found.behind)) is None:
        return None
    return locked(db, in_place_of(db, ahead).id, IF_HELD)


def _left(db: sa.Connection, own: Deployment) -> Deployment | None:
    """Return what the bridge goes back from by itself; None if somebody has asked for `own`.

    Where one way back has led to another, it is what the first one went back from.
    """
    left: Deployment | None = None
    while own.back_from is not None and (found := read(db, own.back_from)) is not None:
        left = own = found
    return left


def _shown(id_: str) -> str:
    """Return a deployment as lists show it: by its number."""
    number, _, _ = id_.partition(".")
    return f"#{int(number)}" if number.isdecimal() else id_


def _superseded(by: str, why: str) -> dict[str, Any]:
    return {"superseded_by": by, "note": f"deployment {_shown(by)} {why}"}


def _supersede(db: sa.Connection, id_: str, facts: dict[str, Any], now: float) -> Deployment | None:
    return move(db, id_, State.SUPERSEDED, facts["note"], facts, now)


def in_place_of(db: sa.Connection, deployment: Deployment) -> Deployment:
    """Return the deployment that replaced a superseded one; for others, the deployment itself."""
    while deployment.superseded_by is not None:
        if (found := read(db, deployment.superseded_by)) is None:
            break  # it has been deleted
        deployment = found
    return deployment


def _went_ahead(db: sa.Connection, id_: str) -> dict[str, Any] | None:
    """Return how the deployment of a newer tag supersedes one behind it; None if it does not."""
    if (found := read(db, id_)) is None:
        return None
    ahead = in_place_of(db, found)
    if ahead.state not in BROUGHT_UP:
        return None
    may = "" if ahead.state in SERVED else "may have "
    return _superseded(ahead.id, f"{may}brought up a newer tag")


def move(
    db: sa.Connection, id_: str, to: State, note: str, facts: dict[str, Any], at: float
) -> Deployment | None:
    """Change a deployment's state, with a line in its history; return None if not allowed."""
    row = db.execute(LOCKED, {"its_id": id_}).mappings().first()
    if row is None or not may_move(State(row["state"]), to):
        return None
    ended = {"finished_at": at, "holds": NO_HOLDS, "look_at": None} if to in FINAL else {}
    if row["live_at"] is None and to in SERVED:
        ended |= {"live_at": facts.get("finished_at", at), "evidence": Evidence.RECORD}
    if row["live_at"] is None and to in BROUGHT_UP | {State.FAILED}:
        facts = facts | _in_order(db, row["app_id"], ended | facts)
    if to in LIVE:
        ended["verdict"] = Verdict.UNHEALTHY if to is State.UNHEALTHY else Verdict.UNVERIFIED
    also = also_shown(db, row, to, facts.get("deployed_commit"), facts.get("superseded_by"))
    if to in SERVED and State(row["state"]) not in SERVED:
        _end_watch(db, row, at)
    moved = change(db, id_, NO_KIND | ended | facts | {"state": to, "note": note})
    if moved is None:
        return None
    add_line(db, moved, at, also)
    if to in ASKED_FOR:
        _replace(db, moved, _beside(db, moved), at)
    if to in BROUGHT_UP:
        mark_apps_due(db, [row["app_id"]], at)  # what they would change is shown with their holds
    if to in {*FINAL, State.VERIFYING, State.WAITING}:
        mark_followers_due(db, row["app_id"], at, id_)
    return moved


def _in_order(db: sa.Connection, app_id: str, facts: Mapping[str, Any]) -> dict[str, float]:
    """Return when it ended and was served: never before what it replaces, as clocks are set back.

    What an app serves is ordered by these times.
    """
    of_app = _T.c.app_id == app_id
    served = sa.select(sa.func.max(_T.c.live_at)).where(of_app & (_T.c.live_at > 0))
    doubt = sa.select(sa.func.max(_T.c.finished_at)).where(of_app & (_T.c.state == State.UNKNOWN))
    after = math.nextafter(max(db.scalar(served) or 0.0, db.scalar(doubt) or 0.0), math.inf)
    times = {name: facts.get(name) for name in ("live_at", "finished_at")}
    return {name: max(at, after) for name, at in times.items() if at is not None}


def _end_watch(db: sa.Connection, newer: sa.RowMapping, at: float) -> None:
    """End the verification of what an app served before: it is not served any more."""
    looked_at = (_T.c.app_id == newer["app_id"]) & (_T.c.state == State.VERIFYING)
    for one in all_of(db, sa.select(_T).where(looked_at).order_by(_T.c.id)):
        # What a backend restores has no record there, so its word is missing.
        to = State.UNKNOWN if one.way == Rung.KEPT else State.DONE
        why = f"{one.note}; not verified: deployment #{newer['seq']} is served now"
        move(db, one.id, to, why, {"note_kind": one.note_kind}, at)


def withdraw(
    db: sa.Connection, id_: str, at: float, *, maybe_asked: bool, more: str = ""
) -> Deployment | None:
    """See `Deployments.withdraw`; `more`: what else to say of it."""
    facts = {"intent_at": None} | ({"maybe_asked": True} if maybe_asked else {})
    if locked(db, id_, IF_WAITING) is None or (waiting := change(db, id_, facts)) is None:
        return None
    if (ended := needless(db, waiting, at, cancelled_here(waiting), more)) is not None:
        return ended
    if more:
        say(db, id_, more, None, at)
    return waiting


def cancelled_here(waiting: Deployment) -> str:
    """Return the note for the cancel of a waiting deployment, by what is known of its requests."""
    if waiting.maybe_asked:
        return MAYBE_ASKED
    return NOT_ASKED_AGAIN if waiting.asked_again else NEVER_ASKED


def take_back(
    db: sa.Connection, id_: str, token: str, why: str, at: float, *, interrupted: bool = False
) -> Deployment | None:
    """See `Deployments.take_back`."""
    lost = locked(db, id_, IF_LOSABLE)
    if lost is None:
        return None
    if (ended := needless(db, lost, at, f"{why}; it had been cancelled")) is not None:
        return ended
    note = f"{why}; it waits here again"
    facts = {
        "state": State.WAITING,
        "note": note,
        "token": token,
        "known_before": ids_text(()),
        "backend_id": None,
        "intent_at": None,
        "asked_at": None,
        "started_at": None,
        "asked_again": lost.asked_again + 1,
        "interrupted": lost.interrupted + interrupted,
        "maybe_asked": False,
    }
    waiting = change(db, id_, NO_KIND | facts)
    if waiting is not None:
        add_line(db, waiting, at)
    return waiting


def needless(
    db: sa.Connection, asking: Deployment, at: float, note: str, more: str = ""
) -> Deployment | None:
    """End a deployment that must not be requested: cancelled, or superseded by a newer one.

    Args:
        note: of one that was cancelled; `more`: added to the note, however it ends.
    """
    more = f"; {more}" if more else ""
    if asking.cancel is not None:
        return move(db, asking.id, State.CANCELLED, note + more, {}, at)
    facts = _newer(db, asking)
    if facts is None and asking.behind is not None:
        facts = _went_ahead(db, asking.behind)
    if facts is None:
        return None
    return _supersede(db, asking.id, facts | {"note": facts["note"] + more}, at)


def say(db: sa.Connection, id_: str, note: str, kind: NoteKind | None, at: float) -> None:
    """See `Deployments.say`."""
    one = locked(db, id_, LOCKED)
    if one is None or one.note == note or one.final:
        return  # a final deployment keeps its last note
    said = change(db, id_, {"note": note, "note_kind": kind})
    if said is None or (one.state, note) in _last_lines(db, id_):
        show(db, id_, one.seq, at)
    else:
        add_line(db, said, at)


def _last_lines(db: sa.Connection, id_: str) -> set[tuple[str, str]]:
    """Return the newest states with their notes."""
    t = tables.changes
    of_it = sa.select(t.c.state, t.c.note).where(t.c.deployment == id_)
    last = of_it.order_by(t.c.number.desc()).limit(LAST_LINES)
    return {(row.state, row.note) for row in db.execute(last)}


def cancel(
    db: sa.Connection, app_id: str, seq: int, at: float, only: str | None = None
) -> list[Deployment]:
    """See `Deployments.cancel`; what is live and only verified is left alone."""
    meant = (_T.c.app_id == app_id) & (_T.c.seq < seq) & _T.c.state.not_in({*FINAL, *SERVED})
    if only is not None:
        meant &= _T.c.id == only
    query = sa.select(_T).where(meant & UNASKED).order_by(_T.c.id).with_for_update()
    waiting = all_of(db, query)
    moved = [move(db, one.id, State.CANCELLED, cancelled_here(one), {}, at) for one in waiting]
    mark = sa.update(_T).where(meant & _T.c.cancel.is_(None)).values(cancel=Cancel.REQUESTED)
    db.execute(mark)
    return [deployment for deployment in moved if deployment is not None]


def add_line(db: sa.Connection, now: Deployment, at: float, also: Sequence[str] = ()) -> None:
    """Add what is said of a deployment now to its history; mark its subscriptions as pending."""
    said = {name: getattr(now, name) for name in ("state", "note", "note_kind", "way_back")}
    if now.state is State.HELD:
        said["gates"] = " ".join(dict.fromkeys(hold.gate for hold in now.holds))
    db.execute(sa.insert(tables.changes), [said | {"deployment": now.id, "at": at}])
    show(db, now.id, now.seq, at, also)
    if now.state in BAD:
        hurry(db, about_deployment(now.id))


def show(db: sa.Connection, id_: str, seq: int, at: float, also: Sequence[str] = ()) -> None:
    """Mark all subscriptions of a deployment as pending; `also`: the keys of what else shows it."""
    changed(db, (about_deployment(id_), about_delivery(seq), ABOUT_ANYTHING, *also), at)
