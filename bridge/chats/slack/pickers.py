"""Modals with a searchable app picker, and its options."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    MOST_OPTIONS,
    OPTION_TEXT,
    Element,
    View,
    context,
    field_input,
    label,
    modal,
    name_label,
    option,
)
from bridge.chats.slack.facts import source_of
from bridge.chats.slack.mrkdwn import clean
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.chat.replies import Pick

GROUPED_FROM = 8
"""From this many options on they are grouped by project; fewer read faster without groups."""


PICK = "pick."
"""Before the name of a call in the callback id of its modal."""


def picker(asked: Pick, *, chosen: App | None = None, channel: str = "") -> View:
    """Return the modal that asks which app; `channel`: where it is opened."""
    search: Element = {
        "type": "external_select",
        "action_id": names.APP_SEARCH,
        "placeholder": label("Type a few letters of its name", 150),
        "min_query_length": 0,
        "focus_on_load": True,
    }
    if chosen is not None:
        search["initial_option"] = app_option(chosen)
    does = WORDS.get(asked.call.name, asked.call.name.capitalize())
    return modal(
        f"{PICK}{asked.call.name}",
        f"{does}: which app?",
        [field_input(names.APP_SEARCH, "App", search), context(asked.says)],
        submit=does,
        close="Close",
        metadata=f"{channel} {asked.right}",
    )


WORDS = {"provider": "Configure", "rollback": "Roll back"}
"""Button labels for commands whose name is not a verb."""


def picked(view: Mapping[str, Any]) -> tuple[str, Right]:
    """Return the call that a modal is about, and the right that it needs; they prove nothing."""
    right = str(view.get("private_metadata") or "").partition(" ")[2]
    name = str(view.get("callback_id") or "").removeprefix(PICK)
    return name, Right(right) if right in set(Right) else Right.VIEW


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
