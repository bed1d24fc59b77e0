"""What is said about gates: locks and freezes, and what they hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.chat.calls import Call
from bridge.core.gates.freezes import Closed, Freeze
from bridge.core.gates.locks import Lock, Scope, typed_scope
from bridge.core.lifecycle import Deployment
from bridge.core.masking import redact
from bridge.views.actions import of_lock
from bridge.views.deployments import item_of
from bridge.views.values import Icon, Moment, Phrase, Strong, Text, Typed, iso, many
from bridge.views.view import Column, Item, Lines, Part, Row, Table, Tone, View

LABEL, PERSON, REASON = 200, 60, 500
"""Characters of a scope's name, a person's name and a reason."""

IN_A_LIST = 200
"""Characters of a reason in a list."""

TIMES = (
    Column("since", said="since"),
    Column("until", said="until"),
    Column("reason", long=True),
)
"""The last columns of what holds for a time."""

MOST_AFFECTED = 5
MOST_APPS = 3


@dataclass(frozen=True, slots=True)
class Affected:
    """The deployments in the scope of a new lock or freeze.

    Attributes:
        going: what the backend had been asked for before; it is not stopped.
        held: what waits with us, and is held now.
    """

    going: Sequence[Deployment] = ()
    held: Sequence[Deployment] = ()


# ── locks ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class LockData:
    """A lock; times as ISO 8601, `until_merge` as "owner/repository#12"."""

    scope: str
    label: str
    owner: str
    name: str
    reason: str
    at: str
    until: str | None
    until_merge: str | None
    remind_at: str | None

    @classmethod
    def of(cls, lock: Lock) -> "LockData":
        """Return what programs get of a lock."""
        return cls(
            *(lock.scope, lock.label, lock.owner, lock.name, lock.reason, iso(lock.at) or ""),
            until=iso(lock.until),
            until_merge=None if lock.merge is None else str(lock.merge),
            remind_at=iso(lock.remind_at),
        )


@dataclass(frozen=True, slots=True)
class LockTaken(LockData):
    """The lock that there is now, and whether it was taken; `not_stopped`: ids of deployments."""

    taken: bool = False
    not_stopped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unlocked:
    """The lock that was removed from a scope; None if there was none."""

    scope: str
    released: LockData | None


def lock_taken(lock: Lock, affected: Affected, before: Lock | None = None, zone: str = "") -> View:
    """Say that somebody has a lock.

    Args:
        before: their own that was renewed, or somebody's that was taken over.
        zone: in which its end was said.
    """
    ends = (
        _ends(lock.until, zone)
        or _until_merge(lock)
        or ("Until somebody unlocks it: ", Typed(_call("unlock", lock.scope, lock.label)))
    )
    notes: list[Phrase] = [ends]
    if before is not None and before.owner != lock.owner:
        notes.append(("Taken over. ", *_since(before), ": ", _reason(before.reason)))
    elif before is not None:
        notes.append(("It was locked by the same person before.",))
    parts = _affected(affected)
    if not parts:
        notes.append((NOTHING_THERE,))
    return View(
        ("Locked by ", _person(lock.name), ": ", _label(lock.label)),
        Icon.LOCK,
        [(_reason(lock.reason),)],
        notes,
        parts,
        data=_taken(lock, affected, taken=True),
        public=True,
    )


def lock_busy(lock: Lock, steal: Call) -> View:
    """Say that somebody else has the lock; `steal` takes it from them."""
    until = _until(lock) or ("without an end",)
    return View(
        ("Locked already by ", _person(lock.name), ": ", _label(lock.label)),
        Icon.LOCK,
        [(_reason(lock.reason),)],
        [("Since ", Moment(lock.at), ", ", *until, ".")],
        offers=[steal],
        data=_taken(lock, Affected(), taken=False),
        refused=True,
    )


def _taken(lock: Lock, affected: Affected, *, taken: bool) -> LockTaken:
    known = LockData.of(lock)
    same = {name: getattr(known, name) for name in LockData.__slots__}
    return LockTaken(**same, taken=taken, not_stopped=tuple(one.id for one in affected.going))


def lock_released(lock: Lock) -> View:
    """Say that a lock is gone, and whose it was."""
    return View(
        ("Unlocked: ", _label(lock.label)),
        Icon.UNLOCK,
        notes=[(*_since(lock), ": ", _reason(lock.reason))],
        data=Unlocked(lock.scope, LockData.of(lock)),
        public=True,
    )


def not_locked(scope: Scope, wider: Sequence[Lock]) -> View:
    """Say that a scope itself has no lock, and which wider ones hold its apps."""
    return View(
        (_label(scope.label), " itself is not locked"),
        notes=[(Text(one.says, REASON),) for one in wider],
        offers=[_call("unlock", one.scope, one.label) for one in wider],
        data=Unlocked(scope.key, None),
    )


def lock_gone(now: Sequence[Lock]) -> View:
    """Say that the lock that somebody has seen is gone, and which there are now."""
    still = [("Now: ", Text(one.says, REASON)) for one in now]
    return View(("That lock is gone already",), notes=still, refused=True)


def lock_kept(lock: Lock) -> View:
    """Say that a lock is still needed, and when its owner is reminded next."""
    again: Phrase = ("No reminder",)
    if lock.remind_at is not None:
        again = ("Next reminder: ", Moment(lock.remind_at))
    return View(
        ("Kept locked by ", _person(lock.name), ": ", _label(lock.label)),
        Icon.LOCK,
        [(_reason(lock.reason),)],
        [again],
        data=LockData.of(lock),
        public=True,
    )


def lock_reminder(lock: Lock, held: int, *, mine: bool) -> View:
    """Say that a lock still holds so many deployments; `mine`: its owner reads it."""
    holds = f"It holds {many(held, 'deployment')}." if held else "It holds no deployment now."
    ends = _until(lock) or ("until it is unlocked",)
    return View(
        ("Still locked by ", "you" if mine else _person(lock.name), ": ", _label(lock.label)),
        Icon.LOCK,
        [(_reason(lock.reason),)],
        [("Since ", Moment(lock.at), ", ", *ends, f". {holds}")],
        tone=Tone.DOUBT,
        actions=of_lock(lock),
        name=lock.label,
    )


def lock_ended(lock: Lock, why: str) -> View:
    """Say that a lock was released, e.g. as "acme/shop#12 is merged"."""
    return View(
        ("Unlocked, as ", Text(why, LABEL), ": ", _label(lock.label)),
        Icon.UNLOCK,
        notes=[(*_since(lock), ": ", _reason(lock.reason))],
        name=lock.label,
    )


def locks(those: Sequence[Lock], frozen: Sequence["FreezeNow"]) -> View:
    """List locks, and the freezes that hold now; programs get the locks."""
    data = [LockData.of(one) for one in those]
    if not those and not frozen:
        return View(("Nothing is locked or frozen",), Icon.WELL, data=data, empty=True)
    parts = [_lock_table(those)] if those else []
    parts += [_freeze_table(frozen)] if frozen else []
    head = f"{many(len(those), 'lock')}, {many(len(frozen), 'freeze')}"
    return View((head,), parts=parts, data=data)


def _lock_table(those: Sequence[Lock]) -> Table:
    rows = [
        Row(
            (
                (_label(one.label),),
                (_person(one.name),),
                (Moment(one.at, since=True),),
                _until(one)[1:],
                (_reason(one.reason, IN_A_LIST),),
            ),
            Icon.LOCK,
        )
        for one in those
    ]
    return Table([Column("scope"), Column("by"), *TIMES], rows)


# ── freezes ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class FreezeNow:
    """A freeze, and whether it holds.

    Attributes:
        closed: when it began and ends; None if it does not hold now.
        apps: labels of those that it covers and the person may view.
    """

    freeze: Freeze
    closed: Closed | None
    apps: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FreezeData:
    """A freeze; `until` as ISO 8601, None if it does not hold or nobody has said its end."""

    name: str
    scope: str | None
    apps: tuple[str, ...]
    by: str | None
    reason: str
    allow: tuple[str, ...]
    holds: bool
    until: str | None

    @classmethod
    def of(cls, freeze: Freeze, closed: Closed | None) -> "FreezeData":
        """Return what programs get of a freeze."""
        allow = tuple(sorted(str(one) for one in freeze.allow))
        until = None if closed is None else iso(closed[1])
        return cls(
            *(freeze.name, freeze.scope or None, freeze.apps, freeze.by or None, freeze.reason),
            *(allow, closed is not None, until),
        )


def frozen(freeze: Freeze, affected: Affected, zone: str, now: float) -> View:
    """Say that a freeze holds from now on; `zone`: in which its end was said."""
    end = ("Until somebody ends it: ", Typed(_call("unfreeze", freeze.scope, freeze.label)))
    notes: list[Phrase] = [_ends(freeze.until, zone) or end]
    if freeze.allow:
        notes.append((f"What passes: {', '.join(sorted(freeze.allow))}",))
    parts = _affected(affected)
    if not parts:
        notes.append((NOTHING_THERE,))
    return View(
        ("Frozen by ", _person(freeze.by), ": ", _label(freeze.label)),
        Icon.FREEZE,
        [(_reason(freeze.reason),)],
        notes,
        parts,
        data=FreezeData.of(freeze, freeze.closed(now)),
        public=True,
    )


def thawed(scope: Scope, ended: Sequence[Freeze], now: float) -> View:
    """Say that the freezes by command of a scope are over, or that there were none."""
    data = [FreezeData.of(one, one.closed(now)) for one in ended]
    if not ended:
        head: Phrase = ("Nobody has frozen ", _label(scope.label), " by command")
        return View(head, offers=[Call("freezes", {}, "freezes")], data=data)
    over = [(_person(one.by), ": ", _reason(one.reason)) for one in ended[:MOST_AFFECTED]]
    return View(
        ("No longer frozen: ", _label(scope.label)), Icon.THAW, notes=over, data=data, public=True
    )


def freezes(those: Sequence[FreezeNow]) -> View:
    """List freezes, also those that do not hold now."""
    data = [FreezeData.of(one.freeze, one.closed) for one in those]
    if not those:
        return View(("There are no freezes",), Icon.WELL, data=data, empty=True)
    return View((many(len(those), "freeze"),), parts=[_freeze_table(those)], data=data)


def _freeze_table(those: Sequence[FreezeNow]) -> Table:
    rows = [
        Row(
            (
                _covers(one),
                (_person(one.freeze.by),)
                if one.freeze.by
                else (one.freeze.name, " of bridge.yaml"),
                ("open",) if one.closed is None else ("frozen",),
                () if one.closed is None else (Moment(one.closed[0], since=True),),
                _freeze_end(one),
                (_reason(one.freeze.reason, IN_A_LIST),),
            ),
            Icon.FREEZE,
        )
        for one in those
    ]
    return Table([Column("covers"), Column("freeze"), Column("now"), *TIMES], rows)


def _covers(one: FreezeNow) -> Phrase:
    """Return what a freeze covers; of one in the settings only what the person may view."""
    if one.freeze.by:
        return (_label(one.freeze.label),)
    more = f" and {len(one.apps) - MOST_APPS} more" if len(one.apps) > MOST_APPS else ""
    shown: list[str | Strong] = []
    for app in one.apps[:MOST_APPS]:
        shown += [", ", _label(app)]
    return (*shown[1:], more)


def _freeze_end(one: FreezeNow) -> Phrase:
    until = None if one.closed is None else one.closed[1]
    return () if until is None else (Moment(until),)


# ── pieces ────────────────────────────────────────────────────────────────────────────────────────


def _call(name: str, scope: str, label: str) -> Call:
    """Return the call of an operation about a scope."""
    typed = typed_scope(scope, label)
    return Call(name, {"scope": typed.strip('"')}, f"{name} {typed}")


NOTHING_THERE = "Nothing waits or runs there now."


def _affected(affected: Affected) -> list[Part]:
    """Return what is held now, and what is not stopped."""
    titled = (("Held now", affected.held), ("Under way already: not stopped", affected.going))
    return [_listed(title, those) for title, those in titled if those]


def _listed(title: str, those: Sequence[Deployment]) -> Lines:
    items: list[Item] = [item_of(one) for one in those[:MOST_AFFECTED]]
    return Lines(title, items, max(0, len(those) - MOST_AFFECTED))


def _ends(until: float | None, zone: str) -> Phrase:
    return () if until is None else ("Until ", Moment(until, zone))


def _until(lock: Lock) -> Phrase:
    """Return when a lock ends by itself; () if it does not."""
    timed: Phrase = () if lock.until is None else ("until ", Moment(lock.until))
    if lock.merge is None:
        return timed
    merge: Phrase = (Text(str(lock.merge), LABEL), " is merged or closed")
    return (*timed, " or until ", *merge) if timed else ("until ", *merge)


def _until_merge(lock: Lock) -> Phrase:
    if not (ends := _until(lock)):
        return ()
    return (
        "U",
        str(ends[0])[1:],
        *ends[1:],
        ", or ",
        Typed(_call("unlock", lock.scope, lock.label)),
    )


def _since(lock: Lock) -> Phrase:
    return (_person(lock.name), " had locked it since ", Moment(lock.at))


def _label(name: str) -> Strong:
    return Strong(Text(name, LABEL))


def _person(name: str) -> Text:
    return Text(name, PERSON)


def _reason(reason: str, limit: int = REASON) -> Text:
    return Text(redact(reason), limit)
