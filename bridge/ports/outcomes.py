"""The outcomes of deliveries, and the places that show them."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, TypeVar

from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision
from bridge.core.errors import BridgeError
from bridge.core.events import Ref, Repository
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Actor

Cursor = Mapping[str, Any]
"""A place's cursor as JSON: the message's ts, the comment's id, what it shows.

One key has a meaning for all places: `LINK`."""

LINK = "link"
"""The key of a cursor with the place's URL for people, e.g. a card's permalink. When it becomes
known or changes, every subscription that may link to it becomes pending: those that show the same
deployments, their deliveries, or a deployment that one of them superseded (`Snapshot.beside`)."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One place that shows something, e.g. a card, a comment or a status.

    Attributes:
        id: the same for the same place, so adding it again changes nothing.
        kind: which publisher updates it, e.g. "slack.card", "github.comment".
        lane: the scope of a rate limit, e.g. a channel or a credential. Subscriptions of one lane
            are published one at a time, and "too many requests" pauses all of them.
        follows: the keys whose changes make it pending: `about_deployment`, `about_delivery`.
        place: where it is, in its adapter's own terms; JSON.
        rank: within a lane the lowest due rank goes first. Now and then a higher one does
            (`rank_favoured`), to keep it from starving.
    """

    id: str
    kind: str
    lane: str
    follows: tuple[str, ...]
    place: Mapping[str, Any]
    rank: int = 0


class Rank(IntEnum):
    """What goes first in a lane: what people read does not wait for what only machines read.

    A deployment that ends badly raises the subscriptions that follow it alone to `BAD`.
    """

    READ = 0
    BAD = 1
    DEPLOYED = 2
    SKIPPED = 3


def about_deployment(id_: str) -> str:
    """Return the key of one deployment."""
    return f"deployment {id_}"


ABOUT_ANYTHING = "anything"
"""The key of everything: the state of all apps."""


def about_change(number: int) -> str:
    """Return the key of one change of an app's configuration."""
    return f"change {number}"


def about_lock(scope: str) -> str:
    """Return the key of a scope's lock; what follows it is forgotten with the lock."""
    return f"lock {scope}"


def about_pull(id_: str) -> str:
    """Return the key of all previews of one pull request; see `core.previews.preview.pull_id`."""
    return f"pull {id_}"


def about_delivery(seq: int) -> str:
    """Return the key of everything that one delivery led to."""
    return f"delivery {seq}"


def about_merge(seq: int) -> str:
    """Return the key by which a pull request's comment knows the delivery that merged it."""
    return f"merge {seq}"


def named(keys: Iterable[str], kind: str) -> list[str]:
    """Return the ids in keys of a kind, e.g. `7.web` for `deployment 7.web` and "deployment"."""
    words = [key.split(" ", 1) for key in keys]
    return [word[1] for word in words if word[0] == kind]


def ref_key(repository: Repository, ref: Ref) -> str:
    """Return host, repository id and full ref as one text."""
    return f"{repository.host} {repository.id} {ref}"


@dataclass(frozen=True, slots=True)
class PushSeen:
    """The facts that show whether two deliveries contain the same push.

    Attributes:
        ref_key: see `ref_key`.
        found: by reconciliation, so a webhook may still deliver it, with another `before`.
        moment: the time of the push according to the host; "" if it gives none.
        hook: the webhook that reports it, see `RefPushed`; "" if unknown.
        repository, author: their names, for people; "" if unknown.
        message: the first line of the newest commit's message; "" if unknown.
    """

    ref_key: str
    before: str
    after: str
    found: bool = False
    moment: str = ""
    hook: str = ""
    repository: str = ""
    author: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Pushed:
    """The repository that a push went to.

    Attributes:
        key: the host and its id there, e.g. "github 4711".
        name: its newest name; "" if the push was decided before names were kept.
    """

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class About:
    """What a push was about, for people.

    Attributes:
        repository, author: None if it was decided before names were kept; else the author of the
            commit, or the pusher.
        ref: e.g. "refs/heads/main".
        message: its first line; "" if it is not known.
    """

    repository: str | None
    ref: str
    commit: str
    author: str | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Sought:
    """The deliveries that somebody looks for; a delivery must fit all that is given.

    Attributes:
        repositories: pushes to one of these, by their keys; () for any.
        ref: a branch or tag, by its short name or its full one.
        commit: begins like this, in lower case hexadecimal digits.
        author: exactly this name.
        app_id: deliveries that were decided for this app.
        state, failed: that led to a deployment in this state, or to a failed or unhealthy one, of
            `app_id` if given.
    """

    repositories: tuple[str, ...] = ()
    ref: str = ""
    commit: str = ""
    author: str = ""
    app_id: str | None = None
    state: State | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class FoundWords:
    """The results of a search for words, newest first.

    Attributes:
        deployments: their ids, each with the label of its app.
        pushes: the positions of their deliveries.
        first: the position at which the search has ended; 0 if it has read everything.
        since: when the oldest push was decided that it has read; None if there is none.
    """

    deployments: Sequence[tuple[str, str]]
    pushes: Sequence[int]
    first: int
    since: float | None


