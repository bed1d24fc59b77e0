"""A change of how an app is configured, before it is made, and what is said where it was not."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.configuration.difference import (
    RULES,
    Changed,
    Configured,
    Part,
    Undoing,
    WantedBack,
    difference,
    only,
    put_back,
)
from bridge.core.configuration.fields import SECTIONS
from bridge.core.configuration.merge import NoSource, Wanted, WantedBuild, WantedSource, part_of
from bridge.core.configuration.variables import hidden_from_shells
from bridge.core.errors import BridgeError, Rejected, Unanswered
from bridge.core.matching.lint import Finding
from bridge.core.rules import RuleBook, rules_for

_SHOWN = 5
"""Names of variables that are told at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A change before it is made.

    Attributes:
        what: in a few words, for the audit.
        before, after: the app's whole configuration; secrets are sealed.
        difference: what would change, fit to be shown.
        findings: what is probably not meant in new watch paths.
        remarks: what else a person should know before saying yes.
        undoes: number of the change that it takes back.
    """

    app: App
    what: str
    wanted: Wanted
    before: Configured
    after: Configured
    difference: tuple[Changed, ...]
    findings: tuple[Finding, ...] = ()
    remarks: tuple[str, ...] = ()
    undoes: int | None = None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.difference

    @property
    def undoing(self) -> Undoing:
        """What has to be kept so that it can be undone."""
        part = part_of(self.wanted)
        return Undoing(part, only(self.before, part), only(self.after, part))


def back_to(app: App, undoing: Undoing, now: Configured, undoes: int, *, sure: bool = True) -> Plan:
    """Return the plan that undoes a change of an app that is configured like `now`.

    Args:
        sure: the backend has confirmed the change.
    """
    wanted = WantedBack(undoing.part, undoing.before)
    after = put_back(now, wanted)
    changed = difference(now, after)
    doubt = f"change {undoes} was never confirmed; this takes back what is there of it"
    remarks = () if sure else (doubt,)
    what = words_of(wanted)
    return Plan(app, what, wanted, now, after, changed, remarks=remarks, undoes=undoes)


def going_on(app: App, undoing: Undoing, now: Configured) -> Plan:
    """Return the plan that makes a change, or what of it is not made yet."""
    wanted = WantedBack(undoing.part, undoing.after)
    after = put_back(now, wanted)
    return Plan(app, words_of(wanted), wanted, now, after, difference(now, after))


def stray(undoing: Undoing, now: Configured) -> tuple[Changed, ...]:
    """Return what is neither as it was before a change nor as it is after: somebody else's."""
    here = only(now, undoing.part)
    unmade = {one.field for one in difference(undoing.after, here)}
    return tuple(one for one in difference(undoing.before, here) if one.field in unmade)


def there_of(undoing: Undoing, now: Configured) -> list[str]:
    """Return the fields of a change that are as it asks."""
    missing = {one.field for one in difference(undoing.after, only(now, undoing.part))}
    asked = (one.field for one in difference(undoing.before, undoing.after))
    return [name for name in asked if name not in missing]


def words_of(wanted: Wanted) -> str:
    """Return a change in a few words."""
    match wanted:
        case WantedSource():
            return "provider set"
        case NoSource():
            return "provider disconnect"
        case WantedBuild():
            return "build set"
        case WantedBack(Part.SOURCE):
            return "provider undo"
        case WantedBack(Part.BUILD):
            return "build undo"
        case WantedBack():
            return "env undo"
        case _:
            return "env set"


def overruled(app: App, changed: tuple[Changed, ...], book: RuleBook) -> list[str]:
    """Return what `bridge.yaml` says of the very fields that change."""
    file = rules_for(app.label, book)
    says = {
        f"rules.{spoken}" if name != "watch_paths" else name: getattr(file, name)
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


def odd_names(changed: tuple[Changed, ...]) -> list[str]:
    """Return what a person should know of new variables whose names no shell takes."""
    fields = (one.field.partition(".") for one in changed if one.before is None)
    odd = hidden_from_shells(name for section, _, name in fields if name and section in SECTIONS)
    if not odd:
        return []
    shown = ", ".join(odd[:_SHOWN]) + (" …" if len(odd) > _SHOWN else "")
    what, them = ("is a name", "it") if len(odd) == 1 else ("are names", "them")
    return [
        (
            f"{shown} {what} that no shell takes ($NAME has letters, digits and _, and begins with"
            f" no digit): programs can read {them}, scripts can't"
        )
    ]


def _plain(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value).lower()


# ── what is said of a change that was not made, or not as planned ────────────

OF_RULES = "rules."
"""Begins the name of a field that the bridge keeps itself, and writes after the backend's."""


class Overtaken(Rejected):
    """Somebody else has changed the app in between.

    Attributes:
        changed: what they have changed.
    """

    def __init__(self, app: App, changed: tuple[Changed, ...], there: Sequence[str] = ()) -> None:
        """Take what they have changed; `there`: fields that are as asked already."""
        names = ", ".join(one.field for one in changed)
        is_there = (
            f"{', '.join(there)} is as asked, and nothing more was" if there else "nothing was"
        )
        super().__init__(
            f"{app.label} was changed by somebody else in between ({names}): {is_there}"
            " written; look at it, and ask again"
        )
        self.changed = changed


class NotKept(BridgeError):
    """The backend took the change, but has something else than what was written.

    Attributes:
        changed: by field what was wanted and what there is.
    """

    def __init__(
        self, app: App, changed: tuple[Changed, ...], why: BridgeError | None = None
    ) -> None:
        """Take what differs, and why it is not known whether the backend took it."""
        names = ", ".join(one.field for one in changed)
        was = "was written, but" if why is None else f"may have been written ({why}), and"
        super().__init__(
            f"{app.label} {was} reads back differently ({names}): look at it in the backend"
        )
        self.changed = changed


class HalfMade(Unanswered):
    """One part of a change was made and the other was not."""

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
    """Return what to say of a change that is not there, or not all of it, once it is read back.

    Args:
        why: why it is not there; None if the backend took it.
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
    """Return what to say of a change that can't be read back.

    Args:
        why: why it is not known whether it was made; None if the backend took it.
        error: why it can't be read back.
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
