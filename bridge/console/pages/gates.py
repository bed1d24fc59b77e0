"""The gates: locks, freezes and held deployments on one time line, each with what lifts it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bridge.console.records import Asked, Records
from bridge.console.render import Button, Page, lasted
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.apps import App, of_people
from bridge.core.checks import Need
from bridge.core.gates.freezes import Closed, Freeze
from bridge.core.gates.locks import DAY, Lock, Scope, covered, typed_scope
from bridge.core.holds import proposal_in
from bridge.core.lifecycle import Deployment, State
from bridge.core.words import many
from bridge.operations.gates import right_to_lift

BEFORE, AFTER = 2 * DAY, 5 * DAY
"""Seconds around now that the time line shows."""

ROOM = 90.0
"""Percent of the line's width; a day's name further right would stick out."""

MOST_HELD = 100
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of the time line, as percentages of its width."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Row:
    """A gate on the time line.

    Attributes:
        covers: the scope or the app that it holds.
        says: why.
        since, until: when it began to hold, or will, and when it ends by itself; None if that is
            open.
        link: the page with more.
    """

    tone: str
    word: str
    covers: str
    says: str
    bars: Sequence[Bar]
    since: float | None = None
    until: float | None = None
    link: str = ""
    acts: Sequence[Button] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """The time line: its first and last moment."""

    first: float
    last: float

    @classmethod
    def around(cls, now: float) -> "Line":
        """Return the time line at a moment."""
        return cls(now - BEFORE, now + AFTER)

    def x(self, at: float) -> float:
        """Return where a moment lies, in percent; moments beyond lie at the ends."""
        share = (at - self.first) / (self.last - self.first)
        return round(100 * min(1.0, max(0.0, share)), 2)

    def bars(self, those: Sequence[Closed]) -> list[Bar]:
        """Return periods as bars; what has no end goes on to the right."""
        ends = [(began, self.last if ended is None else ended) for began, ended in those]
        return [Bar(self.x(began), max(0.4, self.x(end) - self.x(began))) for began, end in ends]

    def days(self) -> list[tuple[float, str]]:
        """Return where each day begins, UTC, and its name."""
        first = datetime.fromtimestamp(self.first, UTC).replace(hour=0, minute=0, second=0)
        days = [first + timedelta(days=n) for n in range(1, 9)]
        inside = [one for one in days if one.timestamp() < self.last]
        named = [(self.x(one.timestamp()), f"{one:%a} {one.day}") for one in inside]
        return [(x, name if x < ROOM else "") for x, name in named]


async def gates(records: Records, visitor: Visitor, _asked: Asked) -> Page:
    """Show what holds the apps that somebody may view, and what will."""
    seen, now = records.seen(visitor), records.clock()
    line = Line.around(now)
    may_lock = {app.id for app in records.seen(visitor, Right.LOCK)}
    rows = [
        _lock_row(one, line, may_lift=_may(one.scope, records.apps(), may_lock))
        for one in await _locks(records, seen)
    ]
    rows += [
        _freeze_row(one, line, now, seen, may_lift=_may(one.scope, records.apps(), may_lock))
        for one in await records.freezes_of(seen)
    ]
    held = await _held(records, seen)
    facts = {
        "rows": [*rows, *(_held_row(records, visitor, one, line, now) for one in held[:MOST_HELD])],
        "more": max(0, len(held) - MOST_HELD),
        "days": line.days(),
        "now_at": line.x(now),
        "may_deploy": bool(records.seen(visitor, Right.DEPLOY)),
        "scopes": _scopes(of_people(seen), may_lock),
    }
    return Page("gates", "Gates", facts, live=True)


async def _locks(records: Records, apps: Sequence[App]) -> list[Lock]:
    """Return the locks that cover any of some apps."""
    return [
        one for one in await records.journal.locks() if covered(Scope(one.scope, one.label), apps)
    ]


def _lock_row(lock: Lock, line: Line, *, may_lift: bool) -> Row:
    """Return a lock as a row."""
    scope = lock.scope.replace("/", ":", 1)
    return Row(
        *("held", "locked", lock.label, lock.says),
        line.bars([(lock.at, lock.until)]),
        lock.at,
        lock.until,
        acts=[Button("Unlock", "unlock", {"scope": scope})] * may_lift,
    )


def _freeze_row(
    freeze: Freeze, line: Line, now: float, seen: Sequence[App], *, may_lift: bool
) -> Row:
    """Return a freeze as a row; of one of the settings, name what they may view."""
    periods, closed = freeze.between(line.first, line.last), freeze.closed(now)
    coming = (one for one in periods if one[0] > now)
    since, until = closed or next(coming, (None, None))
    by_command = bool(freeze.by)
    acts = [Button("End the freeze", "unfreeze", {"scope": freeze.scope.replace("/", ":", 1)})]
    return Row(
        "off" if closed is None else "held",
        "open now" if closed is None else "frozen",
        freeze.label if by_command else _named(freeze, seen),
        freeze.says if by_command else f"{freeze.reason} (`freezes` of bridge.yaml)",
        line.bars(periods),
        since,
        until,
        acts=acts * (by_command and may_lift),
    )


def rules_of(app: App) -> list[tuple[str, str]]:
    """Return the rules that hold an app's deployments, each with its name, in words."""
    rules, found = app.rules, list[tuple[str, str]]()
    if (checks := rules.checks) is not None:
        named = [*checks.names, *checks.of_apps]
        which = ", ".join(named) or ("all" if checks.need is Need.ALL else "the required ones")
        found.append(("Checks", f"waits for {which}"))
    if rules.approvals:
        found.append(("Approvals", f"needs {many(rules.approvals, 'approval')} of a commit"))
    if rules.after:
        soak = f" for {lasted(rules.soak)}" if rules.soak else ""
        found.append(("Order", f"after {', '.join(rules.after)} is live{soak}, same commit"))
    return found


