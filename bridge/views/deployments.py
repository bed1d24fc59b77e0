"""What is said about deployments: each fact as a phrase, for cards, answers and lists."""

from dataclasses import replace

from bridge.core.apps import App
from bridge.core.events import COMMAND_HOST, Action
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.health.fate import Fate, Now, as_told, note_now
from bridge.core.holds import Hold, proposal_in
from bridge.core.lifecycle import (
    HELD,
    VERIFIED,
    Change,
    Deployment,
    NoteKind,
    State,
    app_of,
    live_image,
    promotes,
)
from bridge.core.masking import redact
from bridge.core.origin import Actor, Cause
from bridge.views.links import Links, same_commit
from bridge.views.text import clean
from bridge.views.view import Code, Icon, Item, Mark, Phrase, Sign, Strong, Text, Tone, joined

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

_VERDICTS = {
    State.WAITING: "waits for its turn",
    State.HELD: "is held",
    State.ASKED: "is about to start",
    State.QUEUED: "waits in the backend's queue",
    State.RUNNING: "is building",
    State.VERIFYING: "is being verified",
    State.DONE: "went live",
    State.UNHEALTHY: "was found unhealthy",
    State.FAILED: "failed",
    State.CANCELLED: "was cancelled",
    State.SUPERSEDED: "gave way to a newer deployment",
    State.UNKNOWN: "has an unknown outcome",
}
"""A verdict in the past tense, as a phrase after the app's name; it stays true."""

_NOW = {
    (State.DONE, True): "is live",
    (State.DONE, False): "was live",
    (State.UNHEALTHY, True): "is live and unhealthy",
    (State.UNHEALTHY, False): "was live and unhealthy",
}
"""The same of what went live, by whether it is what is served now."""

_AWAY = "waits for the backend"

_NOTHING_NEW = frozenset(
    {
        (State.WAITING, "waits for its turn"),
        (State.ASKED, "the backend accepted it"),
        (State.QUEUED, "waits in the backend's queue"),
        (State.RUNNING, "builds"),
    }
)
"""Notes that only repeat the state."""

_PUSHED = {Cause.PUSH: "pushed", Cause.TAG: "tagged"}


def item_of(deployment: Deployment) -> Item:
    """Return a deployment in a list: its app, its branch or tag, and what it brings."""
    return Item(about(deployment), deployment.state)


def about(deployment: Deployment, is_: str = "") -> Phrase:
    """Return its app, its branch or tag, and what it brings; `is_`: said of the app."""
    ref = deployment.ref or ""
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    commit, message = version_of(deployment)
    what: Phrase = ()
    if commit:
        first = first_line(message).strip()
        what = (Code(Text(commit[:7], COMMIT)), *((" ", Text(first, IN_A_LIST)) if first else ()))
    elif deployment.shown_image:
        what = (Code(Text(deployment.shown_image, 80)),)
    branch: Phrase = (Code(Text(name, REF_NAME)),) if ref else ()
    return joined((Strong(Text(deployment.app, APP_NAME)), is_), branch, what)


def version_of(deployment: Deployment) -> tuple[str | None, str | None]:
    """Return the commit and message of what is live, would be approved, or was pushed."""
    proposal = proposal_in(deployment.holds) if deployment.state is State.HELD else None
    if proposal is not None:
        return proposal.commit, proposal.message
    return deployment.deployed_commit or deployment.commit, deployment.message


def sign_now(state: State, fate: Fate | None) -> Sign:
    """Return the sign of a state, or of what has become of a version that was live."""
    if fate is None or fate.live:
        return state
    return _PAST.get(fate.now, Icon.PAST)


_PAST: dict[Now, Sign] = {Now.ROLLED_BACK: Icon.GONE_BACK, Now.UNKNOWN: State.UNKNOWN}


# ── what it is ────────────────────────────────────────────────────────────────────────────────────


def visible(words: str, limit: int) -> Phrase:
    """Return untrusted words; () if nothing of them can be seen."""
    return (Text(words, limit),) if clean(words) else ()


def ref_of(ref: str | None) -> Phrase:
    """Return a branch as code, a tag with its sign; () if there is none."""
    if not ref:
        return ()
    name = Code(Text(ref.removeprefix("refs/heads/").removeprefix("refs/tags/"), REF_NAME))
    return (Mark(Icon.TAG), " ", name) if ref.startswith("refs/tags/") else (name,)


def commit_of(sha: str | None, app: App | None, links: Links) -> Phrase:
    """Return a commit's short name with its page, if that is known for sure."""
    return (Code(Text(sha[:7], COMMIT), links.commit(app, sha)),) if sha else ()


def first_line(message: str | None) -> str:
    """Return the first non-empty line of a commit's message."""
    return next((line for line in (message or "").splitlines() if clean(line)), "")


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


def verdict_of(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's state, as a phrase after the app's name.

    Args:
        fate: what has become of it. Without it, what went live is not said to be live.
    """
    if fate is not None and fate.now is Now.STOPPED:
        return "is stopped"
    if fate is not None:
        state = deployment.state if fate.itself or not fate.live else State.DONE
        return _NOW[state, fate.live]
    if deployment.state is State.WAITING and deployment.note_kind is NoteKind.AWAY:
        return _AWAY
    return _VERDICTS[deployment.state]


def told_verdict(state: State) -> str:
    """Return what is told once of a state, as a phrase after the app's name."""
    return _VERDICTS[state]


def news(change: Change) -> str:
    """Return a change's note in words that stay true, redacted."""
    return _redacted_news(change.state, as_told(change))


def _redacted_news(state: State, note: str) -> str:
    if state is State.SUPERSEDED:
        return "A newer deployment takes its place"
    return redacted(note.removeprefix("accepted, outcome unknown: "))


def redacted(note: str) -> str:
    """Return a note with what looks like a secret hidden."""
    return redact(note[:MOST_CHARACTERS])


def remark(deployment: Deployment, fate: Fate | None = None) -> str:
    """Return a deployment's newest note, if it says more than the state; see `note_now`."""
    if (deployment.state, deployment.note) in _NOTHING_NEW or deployment.superseded_by:
        return ""
    live = deployment.deployed_commit
    is_live = f"commit {live[:7]} is live" if live else live_image(deployment.shown_image)
    as_shown = deployment.note in (is_live, is_live + VERIFIED)
    if as_shown and deployment.action is Action.DEPLOY:
        return ""
    note = note_now(deployment, fate).removeprefix(f"{_AWAY}: ").removeprefix(HELD)
    return _redacted_news(deployment.state, note)


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
