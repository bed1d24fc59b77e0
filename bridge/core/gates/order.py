"""The order of apps: who waits for whom."""

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from bridge.core.apps import App
from bridge.core.rules import label_matches

_GLOB = frozenset("*?[{")


def earlier_of(app: App, apps: Iterable[App]) -> dict[str, str]:
    """Return the ids of the apps that must be live before this one, by label.

    A name in `after` that fits no app stands for itself, with the id "", and holds. An app does
    not wait for itself.
    """
    others = {one.label: one.id for one in apps if one.id != app.id}
    found: dict[str, str] = {}
    for pattern in app.rules.after or ():
        fits = {label: id_ for label, id_ in others.items() if label_matches(pattern, label)}
        found |= fits or ({} if label_matches(pattern, app.label) else {pattern: ""})
    return found


def differing(before: Mapping[str, App], now: Mapping[str, App]) -> list[str]:
    """Return the ids of the apps that gates judge otherwise: those that differ.

    If a name differs, all whose rules name earlier apps are among them.
    """
    found = {id_ for id_ in before.keys() | now.keys() if before.get(id_) != now.get(id_)}
    if {app.label for app in before.values()} != {app.label for app in now.values()}:
        found |= {id_ for id_, app in now.items() if app.rules.after}
    return sorted(found)


def circles(rules: Sequence[tuple[str, Sequence[str]]]) -> list[tuple[str, ...]]:
    """Return the apps that wait for each other in a circle; at most one circle.

    Args:
        rules: a label or glob over labels, with those that must be live first.
    """
    after: dict[str, set[str]] = {}
    for apps, earlier in rules:
        after.setdefault(apps, set()).update(earlier)
    for apps, names in after.items():
        if apps in names and _GLOB & set(apps):  # each of its apps waits for the others
            return [(apps,)]
    waits = {
        apps: {one for one in after if _waits(apps, names, one)} for apps, names in after.items()
    }
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        return [tuple(reversed(error.args[1][1:]))]
    return []


def _waits(apps: str, after: Iterable[str], other: str) -> bool:
    """Return whether apps wait for those of another rule."""
    fits = (label_matches(other, one) or label_matches(one, other) for one in after)
    return other != apps and any(fits)
