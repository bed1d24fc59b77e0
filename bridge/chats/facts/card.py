"""The facts of a deployment's card, free of any chat's markup.

They are collected here once; each chat only formats them. Texts of people, hosts and backends are a
`Text`, a note or a log, which the chat escapes and cuts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.chats.facts.links import APP_NAME, Around, Links, Place, places_of, same_commit
from bridge.chats.facts.proposal import (
    FIRST_LINE,
    Proposed,
    first_line,
    proposal_of,
    proposed_of,
)
from bridge.chats.facts.text import clean_lines
from bridge.core.apps import App, environment_of
from bridge.core.events import Action
from bridge.core.failure import failure_in
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate
from bridge.core.health.rollback import version_of as version_brought
from bridge.core.holds import Hold
from bridge.core.lifecycle import (
    Change,
    Deployment,
    State,
)
from bridge.core.masking import redact
from bridge.core.rules import label_matches
from bridge.views.deployments import asked_by, took, version_of
from bridge.views.states import news, redacted, remark, told_verdict, verdict_of
from bridge.views.view import Text, Words

LOUD = frozenset({State.FAILED, State.UNHEALTHY, State.UNKNOWN})
"""States that the whole channel is told, since somebody must act."""

REF_NAME = 100
ENVIRONMENT = 60
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
    by: Words
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


def holds_of(deployment: Deployment) -> tuple[Hold, ...]:
    """Return what holds a deployment, with reasons in which no secret can be read."""
    if deployment.state is not State.HELD:
        return ()
    return tuple(replace(one, says=redacted(one.says)) for one in deployment.holds)


def another_commit(deployment: Deployment) -> bool:
    """Return whether the backend reports another commit than was pushed."""
    deployed, pushed = deployment.deployed_commit, deployment.commit
    return bool(deployed and pushed and not same_commit(deployed, pushed))


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
