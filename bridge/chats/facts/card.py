"""The facts of a deployment's card, free of any chat's markup.

They are collected here once; each chat only formats them. Texts of people, hosts and backends are a
`Text`, a note or a log, which the chat escapes and cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.chats.facts.links import APP_NAME, Around, Links, Place, places_of, same_commit
from bridge.chats.facts.proposal import (
    FIRST_LINE,
    PERSON,
    Proposed,
    first_line,
    proposal_of,
    proposed_of,
)
from bridge.chats.facts.text import Phrase, Text, clean, clean_lines
from bridge.core.apps import App, environment_of
from bridge.core.events import COMMAND_HOST, Action
from bridge.core.failure import MOST_CHARACTERS, failure_in
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate, Now, as_told, note_now
from bridge.core.health.rollback import version_of as version_brought
from bridge.core.holds import Hold
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
from bridge.core.people import Actor, Cause
from bridge.core.rules import label_matches
from bridge.views.deployments import version_of

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

LOUD = frozenset({State.FAILED, State.UNHEALTHY, State.UNKNOWN})
"""States that the whole channel is told, since somebody must act."""

_NOTHING_NEW = frozenset(
    {
        (State.WAITING, "waits for its turn"),
        (State.ASKED, "the backend accepted it"),
        (State.QUEUED, "waits in the backend's queue"),
        (State.RUNNING, "builds"),
    }
)
"""Notes that only repeat the state."""

_AWAY = "waits for the backend"

REF_NAME = 100
ENVIRONMENT = 60
NOTE = 500
IMAGE = 120


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch, or a tag."""

    name: Text
    is_tag: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit by its short id; `url`: its page, if that is known for sure."""

    short: Text
    url: str | None


@dataclass(frozen=True, slots=True)
class Newer:
    """A newer deployment superseded it; `url`: of the newer one's card, if there is one."""

    url: str | None


@dataclass(frozen=True, slots=True)
class OtherCommit:
    """Another commit went live than the pushed one; `tense`: "is", "was" or "went" live."""

    live: Commit
    pushed: Commit
    tense: str


@dataclass(frozen=True, slots=True)
class Card:
    """The content of a deployment's card, for any chat.

    Attributes:
        image: the image that is deployed, if that is no commit; else empty.
        says: the first line of the commit's message.
        by: its origin.
        building_since: when the build began; None unless it builds.
        took: its duration; "" while it is unknown.
        fate: what has become of it; None unless it went live.
        way: of a rollback from which version to which; "" until it is served.
        lock: the lock that a rollback has left.
        note: the latest news, unless the rest shows it; a text is our own sentence with untrusted
            names in it.
        holds: what holds it, each with the reason as such a sentence.
        proposal: what somebody would approve, which is then its commit, too.
        places: links to its site, its backend, its pull requests, and its changes.
    """

    state: State
    app: Text
    verdict: str
    ref: Ref | None
    commit: Commit | None
    image: Text
    says: Text
    environment: Text
    by: Phrase
    created_at: float
    building_since: float | None
    took: str
    note: str | Newer | OtherCommit
    holds: tuple[Hold, ...]
    places: tuple[Place, ...]
    proposal: Proposed | None = None
    fate: Fate | None = None
    way: str = ""
    lock: Lock | None = None

    @property
    def past(self) -> bool:
        """Return whether it went live but is not, or not surely, live now."""
        return self.fate is not None and not self.fate.live


def card_of(
    deployment: Deployment,
    app: App | None,
    links: Links,
    around: Around,
    superseded_by: str | None = None,
) -> Card:
    """Return the card of a deployment.

    Args:
        app: None if it is no longer known; then nothing links to its repository.
        superseded_by: the link of its successor's card, if there is one.
    """
    building = deployment.state is State.RUNNING
    proposal = proposal_of(deployment)
    commit, message = deployment.commit or deployment.deployed_commit, deployment.message
    if proposal is not None:
        commit, message = version_of(deployment)
    return Card(
        state=deployment.state,
        app=Text(deployment.app, APP_NAME),
        verdict=verdict_of(deployment, around.fate),
        ref=ref_of(deployment.ref),
        commit=commit_of(commit, app, links),
        image=Text(deployment.shown_image, IMAGE),
        says=Text(first_line(message), FIRST_LINE),
        environment=Text(environment_of(app) if app else "", ENVIRONMENT),
        by=asked_by(deployment),
        created_at=deployment.created_at,
        building_since=deployment.started_at if building else None,
        took=took(deployment),
        note=_note(deployment, app, links, superseded_by, around.fate),
        holds=holds_of(deployment),
        places=places_of(deployment, app, links, around),
        proposal=None if proposal is None else proposed_of(proposal, app, links),
        fate=around.fate,
        way=_way(deployment, around.left),
        lock=around.lock,
    )


