"""Facts about deployments as phrases, for cards, answers and lists."""

from dataclasses import replace

from bridge.core.apps import App
from bridge.core.events import COMMAND_HOST
from bridge.core.holds import Hold, proposal_in
from bridge.core.lifecycle import (
    Deployment,
    State,
    app_of,
    promotes,
)
from bridge.core.people import Actor, Cause
from bridge.views.links import Links, same_commit
from bridge.views.states import redacted
from bridge.views.text import clean
from bridge.views.values import Code, Commit, Phrase, Ref, Strong, Text, joined
from bridge.views.view import Item, Tone

APP_NAME, REF_NAME, COMMIT, IMAGE = 200, 100, 20, 120
ENVIRONMENT, PERSON, FIRST_LINE, NOTE = 60, 60, 120, 500
"""The most characters of each."""

IN_A_LIST = 40
"""The most characters of a message's first line in a list."""

LOUD = frozenset({State.FAILED, State.UNHEALTHY, State.UNKNOWN})
"""States that the whole channel is told, since somebody must act."""

TONES = {
    State.HELD: Tone.DOUBT,
    State.ASKED: Tone.BUSY,
    State.QUEUED: Tone.BUSY,
    State.RUNNING: Tone.BUSY,
    State.VERIFYING: Tone.BUSY,
    State.DONE: Tone.GOOD,
    State.UNHEALTHY: Tone.BAD,
    State.FAILED: Tone.BAD,
    State.UNKNOWN: Tone.DOUBT,
}
"""Tones of states; all others are calm."""

_PUSHED = {Cause.PUSH: "pushed", Cause.TAG: "tagged"}


def item_of(deployment: Deployment) -> Item:
    """Return a deployment in a list: its app, its branch or tag, and what it brings."""
    return Item(about(deployment), deployment.state)


def about(deployment: Deployment, is_: str = "") -> Phrase:
    """Return its app, its branch or tag, and what it brings; `is_`: said of the app."""
    named: Phrase = (Strong(Text(deployment.app, APP_NAME)), is_)
    return joined(named, *brief(deployment))


def brief(deployment: Deployment, app: App | None = None, most: int = IN_A_LIST) -> list[Phrase]:
    """Return a deployment's branch or tag, and what it brings: a commit, or an image.

    Args:
        app: its app, if commits of its repository are to be linked.
        most: characters of the first line of the commit's message; 0 for none of it.
    """
    what: list[Phrase] = [(Ref(deployment.ref),)] if deployment.ref else []
    commit, message = version_of(deployment)
    if commit and most and (first := first_line(message)):
        what.append((Commit(commit, app), " ", Text(first, most)))
    elif commit:
        what.append((Commit(commit, app),))
    elif deployment.shown_image:
        what.append((Code(Text(deployment.shown_image, IMAGE)),))
    return what


def version_of(deployment: Deployment) -> tuple[str | None, str | None]:
    """Return the commit and message of what is live, would be approved, or was pushed."""
    proposal = proposal_in(deployment.holds) if deployment.state is State.HELD else None
    if proposal is not None:
        return proposal.commit, proposal.message
    return deployment.deployed_commit or deployment.commit, deployment.message


# ── what it is ────────────────────────────────────────────────────────────────────────────────────


def visible(words: str, limit: int) -> Phrase:
    """Return untrusted words; () if nothing of them can be seen."""
    return (Text(words, limit),) if clean(words) else ()


def ref_of(ref: str | None) -> Phrase:
    """Return a branch or a tag; () if there is none."""
    return (Ref(ref),) if ref else ()


def commit_of(sha: str | None, app: App | None, links: Links) -> Phrase:
    """Return a commit's short name with its page, if that is known for sure."""
    return (Code(Text(sha[:7], COMMIT), links.commit(app, sha)),) if sha else ()


def first_line(message: str | None) -> str:
    """Return the first non-empty line of a commit's message."""
    return next((line for line in (message or "").splitlines() if clean(line)), "").strip()


def asked_by(deployment: Deployment) -> Phrase:
    """Return the origin, e.g. "pushed by Ada" or "redeploy asked by Grace"."""
    origin = deployment.origin
    if (pushed := _PUSHED.get(origin.cause)) is not None:
        author = visible(deployment.author or "", PERSON)
        by: Phrase = (f"{pushed} by ", *author) if author else (pushed,)
        more = _with_door(origin.more(origin.actor.name), origin.actor)
        return (*by, ", ", *more) if more else by
    verb = "promotion" if _promoted(deployment) else deployment.action
    who = person_of(origin.actor)
    return (f"{verb} asked by ", *who) if who else (f"{verb} asked",)


def _promoted(deployment: Deployment) -> bool:
    """Return whether it brings the version of another app, not an earlier one of its own."""
    return promotes(deployment) and app_of(deployment.target or "") != deployment.app_id


def person_of(actor: Actor) -> Phrase:
    """Return a person's name in plain words, e.g. "ada on the command line"."""
    return _with_door(actor.name, actor)


def _with_door(words: str, actor: Actor) -> Phrase:
    name = visible(words, PERSON)
    return (*name, " on the command line") if name and actor.door == COMMAND_HOST else name


# ── how it stands ─────────────────────────────────────────────────────────────────────────────────


def holds_of(deployment: Deployment) -> tuple[Hold, ...]:
    """Return what holds a deployment, with reasons in which no secret can be read."""
    if deployment.state is not State.HELD:
        return ()
    return tuple(replace(one, says=redacted(one.says)) for one in deployment.holds)


def another_commit(deployment: Deployment) -> bool:
    """Return whether the backend reports another commit than was pushed."""
    deployed, pushed = deployment.deployed_commit, deployment.commit
    return bool(deployed and pushed and not same_commit(deployed, pushed))


def took(deployment: Deployment) -> str:
    """Return a deployment's duration; "" if it is unknown."""
    began = deployment.started_at or deployment.asked_at
    if deployment.finished_at is None or began is None:
        return ""
    return duration(deployment.finished_at - began)


def duration(seconds: float) -> str:
    """Return a duration in at most two units, e.g. "1 min 12 s"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two(whole // 60, "min", whole % 60, "s")
    if whole < 86400:
        return _two(whole // 3600, "h", whole % 3600 // 60, "min")
    return _two(whole // 86400, "d", whole % 86400 // 3600, "h")


def _two(many: int, unit: str, few: int, smaller: str) -> str:
    return f"{many} {unit} {few} {smaller}" if few else f"{many} {unit}"
