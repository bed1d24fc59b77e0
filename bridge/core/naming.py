"""Which app a person means by a name."""

import difflib
from collections.abc import Callable, Sequence

from bridge.core.errors import NotFound
from bridge.core.watch import App

MOST_NAMED = 5


def find_app(apps: Sequence[App], name: str, gone: Sequence[App] = ()) -> App:
    """Return the one app that a name stands for: its id, label, bare name, or a prefix of one.

    Args:
        gone: apps that were deleted, which are found as well. Of a live and a deleted app that
            the name fits equally well it means the live one.

    Raises:
        NotFound: none or several fit; the message names those that come near.
    """
    fits = fitting(apps, name, gone)
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise NotFound(f"{name!r} fits several apps: {_named(fits)}; say which")
    raise NotFound(f"there is no app {name!r}{_near(apps, name)}")


def apps_like(apps: Sequence[App], name: str) -> list[App]:
    """What may have been meant by a name that names no single app, the likeliest first."""
    fits = fitting(apps, name)
    if fits:
        return fits[:MOST_NAMED]
    by_word = {word.lower(): app for app in apps for word in (app.name, app.label)}
    words = difflib.get_close_matches(name.strip().lower(), by_word, n=3, cutoff=0.5)
    return list({by_word[word].id: by_word[word] for word in words}.values())


def fitting(apps: Sequence[App], name: str, gone: Sequence[App] = ()) -> list[App]:
    """Return all that a name fits in the strictest way in which it fits any; see `find_app`."""
    for way in (*_WHOLE, _begins):
        for those in (apps, gone):
            if fits := [app for app in those if way(app, name)]:
                return fits
    return []


def named(apps: Sequence[App], name: str) -> list[App]:
    """Return those whose whole id, label or name it is, without prefixes."""
    found = ([app for app in apps if way(app, name)] for way in _WHOLE)
    return next((fits for fits in found if fits), [])


_WHOLE: tuple[Callable[[App, str], bool], ...] = (
    lambda app, name: app.id == name,
    lambda app, name: app.label == name,
    lambda app, name: app.label.lower() == name.strip().lower(),
    lambda app, name: app.name.lower() == name.strip().lower(),
)
"""The ways in which a whole name fits an app, the strictest first."""


def _begins(app: App, name: str) -> bool:
    wanted = name.strip().lower()
    return wanted != "" and any(one.lower().startswith(wanted) for one in (app.label, app.name))


def _named(apps: Sequence[App]) -> str:
    labels = [app.label for app in apps]
    if len(set(labels)) < len(labels):  # the same label twice: only the ids tell them apart
        labels = [f"{app.label} ({app.id})" for app in apps]
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(labels[:MOST_NAMED]) + more


def _near(apps: Sequence[App], name: str) -> str:
    if not apps:
        return "; no app is known yet"
    labels = [app.label for app in apps_like(apps, name)]
    if labels:
        return f"; did you mean {' or '.join(labels)}?"
    return f"; there are: {_named(apps)}"
