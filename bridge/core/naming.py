"""Which app a person means by a name."""

import difflib
from collections.abc import Sequence

from bridge.core.errors import NotFound
from bridge.core.watch import App

MOST_NAMED = 5


def find_app(apps: Sequence[App], name: str) -> App:
    """The one app that a name stands for: its id, its label, its bare name, or a prefix of one.

    Raises:
        NotFound: none or several fit; the message names those that come near.
    """
    fits = fitting(apps, name)
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


def fitting(apps: Sequence[App], name: str) -> list[App]:
    """All that a name fits in the strictest way in which it fits any."""
    wanted = name.strip().lower()
    for fits in (
        [app for app in apps if app.id == name],
        [app for app in apps if app.label == name],
        [app for app in apps if app.label.lower() == wanted],
        [app for app in apps if app.name.lower() == wanted],
        [app for app in apps if wanted and _begins(app, wanted)],
    ):
        if fits:
            return fits
    return []


def _begins(app: App, wanted: str) -> bool:
    return app.label.lower().startswith(wanted) or app.name.lower().startswith(wanted)


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