@dataclass(frozen=True, slots=True)
class LastPush:
    """The commit of a ref's newest decided push, and the delivery that contained it."""

    seq: int
    after: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one delivery, to be recorded in one transaction.

    Attributes:
        delivery: the host's own delivery id.
        explicit: a person requested it, so it counts even if the same push was decided before.
        subscriptions: the places that will show it.
        only: the deployment to cancel, if a person requested to cancel a single one.
        audited: what the audit log says of it, if somebody requested it.
    """

    seq: int
    delivery: str
    decisions: tuple[Decision, ...]
    deployments: tuple[Deployment, ...] = ()
    push: PushSeen | None = None
    explicit: bool = False
    subscriptions: tuple[Subscription, ...] = ()
    only: str | None = None
    audited: "Audited | None" = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded decision with its subject.

    Attributes:
        at: when it was decided.
        delivery, ref, commit: of the push; None if a person requested it.
        message, author: of the commit, the message's first line; "" if they are not known.
    """

    seq: int
    at: float
    decision: Decision
    delivery: str | None = None
    ref: str | None = None
    commit: str | None = None
    message: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """The flows to start after recording, and those of superseded deployments to drop."""

    start: tuple[str, ...]
    drop: tuple[str, ...]


CLEAR, ADOPT, ADOPT_UNDO = "clear", "adopt", "adopt undo"
NOT_CONFIGURED = frozenset({CLEAR, ADOPT, ADOPT_UNDO})
"""Changes that leave an app's configuration alone, so `undo` does not find them."""


class Stage(StrEnum):
    """How far a change has come."""

    BEGUN = "begun"
    """In progress; an interrupted one stays so."""
    WAITS = "waits"
    """Its backend must come back first."""
    DONE = "done"
    PARTLY = "partly"
    """It was made, but not as requested."""
    UNSURE = "unsure"
    """It may or may not have been made."""
    REFUSED = "refused"
    TOLD = "told"
    """A command that took effect; the text says which, in its own words."""


@dataclass(frozen=True, slots=True)
class Result:
    """How far a change has come, for the audit log.

    Attributes:
        says: all of it, e.g. "done", "waits for the backend: …", "Refused: dokploy: …".
        why: the same without the kind of error; "" if there was none.
    """

    stage: Stage
    says: str
    why: str = ""

    @classmethod
    def waits(cls, error: BridgeError) -> "Result":
        return cls(Stage.WAITS, f"waits for the backend: {error}", str(error))

    @classmethod
    def failed(cls, stage: Stage, kind: str, why: str) -> "Result":
        return cls(stage, f"{kind}: {why}", why)

    @classmethod
    def read(cls, text: str) -> "Result":
        """Return a result from the text that earlier releases stored."""
        if text in (Stage.BEGUN, Stage.DONE):
            return cls(Stage(text), text)
        kind, colon, why = text.partition(": ")
        if text.startswith("waits for "):
            return cls(Stage.WAITS, text, why)
        if kind not in _STAGES and not _ERROR(kind + colon):
            return cls(Stage.TOLD, text)
        return cls(_STAGES.get(kind, Stage.REFUSED), text, why)


BEGUN, DONE = Result(Stage.BEGUN, "begun"), Result(Stage.DONE, "done")

UNKNOWN = "outcome unknown"
"""The kind of error of a change in which the bridge itself failed; it may have been made."""

_STAGES = {
    "Unanswered": Stage.UNSURE,
    UNKNOWN: Stage.UNSURE,
    "HalfMade": Stage.PARTLY,
    "NotKept": Stage.PARTLY,
    "refused": Stage.REFUSED,
}
_ERROR = re.compile(r"[A-Z][A-Za-z]+: ").fullmatch


@dataclass(frozen=True, slots=True)
class Audited:
    """A change of an app's configuration, or a command, for the audit log.

    Attributes:
        what: e.g. "provider set".
        difference: without secrets.
        number: counts up; 0 until it is stored.
        seq: of the delivery that requested it; None if none did.
        undoing: the values before and after, sealed, for undo; "" if it can't be undone.
        undoes: the number of the change that this one undoes.
    """

    at: float
    by: Actor
    what: str
    app_id: str
    app: str
    difference: tuple[Changed, ...]
    result: Result = BEGUN
    number: int = 0
    seq: int | None = None
    undoing: str = field(default="", repr=False)
    undoes: int | None = None

    @property
    def outcome(self) -> str:
        """The result in words."""
        return self.result.says

    @property
    def over(self) -> bool:
        """Return whether it was made or has failed for good."""
        return self.result.stage not in (Stage.BEGUN, Stage.WAITS)

    @property
    def perhaps(self) -> bool:
        """Return whether it may have been made, at least in part; only the app can tell.

        A change requested by chat has begun once it has something to undo.
        """
        if self.seq is not None and not self.undoing:
            return False
        return not self.over or self.result.stage in (Stage.UNSURE, Stage.PARTLY)


T = TypeVar("T")
Audits = Callable[[T], Audited | None]
"""Returns what the audit log is to say of an outcome, in the same transaction; None for nothing."""
