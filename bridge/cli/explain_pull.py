"""`explain` of a pull request: whether each app would have a preview of it, and why."""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.forms import misses_of
from bridge.cli.show import clean, console, hint, indented, on_terminal
from bridge.cli.what_if import Known, Payload, WhatIf, apps_for, nearness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.apps import App
    from bridge.core.events import PullRequestChanged
    from bridge.core.previews.preview import Preview
    from bridge.core.previews.verdict import Verdict
    from bridge.ports.githosts import ChangeSet
    from bridge.ports.previews import Previews
    from bridge.settings import Settings

HELD, WANTED, NONE = "held", "preview", "none"
"""Explain pull requests: the verdict for each app, as lines and as JSON."""


@dataclass(frozen=True, slots=True)
class Explaining:
    """The explanation of one pull request.

    Attributes:
        journal: the records of previews; None if there is no data.
    """

    settings: "Settings"
    journal: "Previews | None"
    known: Known
    event: "PullRequestChanged"

    async def forms(self, apps: "Sequence[App]") -> "tuple[list[dict[str, Any]], ChangeSet]":
        """Return a form for each app, and the files that the pull request changes."""
        files = await self._files(apps)
        return [await self._form(app, files) for app in apps], files

    async def _form(self, app: "App", files: "ChangeSet") -> dict[str, Any]:
        from bridge.core.previews.verdict import HOLDS, Why, aim, by_files
        from bridge.views.preview_reasons import remedy_of

        event, policy = self.event, app.rules.previews
        verdict = self._at_once(app)
        if verdict is None:
            found = files if app.watched else replace(files, note="")
            about = (event.pull, app, event.repository, found.paths, found.note)
            verdict = by_files(*about, self.known.policy)
        seen = await self._record(app)
        verdict = aim(seen, verdict, policy, time.time()).verdict
        missed = verdict.why is Why.NO_PATH_HIT
        return {
            "app": app.label,
            "app_id": app.id,
            "name": seen.name,
            "wanted": verdict.wanted,
            "held": verdict.why in HOLDS,
            "reason": str(verdict.why),
            "evidence": verdict.evidence,
            "remedy": remedy_of(replace(seen, reason=verdict.why)) or None,
        } | nearness(app, files.paths, self.known.policy, missed=missed)

    def _at_once(self, app: "App") -> "Verdict | None":
        """Return the verdict if files don't matter; None if they do."""
        from bridge.core.previews.verdict import without_files

        event, policy = self.event, app.rules.previews
        return without_files(event.pull, app, event.repository, policy, self.known.policy)

    async def _record(self, app: "App") -> "Preview":
        """Return the preview as it is once the pull request is reported."""
        from bridge.core.previews.preview import Preview, preview_id

        pull, repository, now = self.event.pull, self.event.repository, time.time()
        found = None
        if self.journal is not None:
            found = await self.journal.preview(preview_id(repository, pull.number, app.id))
        if found is None:
            return Preview("", repository, app.id, app.label, app.backend, pull, active_at=now)
        if found.pull.head_sha != pull.head_sha or (pull.open and not found.pull.open):
            found = replace(found, stopped=False, active_at=now)  # as a push does
        return replace(found, pull=pull)

    async def _files(self, apps: "Sequence[App]") -> "ChangeSet":
        """Return what the pull request changes; the Git host is asked if it matters."""
        from bridge.app.providers import host_apis
        from bridge.core.errors import BridgeError
        from bridge.pipeline.previews.previews import NO_FILES, FollowsPulls
        from bridge.ports.githosts import ChangeSet

        if not any(app.watched and self._at_once(app) is None for app in apps):
            return ChangeSet(None)
        async with AsyncExitStack() as stack:
            apis = host_apis(self.settings)
            for one in apis.values():
                stack.push_async_callback(one.close)
            api = apis.get(self.event.repository.host)
            if not isinstance(api, FollowsPulls):
                return NO_FILES
            try:
                return await api.pull_files(api.key(self.event.repository), self.event.pull.number)
            except BridgeError as error:
                return ChangeSet(None, f"its files can't be read: {error}")


async def explained_pull(
    payload: Payload, explaining: Explaining, what_if: WhatIf
) -> dict[str, Any] | None:
    """Return the explanation for scripts; None if no app deploys from the repository.

    Raises:
        NotFound: an app is unknown.
    """
    from bridge.core.previews.verdict import as_push

    event, known = explaining.event, explaining.known
    if not known.apps and not what_if.asked:
        return None
    pull = event.pull
    found, assumed = apps_for(as_push(pull, event.repository, None, ""), known, what_if)
    apps = [_with_previews(app) if assumed else app for app in found if not app.marker]
    if not apps:
        return None
    forms, files = await explaining.forms(apps)
    return {
        "host": payload.host,
        "event": payload.event,
        "assumed": [*payload.assumed, *assumed],
        "ignored": None,
        "decisions": [],
        "repository": event.repository.name,
        "pull_request": pull.number,
        "title": pull.title,
        "author": pull.author or None,
        "fork": not pull.own,
        "draft": pull.draft,
        "open": pull.open,
        "head": pull.head,
        "base": pull.base,
        "commit": pull.head_sha,
        "paths": None if files.paths is None else list(files.paths),
        "paths_note": files.note,
        "previews": forms,
    }


def _with_previews(app: "App") -> "App":
    """Return a hypothetical app, whose pull requests are previewed."""
    from bridge.core.policies import PreviewPolicy

    policy = app.rules.previews or PreviewPolicy()
    return replace(app, rules=replace(app.rules, previews=policy))


# ── how it is shown ─────────────────────────────────────────────────────────────────────────────


def show_pull(form: dict[str, Any]) -> None:
    """Show an explanation to a person."""
    if on_terminal():
        console().print(clean(heading(form)), style="bold")
    for one in form["previews"]:
        line = clean(line_of(one))
        if on_terminal():
            console().print(indented(line, 2))
        else:
            typer.echo(line)
        for words in filter(None, (*misses_of(one), one["remedy"])):
            hint(clean(f"{one['name']}: {words}"))


def heading(form: dict[str, Any]) -> str:
    """E.g. `github pull request 12 of feature into main in my-org/mono by ada: 2 files changed`."""
    where = f"of {form['head']} into {form['base']} in {form['repository']}"
    by = f" by {form['author']}" if form["author"] else ""
    fork = " from a fork" if form["fork"] else ""
    files = form["paths"]
    count = "" if files is None else f": {len(files)} file{'' if len(files) == 1 else 's'} changed"
    return f"{form['host']} pull request {form['pull_request']} {where}{by}{fork}{count}"


def line_of(one: dict[str, Any]) -> str:
    """E.g. `none shop/web#12: draft (the pull request is a draft)`."""
    verb = HELD if one["held"] else WANTED if one["wanted"] else NONE
    return f"{verb} {one['name']}: {one['reason']} ({one['evidence']})"
