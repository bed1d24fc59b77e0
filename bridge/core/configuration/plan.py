"""A change of how an app is configured, before it is made."""

from dataclasses import dataclass

from bridge.core.apps import App, SourceType
from bridge.core.configuration.difference import (
    RULES,
    SECTIONS,
    Changed,
    Configured,
    Part,
    Undoing,
    WantedBack,
    difference,
    only,
    put_back,
)
from bridge.core.configuration.merge import NoSource, Wanted, WantedBuild, WantedSource, part_of
from bridge.core.configuration.variables import hidden_from_shells
from bridge.core.matching.lint import Finding
from bridge.core.rules import RuleBook, rules_for

SAVABLE = {SourceType.GITHUB, SourceType.GITLAB, SourceType.GIT, SourceType.DOCKER}
"""Kinds of source that can be saved from here; others can only be forgotten."""


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


def back_to(app: App, undoing: Undoing, now: Configured, undoes: int) -> Plan:
    """Return the plan that undoes a change of an app that is configured like `now`."""
    wanted = WantedBack(undoing.part, undoing.before)
    after = put_back(now, wanted)
    changed = difference(now, after)
    return Plan(app, words_of(wanted), wanted, now, after, changed, undoes=undoes)


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
