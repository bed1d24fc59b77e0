"""What is said about why a pull request has a preview, or has none; for people and for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.core.lifecycle import Deployment
from bridge.core.masking import redact
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview, shown_state, still_served
from bridge.core.previews.verdict import Why
from bridge.views.deployment_lists import became, ended_form
from bridge.views.deployments import NOTE
from bridge.views.previews import native_form, preview_form
from bridge.views.values import Moment, Phrase, Sentence, Text
from bridge.views.view import Row, Table, View

NAME, TITLE, ADDRESS = 200, 120, 400

REMEDIES: Mapping[Why, str] = {
    Why.WANTED: "",
    Why.CLOSED: "a pull request that is opened again has one",
    Why.NO_PREVIEWS: "the rule `previews` in bridge.yaml gives an app some",
    Why.NATIVE: "where the rule `previews` is to make them, switch the backend's off",
    Why.OTHER_BASE: "only pull requests to the branch that the app deploys have one",
    Why.DRAFT: "mark it as ready, or write `drafts: true` in the rule",
    Why.NO_LABEL: "add the label",
    Why.FORK: "write `forks: approval` in the rule to build those that somebody approves",
    Why.NO_PATH_HIT: "only pull requests that change what the app watches have one",
    Why.WATCH_PATHS_BROKEN: "correct the watch paths: `dokploy-bridge config check` names them",
    Why.STOPPED: "push, or run `dokploy-bridge previews extend {name}`",
    Why.IDLE: "push, or run `dokploy-bridge previews extend {name}`",
    Why.APPROVAL: "look at it, then run `dokploy-bridge previews approve {name} --commit {commit}`",
    Why.LIMIT: "it takes the next free place by itself; `dokploy-bridge previews stop` makes one",
    Why.CANNOT_BUILD: "run `dokploy-bridge doctor`",
}
"""A sentence for each reason; "" if there is nothing to do."""


def remedy_of(preview: Preview) -> str:
    """Return what somebody can do about the reason of a preview; "" if nothing has to be done."""
    if preview.reason not in tuple(Why):
        return ""  # nobody has looked at it yet, or a newer release has
    says = REMEDIES[Why(preview.reason)]
    return says.format(name=preview.name, commit=preview.pull.head_sha[:12])


# ── an answer ─────────────────────────────────────────────────────────────────────────────────────


def reasons(
    preview: Preview,
    policy: PreviewPolicy | None,
    newest: Deployment | None,
    served: Deployment | None,
    made: Sequence[Deployment],
) -> View:
    """Explain why a pull request has a preview, or has none.

    Args:
        newest: the newest deployment of its app; None before the first.
        served: what its app serves; None if that is not known.
        made: the deployments of its app, newest first.
    """
    remedy = remedy_of(preview)
    form = preview_form(preview, policy, newest, served) | {"remedy": remedy or None}
    version = still_served(preview, newest, served)
    still = [_said(f"{version} is still up")] if version else []
    lines = [*_verdict(preview, shown_state(preview, newest)), *still, *map(_deployment, made)]
    data = form | {"deployments": [ended_form(one) for one in made]}
    return _answer(preview.name, _subject(preview), lines, remedy, data)


def native_reasons(preview: NativePreview) -> View:
    """Say of a preview that a backend makes by itself what the backend tells."""
    remedy = REMEDIES[Why.NATIVE]
    commit = f"{preview.branch}@{preview.commit[:7]}" if preview.commit else preview.branch
    title = (Text(f"{preview.name} {preview.title}, {commit}", TITLE), ", ")
    lines = [
        f"{preview.state}: {preview.whose}, which the bridge only shows",
        f"at {preview.url}" if preview.url else "",
        f"its log is at {preview.page}" if preview.page else "",
    ]
    data = native_form(preview) | {"remedy": remedy, "deployments": []}
    subject = (*title, Moment(preview.active_at, since=True))
    return _answer(preview.name, subject, [_said(one) for one in lines if one], remedy, data)


def _answer(
    name: str, subject: Phrase, lines: Sequence[Phrase], remedy: str, data: Mapping[str, Any]
) -> View:
    head = ("Why ", Text(name, NAME), " has a preview, or has none")
    table = Table((), [Row((), says=[subject, *lines])])
    return View(head, parts=[table], hints=[_said(remedy)] if remedy else [], data=data)


def _said(words: str) -> Phrase:
    return (Sentence(words, NOTE),)


def _subject(one: Preview) -> Phrase:
    pull = one.pull
    parts = (
        f"{one.name} {pull.title}",
        f"by {pull.author}" if pull.author else "",
        "" if pull.own else "from a fork",
        f"{pull.head}@{pull.head_sha[:7]}",
    )
    said = Text(", ".join(filter(None, parts)), NOTE)
    return (said, ", ", Moment(one.active_at, since=True))


def _verdict(one: Preview, state: str) -> list[Phrase]:
    """Return the state with its reason, and what else is known."""
    note = redact(one.note)
    lines = [f"{state}: {one.reason or 'nobody has looked yet'}" + (f" ({note})" if note else "")]
    if one.failures:
        lines.append(f"its next step has failed {one.failures} times")
    if one.url:
        lines.append(f"at {one.url}")
    if one.approved:
        by = one.approver or "somebody"
        lines.append(f"{by} has approved {one.approved[:12]}")
    return list(map(_said, lines))


def _deployment(one: Deployment) -> Phrase:
    return (Moment(one.created_at, since=True), " ", Text(became(one), NOTE))


# ── for programs ──────────────────────────────────────────────────────────────────────────────────
