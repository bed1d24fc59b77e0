"""The first line of a pull request's comment: what needs somebody, and what is live where. Pure."""

from collections.abc import Collection, Sequence
from enum import Enum
from itertools import groupby
from typing import NamedTuple

from bridge.core.apps import PRODUCTION
from bridge.core.health.fate import Now
from bridge.core.holds import Gate
from bridge.core.lifecycle import FINAL, Deployment, State
from bridge.core.previews.preview import Preview, PreviewState, current_of
from bridge.core.previews.verdict import Why
from bridge.core.words import many
from bridge.githosts.feedback.markdown import cell, code, commit, link, moment
from bridge.githosts.feedback.statuses import SHOWN, Standing, going, newest
from bridge.ports.feedback import Snapshot

MOST_NAMED = 3
"""Apps of one state that are named; more are counted."""

_OPENED_BY_PEOPLE = (Gate.LOCK, Gate.APPROVAL)

_PREVIEW_STATES = {
    PreviewState.NEW: "⏳ being looked at",
    PreviewState.SKIPPED: "none",
    PreviewState.HELD: "✋ held",
    PreviewState.MAKING: "🔨 being made",
    PreviewState.UP: "⏳ waiting",
    PreviewState.ENDING: "🧹 being removed",
    PreviewState.ENDED: "⏹️ removed",
}


class Part(Enum):
    """The parts of the line, in their order, with their titles."""

    NEEDS = "⚠️ **Needs somebody**: "
    ON_ITS_WAY = "🔨 **On its way**: "
    LIVE = "✅ **Live"
    PREVIEW = "👀 **Preview up**: "
    REST = ""


class Entry(NamedTuple):
    """An app or a preview in the line; `words` follow its name, of a live app its environment."""

    part: Part
    words: str
    name: str
    since: float | None = None


def summary(snapshot: Snapshot, apps: Sequence[Standing], *, merged: Collection[int] = ()) -> str:
    """Return one line that also suits a mail or a notification.

    Args:
        apps: those that the comment is about, without previews.
        merged: the deliveries of the push that merged the pull request.
    """
    deployed = [
        _app(app, app.deployment, snapshot) for app in apps if app.deployment and not app.skipped
    ]
    previews = [_preview(*shown) for shown in shown_previews(snapshot, ended=not merged)]
    parts = [_part(part, [*deployed, *previews]) for part in Part]
    if skipped := sum(app.skipped for app in apps):
        parts.append(f"{skipped} not deployed")
    push = next((one for one in snapshot.explained if one.commit), None)
    if push is not None and apps and not merged:
        ref = (push.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
        parts.append(commit(push.commit) + (f" on {code(ref)}" if ref else ""))
    return " · ".join(filter(None, parts))


def landed(snapshot: Snapshot, apps: Sequence[Standing], merged: Collection[int]) -> bool:
    """Return whether everything that the merge of the pull request deploys is live."""
    deployed = [app.deployment for app in apps if app.deployment and not app.skipped]
    return bool(merged and deployed) and all(_is_live(one, snapshot) for one in deployed)


def shown_previews(
    snapshot: Snapshot, *, ended: bool = True
) -> list[tuple[Preview, Deployment | None]]:
    """Return the previews that there are, were or are to be, each with its newest deployment."""
    deployed = {deployment.app_id: deployment for deployment in newest(snapshot)}
    return [
        (preview, deployed.get(preview.made or ""))
        for preview in snapshot.previews
        if preview.state is not PreviewState.SKIPPED
        and (ended or preview.state is not PreviewState.ENDED)
    ]


def preview_state(preview: Preview, deployment: Deployment | None) -> str:
    """Return the icon and the words of a preview's state; `deployment`: its newest."""
    current = current_of(preview, deployment)
    if current is None:
        return _PREVIEW_STATES[preview.state]
    shown = SHOWN[current.state]
    return f"{shown.icon} {'up' if current.state is State.DONE else shown.words}"


def _app(app: Standing, deployment: Deployment, snapshot: Snapshot) -> Entry:
    told, (_, words) = snapshot.told_by(deployment), going(deployment, snapshot)
    fate, of = snapshot.fates.get(told.id), snapshot.apps.get(app.app_id)
    name = cell(app.label)
    if _is_live(deployment, snapshot):
        linked = link(name, of.url if of else None)
        return Entry(Part.LIVE, app.environment, linked, told.live_at or told.finished_at)
    if fate is not None and not fate.live:
        locked = snapshot.lock_of(told) is not None
        return Entry(Part.NEEDS if locked else Part.REST, words, name)
    return Entry(_part_of(told), words, name)


def _is_live(deployment: Deployment, snapshot: Snapshot) -> bool:
    """Return whether what was pushed is live, also as part of a later push."""
    told = snapshot.told_by(deployment)
    fate = snapshot.fates.get(told.id)
    if told.state is not State.DONE or fate is None:
        return told.state is State.DONE
    later = fate.now is Now.REPLACED and fate.look is None and fate.by is not None
    return fate.live or (later and fate.by is not None and fate.by.pushed)


def _preview(preview: Preview, deployment: Deployment | None) -> Entry:
    words, name = preview_state(preview, deployment).partition(" ")[2], cell(preview.app)
    if preview.state is PreviewState.HELD:
        needed = preview.reason != Why.LIMIT
        return Entry(Part.NEEDS if needed else Part.ON_ITS_WAY, f"preview {words}", name)
    if (current := current_of(preview, deployment)) is not None:
        if current.state is State.DONE:
            return Entry(Part.PREVIEW, "", link(name, preview.url))
        return Entry(_part_of(current), f"preview {words}", name)
    over = preview.ends
    return Entry(Part.REST if over else Part.ON_ITS_WAY, f"preview {words}", name)


def _part_of(deployment: Deployment) -> Part:
    """Return where something belongs that is not live."""
    if deployment.state is State.HELD:
        asks = any(one.gate in _OPENED_BY_PEOPLE and not one.until for one in deployment.holds)
        return Part.NEEDS if asks else Part.ON_ITS_WAY
    if deployment.state in (State.FAILED, State.UNHEALTHY, State.UNKNOWN):
        return Part.NEEDS
    return Part.REST if deployment.state in FINAL else Part.ON_ITS_WAY


def _part(part: Part, entries: Sequence[Entry]) -> str:
    """Return one part of the line; "" if nothing belongs to it."""
    of_part = sorted((one for one in entries if one.part is part), key=lambda one: one.words)
    groups = [(words, list(those)) for words, those in groupby(of_part, lambda one: one.words)]
    if part is Part.LIVE:
        return " · ".join(_live(environment, those) for environment, those in groups)
    said = [f"{_names(those)} {words}".rstrip() for words, those in groups]
    return part.value + "; ".join(said) if said else ""


def _live(environment: str, entries: Sequence[Entry]) -> str:
    where = f"in {PRODUCTION}**" if environment == PRODUCTION else f"in** {cell(environment)}"
    times = [one.since for one in entries if one.since is not None]
    since = f" since {moment(max(times))} UTC" if len(times) == len(entries) else ""
    names = _names(entries) if len(entries) <= MOST_NAMED else many(len(entries), "app")
    return f"{Part.LIVE.value} {where}{since}: {names}"


def _names(entries: Sequence[Entry]) -> str:
    if len(entries) > MOST_NAMED:
        return str(len(entries))
    return ", ".join(one.name for one in entries)
