"""Fields in which an app is looked for, and the options that are offered."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    MOST_OPTIONS,
    OPTION_TEXT,
    Element,
    label,
    name_label,
    option,
)
from bridge.chats.slack.facts import source_of
from bridge.chats.slack.mrkdwn import clean
from bridge.core.apps import App

GROUPED_FROM = 8
"""From this many options on they are grouped by project; fewer read faster without groups."""


def app_search(chosen: App | None = None) -> Element:
    """Return the list in which an app is looked for; `chosen`: one that is probably meant."""
    search: Element = {
        "type": "external_select",
        "action_id": names.APP_SEARCH,
        "placeholder": label("Type a few letters of its name", 150),
        "min_query_length": 0,
    }
    if chosen is not None:
        search["initial_option"] = app_option(chosen)
    return search


def offered(apps: Sequence[App], typed: str = "") -> dict[str, Any]:
    """Return the answer to a `block_suggestion`: the best apps first, at most a hundred."""
    fitting = matching(apps, typed)[:MOST_OPTIONS]
    if len(fitting) < GROUPED_FROM or len({app.project for app in fitting}) == 1 or typed.strip():
        return {"options": [app_option(app) for app in fitting]}
    by_project = sorted(fitting, key=lambda app: (app.project.lower(), app.project))
    return {
        "option_groups": [
            {
                "label": name_label(project, OPTION_TEXT),
                "options": [app_option(app) for app in those],
            }
            for project, those in groupby(by_project, key=lambda app: app.project)
        ]
    }


def matching(apps: Iterable[App], typed: str) -> list[App]:
    """Return the apps whose label contains every typed word, prefixes of the name first."""
    words = clean(typed).lower().split()
    found = [app for app in apps if all(word in app.label.lower() for word in words)]
    return sorted(found, key=lambda app: (_rank(app, words), app.label.lower(), app.id))


def _rank(app: App, words: Sequence[str]) -> int:
    if not words:
        return 0
    name, first = app.name.lower(), words[0]
    if name == first:
        return 0
    return 1 if name.startswith(first) else 2 if first in name else 3


def app_option(app: App) -> Element:
    """Return an app as an option: its label, and its source."""
    return option(app.label, app.id, source_of(app))