def _named(freeze: Freeze, seen: Sequence[App]) -> str:
    labels = [app.label for app in seen if freeze.covers(app.label, ())]
    more = len(labels) - MOST_NAMED
    return ", ".join(labels[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


async def _held(records: Records, seen: Sequence[App]) -> list[Deployment]:
    ids = {app.id for app in seen}
    open_ = await records.journal.open_deployments()
    return [one for one in open_ if one.state is State.HELD and one.app_id in ids]


def _held_row(records: Records, visitor: Visitor, held: Deployment, line: Line, now: float) -> Row:
    ends = [one.until for one in held.holds]
    until = max((one for one in ends if one is not None), default=None) if all(ends) else None
    return Row(
        *("held", "held", held.app, "; ".join(one.says for one in held.holds)),
        line.bars([(held.created_at, until or now)]),
        held.created_at,
        until,
        f"/console/deployments/{held.id}",
        _acts(held, {right for right in Right if records.may_see(visitor, held.app, right)}),
    )


def _acts(held: Deployment, rights: set[Right]) -> list[Button]:
    """Return what somebody may do about a held deployment."""
    given = {"app": held.app_id, "deployment": held.id}
    acts = []
    if proposal_in(held.holds) is not None and Right.APPROVE in rights:
        acts.append(Button("Approve…", "approve", given))
    if right_to_lift(held.holds) in rights:
        acts.append(Button("Deploy anyway…", "override", given))
    return acts


def _may(scope: str, apps: Sequence[App], may_lock: set[str]) -> bool:
    """Return whether somebody who may lock some apps may lift what covers a scope."""
    return bool(scope) and all(app.id in may_lock for app in covered(Scope(scope, ""), apps))


def _scopes(apps: Sequence[App], may_lock: set[str]) -> list[str]:
    """Return what somebody can lock, as it is typed, for suggestions."""
    mine = [app for app in apps if app.id in may_lock]
    projects = dict.fromkeys(app.project for app in mine if app.project)
    named = [typed_scope(f"project/{one}", one).strip('"') for one in projects]
    return [*named, *(app.label for app in mine)]