def _way(deployment: Deployment, left: str) -> str:
    """Return from which version to which a rollback led; "" until it is served."""
    if deployment.action is not Action.ROLLBACK or not deployment.served:
        return ""
    start = f" from {left}" if left else ""
    return f"rolled back{start} to {version_brought(deployment)}"


def _note(
    deployment: Deployment,
    app: App | None,
    links: Links,
    superseded_by: str | None,
    fate: Fate | None,
) -> str | Newer | OtherCommit:
    if deployment.state is State.SUPERSEDED:
        return Newer(superseded_by)
    if holds_of(deployment):
        return ""
    live = commit_of(deployment.deployed_commit, app, links)
    pushed = commit_of(deployment.commit, None, links)
    if deployment.state is not State.UNHEALTHY and another_commit(deployment) and live and pushed:
        tense = "went" if fate is None else "is" if fate.live else "was"
        return OtherCommit(live, pushed, tense)
    return remark(deployment, fate)


# ── Each fact by itself ─────────────────────────────────────────────────────────────────────────

_SHORT = 20


def ref_of(ref: str | None) -> Ref | None:
    """Return a branch or tag by its short name."""
    if not ref:
        return None
    name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
    return Ref(Text(name, REF_NAME), ref.startswith("refs/tags/"))


def commit_of(sha: str | None, app: App | None, links: Links) -> Commit | None:
    """Return a commit with its page."""
    return Commit(Text(sha[:7], _SHORT), links.commit(app, sha)) if sha else None


_PUSHED = {Cause.PUSH: "pushed", Cause.TAG: "tagged"}


def asked_by(deployment: Deployment) -> Phrase:
    """Return the origin, e.g. "pushed by Ada" or "redeploy asked by Grace"."""
    origin = deployment.origin
    if (pushed := _PUSHED.get(origin.cause)) is not None:
        author = deployment.author or ""
        by: Phrase = (f"{pushed} by ", Text(author, PERSON)) if clean(author) else (pushed,)
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
    if not clean(words):
        return ()
    on = (" on the command line",) if actor.door == COMMAND_HOST else ()
    return (Text(words, PERSON), *on)


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
        return "waits for the backend"
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


# ── A failure, told in a message of its own ─────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Failure:
    """A change after which somebody must act.

    Attributes:
        verdict: the state, with the duration.
        note: what is wrong.
        tail: the end of the build's log, or what an unhealthy one has answered; redacted.
        repeated: whether the tail's last line already says the note.
    """

    state: State
    verdict: str
    note: str
    tail: str
    repeated: bool


def failure_of(deployment: Deployment, change: Change, log: str) -> Failure:
    """Return the facts of a loud change.

    Args:
        log: the end of the build's log, if any; it says nothing of why one is unhealthy.
    """
    lasted = took(deployment)
    verdict = told_verdict(change.state) + (f" after {lasted}" if lasted else "")
    note = news(change)
    if change.state is State.UNHEALTHY:
        seen = _without_first(redact(deployment.log_tail or ""), note)
        tail = clean_lines(seen).strip("\n")
        return Failure(change.state, verdict, note, tail, repeated=False)
    tail = clean_lines(failure_in(log).excerpt).strip("\n")
    repeated = redacted(change.note).strip() in tail.rpartition("\n")[2]
    return Failure(change.state, verdict, note, tail, repeated)


def _without_first(evidence: str, note: str) -> str:
    """Return evidence without its first line if the note says that already."""
    first, _, rest = evidence.partition("\n")
    return rest if first in note else evidence


# ── The channels of apps ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of apps.

    Attributes:
        book: globs over labels with their channels; later ones win.
        default: for apps that the book does not name; "" for none.
        previews: globs over labels with the channels of previews, None for those of the app.
    """

    book: Sequence[tuple[str, tuple[str, ...]]] = ()
    default: str = ""
    previews: Sequence[tuple[str, tuple[str, ...] | None]] = ()

    def of(self, label: str, asked_in: str = "") -> tuple[str, ...]:
        """Return the channels of an app; without any, the one in which it was requested."""
        found: tuple[str, ...] = (self.default,) if self.default else ()
        for pattern, channels in self.book:
            if label_matches(pattern, label):
                found = channels
        return found or ((asked_in,) if asked_in else ())

    def of_previews(self, label: str) -> tuple[str, ...]:
        """Return the channels of the previews of an app, given by its own label."""
        found: tuple[str, ...] | None = None
        for pattern, channels in self.previews:
            if label_matches(pattern, label):
                found = channels
        return self.of(label) if found is None else found
