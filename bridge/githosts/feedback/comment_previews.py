"""The previews in the comment of a pull request. Pure."""

from collections import Counter

from bridge.core.console import ConsolePages
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Deployment, State
from bridge.core.masking import redact
from bridge.core.previews.preview import Preview, PreviewState, still_served
from bridge.core.previews.verdict import Why
from bridge.githosts.feedback.markdown import NOTHING, cell, code, commit, link, moment, row
from bridge.githosts.feedback.statuses import GOING, ICON, newest
from bridge.ports.feedback import Snapshot

HEAD = ("Preview", "State", "Address", "Commit", "Updated (UTC)")
TABLE = [row(HEAD), row("---" for _ in HEAD)]

LONGEST_NOTE = 300

_STATES = {
    PreviewState.NEW: "⏳ being looked at",
    PreviewState.SKIPPED: "none",
    PreviewState.HELD: "✋ held",
    PreviewState.MAKING: "🔨 being made",
    PreviewState.UP: "⏳ waiting",
    PreviewState.ENDING: "🧹 being removed",
    PreviewState.ENDED: "⏹️ removed",
}


def previews_in(snapshot: Snapshot, console: ConsolePages) -> list[str]:
    """Return a row of the table for each preview that there is, was or is to be."""
    deployed = {one.app_id: one for one in newest(snapshot)}
    return [
        _row(one, deployed.get(one.made or ""), snapshot.served.get(one.made or ""), console)
        for one in snapshot.previews
        if _told(one)
    ]


def notes_in(snapshot: Snapshot) -> list[str]:
    """Return what keeps previews, and why there are none, as list items."""
    return [
        f"- {cell(one.app)} {_why(one)}: {code(redact(one.note), LONGEST_NOTE)}"
        for one in snapshot.previews
        if one.note and (one.state is PreviewState.HELD or one.failures or not _told(one))
    ]


def previews_summary(snapshot: Snapshot) -> str:
    """Return the previews in a few words; "" if there are none to tell of."""
    deployed = {one.app_id: one for one in newest(snapshot)}
    words = Counter(
        _state(one, deployed.get(one.made or "")).partition(" ")[2]
        for one in snapshot.previews
        if _told(one)
    )
    return " · ".join(f"{count} {word}" for word, count in words.items())


def _told(preview: Preview) -> bool:
    return preview.state is not PreviewState.SKIPPED


def _why(preview: Preview) -> str:
    if preview.state is PreviewState.HELD:
        return "is held"
    if preview.failures:
        return "waits"
    return "has none of the bridge's" if preview.reason == Why.NATIVE else "has no preview"


def _row(
    preview: Preview,
    deployment: Deployment | None,
    served: Deployment | None,
    console: ConsolePages,
) -> str:
    state = _state(preview, deployment)
    if deployment is not None:
        if served is not None and still_served(deployment.state, served):
            state += f", {commit(served.deployed_commit or version_of(served))} is still up"
        log = link("log", console.deployment(deployment.id))
        state += f" · {log}" if log.startswith("[") else ""
    address = link(_without_scheme(preview.url), preview.url) if preview.url else NOTHING
    at = preview.active_at if deployment is None else _updated(deployment)
    return row((cell(preview.app), state, address, commit(preview.pull.head_sha), moment(at)))


def _state(preview: Preview, deployment: Deployment | None) -> str:
    if preview.state is not PreviewState.UP or deployment is None:
        return _STATES[preview.state]
    word = "up" if deployment.state is State.DONE else GOING[deployment.state]
    return f"{ICON[deployment.state]} {word}"


def _updated(deployment: Deployment) -> float:
    return deployment.finished_at or deployment.started_at or deployment.created_at


def _without_scheme(url: str) -> str:
    return url.partition("://")[2].rstrip("/")
