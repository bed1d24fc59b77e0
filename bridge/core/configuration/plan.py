"""Plan a change of an app's configuration, and describe a change that failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.apps import App
from bridge.core.configuration.difference import (
    RULES,
    Changed,
    Configured,
    Part,
    Undoing,
    WantedBack,
    difference,
    lines_of,
    only,
    put_back,
    rule_value,
)
from bridge.core.configuration.fields import SECTIONS
from bridge.core.configuration.merge import (
    NoSource,
    Wanted,
    WantedBuild,
    WantedPin,
    WantedSource,
    part_of,
)
from bridge.core.errors import BridgeError, Rejected, Unanswered
from bridge.core.matching.lint import Finding
from bridge.core.rules import RuleBook, rules_for
from bridge.core.variables import hidden_from_shells

_SHOWN = 5
"""The most names of variables to list."""


class Change(StrEnum):
    """What a change of an app's configuration is, for the audit log."""

    SET_SOURCE = "provider set"
    DISCONNECT = "provider disconnect"
    UNDO_SOURCE = "provider undo"
    PIN = "pin"
    UNPIN = "unpin"
    SET_BUILD = "build set"
    UNDO_BUILD = "build undo"
    SET_VARIABLES = "env set"
    UNDO_VARIABLES = "env undo"


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned change.

    Attributes:
        before, after: the app's whole configuration; secrets are sealed.
        difference: what would change, without secrets.
        findings: probable mistakes in new watch paths.
        remarks: what else a person should know before agreeing.
    """

    app: App
    what: Change
    wanted: Wanted
    before: Configured
    after: Configured
    difference: tuple[Changed, ...]
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()
    undoes: int | None = None

    @property
    def empty(self) -> bool:
        return not self.difference

    @property
    def undoing(self) -> Undoing:
        part = part_of(self.wanted)
        return Undoing(part, only(self.before, part), only(self.after, part))


def back_to(app: App, undoing: Undoing, now: Configured, undoes: int, *, sure: bool = True) -> Plan:
    """Return the plan to undo a change, for an app with the configuration `now`.

    Args:
        sure: the backend has confirmed the change.
    """
    wanted = WantedBack(undoing.part, undoing.before)
    after = put_back(now, wanted)
    changed = difference(now, after)
    doubt = f"change {undoes} was never confirmed; this takes back the part that is there"
    remarks = () if sure else (doubt,)
    return Plan(app, change_of(wanted), wanted, now, after, changed, remarks=remarks, undoes=undoes)


def going_on(app: App, undoing: Undoing, now: Configured) -> Plan:
    """Return the plan for a change, or for the part of it that is not made yet."""
    wanted = WantedBack(undoing.part, undoing.after)
    after = put_back(now, wanted)
    return Plan(app, change_of(wanted), wanted, now, after, difference(now, after))


def stray(undoing: Undoing, now: Configured) -> tuple[Changed, ...]:
    """Return fields that match neither side of a change: somebody else changed them."""
    here = only(now, undoing.part)
    unmade = {one.field for one in difference(undoing.after, here)}
    return tuple(one for one in difference(undoing.before, here) if one.field in unmade)


def there_of(undoing: Undoing, now: Configured) -> list[str]:
    """Return the fields of a change that already are as requested."""
    missing = {one.field for one in difference(undoing.after, only(now, undoing.part))}
    asked = (one.field for one in difference(undoing.before, undoing.after))
    return [name for name in asked if name not in missing]


def change_of(wanted: Wanted) -> Change:
    """Return what the audit log calls a change."""
    match wanted:
        case WantedSource():
            return Change.SET_SOURCE
        case NoSource():
            return Change.DISCONNECT
        case WantedPin():
            return Change.PIN if wanted.pin else Change.UNPIN
        case WantedBuild():
            return Change.SET_BUILD
        case WantedBack(Part.SOURCE):
            return Change.UNDO_SOURCE
        case WantedBack(Part.BUILD):
            return Change.UNDO_BUILD
        case WantedBack():
            return Change.UNDO_VARIABLES
        case _:
            return Change.SET_VARIABLES


def overruled(app: App, changed: tuple[Changed, ...], book: RuleBook) -> list[str]:
    """Return remarks about changed fields that `bridge.yaml` overrides."""
    file = rules_for(app.label, book)
    says = {
        f"rules.{spoken}" if name != "watch_paths" else name: rule_value(getattr(file, name))
        for name, spoken in RULES.items()
    }
    if file.trigger is not None:
        says["trigger"] = file.trigger
    return [
        f"bridge.yaml says {one.field.removeprefix('rules.')}: {_plain(says[one.field])} for"
        f" {app.label}, and wins"
        for one in changed
        if says.get(one.field) is not None
    ]


def breaks_pin(wanted: Wanted, before: Configured, after: Configured) -> list[str]:
    """Return a remark about another branch for a pinned app."""
    branches = [getattr(one.saved.provider, "branch", None) for one in (before, after)]
    kept = isinstance(wanted, WantedPin | WantedBack) or not after.rules.pin
    if kept or branches[0] == branches[1]:
        return []
    return ["it is pinned, and with this branch nothing deploys: use `pin --branch`, or `unpin`"]


def odd_names(changed: tuple[Changed, ...]) -> list[str]:
    """Return remarks about new variables whose names no shell accepts."""
    fields = (one.field.partition(".") for one in changed if one.before is None)
    odd = hidden_from_shells(name for section, _, name in fields if name and section in SECTIONS)
    if not odd:
        return []
    shown = ", ".join(odd[:_SHOWN]) + (" …" if len(odd) > _SHOWN else "")
    what, them = ("is a name", "it") if len(odd) == 1 else ("are names", "them")
    return [
        (
            f"{shown} {what} that no shell accepts ($NAME has letters, digits and _, and does not"
            f" start with a digit): programs can read {them}, scripts can't"
        )
    ]


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value).lower()


# ── Changes that were not made, or not as planned ─────────────────────────────────────────────────

OF_RULES = "rules."
"""The prefix of fields that the bridge stores itself, after the backend's."""


