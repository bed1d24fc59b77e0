"""`why` of a pull request: whether it has a preview of an app, and why."""

import re
import time
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.context import kept_in, settings_of
from bridge.cli.show import ago, clean, console, hint, indented, iso, on_terminal, say_json
from bridge.views.deployment_lists import became, ended_form
from bridge.views.previews import Standing, native_form

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from bridge.core.lifecycle import Deployment
    from bridge.core.previews.native import NativePreview
    from bridge.core.previews.preview import Preview

names_preview = re.compile(r".*[#!][0-9]{1,15}").fullmatch
"""Matches the name of a pull request, e.g. "shop/web#12"."""


async def why_preview(config: "Path | None", name: str, limit: int, *, json: bool) -> None:
    """Explain why a pull request has a preview, or has none."""
    from bridge.core.previews.native import NativePreview
    from bridge.core.previews.preview import find_preview
    from bridge.core.rules import ruled
    from bridge.operations.previews import standing
    from bridge.pipeline.previews.commands import previews_to_name
    from bridge.settings import book_of

    settings = settings_of(config)
    async with kept_in(settings) as stores:
        journal, book = stores.journal, book_of(settings)
        found = find_preview(await previews_to_name(journal, lambda _: True), name)
        made: list[Deployment] = []
        if isinstance(found, NativePreview):
            _say_native(found, json=json)
            return
        apps = [ruled(app, book) for app in await journal.apps()]
        (at,) = await standing(journal, apps, [found], lambda _, __: True)
        if found.made is not None:
            made = await journal.deployments(app_id=found.made, limit=limit)
    if json:
        say_json(_form(at, found, made))
    else:
        short = on_terminal()
        when = ago(found.active_at, time.time()) if short else iso(found.active_at) or ""
        deployments = (
            became(one, short=True) if short else f"{iso(one.created_at)} {became(one)}"
            for one in made
        )
        _print(_subject(found, when), (*_verdict(found, at.state), *deployments))
    if not json and (remedy := _remedy(found)):
        hint(clean(remedy))


def _say_native(found: "NativePreview", *, json: bool) -> None:
    """Say of a preview that a backend makes by itself what the backend tells."""
    from bridge.cli.preview_remedies import REMEDIES
    from bridge.core.previews.verdict import Why

    remedy = REMEDIES[Why.NATIVE]
    if json:
        say_json(native_form(found) | {"remedy": remedy, "deployments": []})
        return
    commit = f"{found.branch}@{found.commit[:7]}" if found.commit else found.branch
    when = ago(found.active_at, time.time()) if on_terminal() else iso(found.active_at)
    lines = (
        f"{found.state}: {found.whose}, which the bridge only shows",
        f"at {found.url}" if found.url else "",
        f"its log is at {found.page}" if found.page else "",
    )
    _print(f"{found.name} {found.title}, {commit}, {when}", filter(None, lines))
    hint(remedy)


def _print(subject: str, lines: "Iterable[str]") -> None:
    """Print what there is to say, for people or for pipes."""
    if on_terminal():
        console().print(clean(subject), style="bold")
        for line in lines:
            console().print(indented(clean(line), 2))
    else:
        for line in (subject, *lines):
            typer.echo(clean(line))


def _form(at: Standing, found: "Preview", made: "list[Deployment]") -> dict[str, Any]:
    deployments = [ended_form(one) for one in made]
    return at.form | {"remedy": _remedy(found) or None, "deployments": deployments}


def _subject(one: "Preview", when: str) -> str:
    """E.g. "shop/web#12 Add a page, by ada, from a fork, feature@18f234f, 3 h ago"."""
    pull = one.pull
    parts = (
        f"{one.name} {pull.title}",
        f"by {pull.author}" if pull.author else "",
        "" if pull.own else "from a fork",
        f"{pull.head}@{pull.head_sha[:7]}",
        when,
    )
    return ", ".join(filter(None, parts))


def _verdict(one: "Preview", state: str) -> list[str]:
    """Return the state with its reason, and what else is known."""
    from bridge.core.masking import redact

    note = redact(one.note)
    lines = [f"{state}: {one.reason or 'nobody has looked yet'}" + (f" ({note})" if note else "")]
    if one.failures:
        lines.append(f"its next step has failed {one.failures} times")
    if one.url:
        lines.append(f"at {one.url}")
    if one.approved:
        by = one.approver or "somebody"
        lines.append(f"{by} has approved {one.approved[:12]}")
    return lines


def _remedy(one: "Preview") -> str:
    from bridge.cli.preview_remedies import remedy_of

    return remedy_of(one)