class Overtaken(Rejected):
    """Somebody else changed the app in the meantime."""

    def __init__(self, app: App, changed: tuple[Changed, ...], there: Sequence[str] = ()) -> None:
        """Take the fields that they changed; `there`: fields that are already as requested."""
        names = ", ".join(one.field for one in changed)
        is_there = (
            f"{', '.join(there)} is as asked, and nothing more was" if there else "nothing was"
        )
        super().__init__(
            f"{app.label} was changed by somebody else in the meantime ({names}): {is_there}"
            " written; look at it, and try again"
        )
        self.changed = changed
        _note(self, changed)


class NotKept(BridgeError):
    """The backend accepted the change, but has other values than were written.

    Attributes:
        changed: the wanted and the actual value, by field.
    """

    def __init__(
        self, app: App, changed: tuple[Changed, ...], why: BridgeError | None = None
    ) -> None:
        """Take the differences, and why it is unknown whether the backend accepted them."""
        names = ", ".join(one.field for one in changed)
        was = "was written, but" if why is None else f"may have been written ({why}), and"
        super().__init__(
            f"{app.label} {was} reads back differently ({names}): look at it in the backend"
        )
        self.changed = changed
        _note(self, changed)


def _note(error: BridgeError, changed: tuple[Changed, ...]) -> None:
    """Add each field with its values, which the command line shows above the error."""
    for line in lines_of(changed):
        error.add_note(line)


class HalfMade(Unanswered):
    """One part of a change was made, and the other was not."""

    def __init__(
        self, app: App, made: Sequence[str], missing: Sequence[str], why: BridgeError
    ) -> None:
        super().__init__(app.backend, str(why))
        said = (
            f"only a part of the change of {app.label} was made: {', '.join(made)}; not made:"
            f" {', '.join(missing)} ({why}); ask for the same again to make the rest, or take it"
            f" back with `dokploy-bridge provider undo {app.label}`"
        )
        self.args = (said,)


def not_as_asked(
    app: App, change: Undoing, found: Configured, why: BridgeError | None
) -> BridgeError:
    """Return the error for a change that reads back as missing or incomplete.

    Args:
        why: why it may be missing; None if the backend accepted it.
    """
    differs = difference(change.after, only(found, change.part))
    if why is None or stray(change, found):
        return NotKept(app, differs, why)
    if made := there_of(change, found):
        return HalfMade(app, made, [one.field for one in differs], why)
    return Unanswered(app.backend, f"{_words(why)}; {app.label} is still as it was: ask again")


def not_read_back(
    app: App, change: Undoing, why: BridgeError | None, error: BridgeError
) -> Unanswered:
    """Return the error for a change that can't be read back.

    Args:
        why: why it is unknown whether it was made; None if the backend accepted it.
    """
    asked = [one.field for one in difference(change.before, change.after)]
    ours = [name for name in asked if name.startswith(OF_RULES)]
    theirs = ", ".join(name for name in asked if name not in ours)
    if why is None:
        said = f"the change of {app.label} was accepted, but it"
    else:
        rest = f", and {', '.join(ours)} was not changed" if ours else ""
        said = f"{_words(why)}; the change of {theirs} may have been made{rest}; {app.label}"
    remedy = "look at it once it answers, and ask for the same again"
    return Unanswered(app.backend, f"{said} can't be read back ({error}): {remedy}")


def _words(why: BridgeError) -> str:
    return why.why if isinstance(why, Unanswered) else str(why)
