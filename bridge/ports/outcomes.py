"""What deliveries lead to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision
from bridge.core.events import Ref, Repository
from bridge.core.lifecycle import Deployment

Memory = Mapping[str, Any]
"""What a place remembers of itself, JSON: the message's ts, the comment's id, what it shows.

One name has a meaning for all: `LINK`.
"""

LINK = "link"
"""Where in a memory a place's own address for people stands, as a card's permalink. When it
becomes known or another one, what may link to it is raised: all that shows the same deployments
or their deliveries, or a deployment that one of them has superseded (`Story.beside`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """One place that shows something, as a card in a channel, a comment or a status.

    Attributes:
        id: the same for the same place, so wanting it again changes nothing.
        kind: which `Shows` brings it up to date, e.g. "slack.card", "github.comment".
        lane: what shares a rate limit, as a channel or a credential; targets of one lane go one
            at a time, and an answer "too many" makes all of them wait.
        follows: what raises it when it changes: `about_deployment`, `about_delivery`.
        place: where it is, in its adapter's own words; JSON.
        rank: of what is due in a lane the lowest goes first, so that what people look at does
            not wait for what only machines read; but now and then a higher one does
            (`pacing.rank_favoured`), which would wait for ever where there is always a lower.
    """

    id: str
    kind: str
    lane: str
    follows: tuple[str, ...]
    place: Mapping[str, Any]
    rank: int = 0


def about_deployment(id_: str) -> str:
    """Raises what shows one deployment."""
    return f"deployment {id_}"


ABOUT_ANYTHING = "anything"
"""Raises what shows how everything stands."""


def about_change(number: int) -> str:
    """Raises what shows how an app was configured differently."""
    return f"change {number}"


def about_delivery(seq: int) -> str:
    """Raises what shows all that one delivery has led to."""
    return f"delivery {seq}"


def named(keys: Iterable[str], kind: str) -> list[str]:
    """What keys of one kind name: of `deployment 7.web` and kind "deployment" it is `7.web`."""
    words = [key.split(" ", 1) for key in keys]
    return [word[1] for word in words if word[0] == kind]


# ── What deliveries lead to ─────────────────────────────────────────────────────────────────────


def ref_key(repository: Repository, ref: Ref) -> str:
    """Host, repository id and full ref in one text."""
    return f"{repository.host} {repository.id} {ref}"


@dataclass(frozen=True, slots=True)
class PushSeen:
    """What makes two deliveries bring the same push.

    Attributes:
        ref_key: see `ref_key`.
        found: by reconciliation, so a webhook may still bring it, with another `before`.
        moment: when the host says that it was pushed; "" where it says nothing to tell it by.
        repository, author: their names, for people; "" where nothing is said.
    """

    ref_key: str
    before: str
    after: str
    found: bool = False
    moment: str = ""
    repository: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What a push was about, for people.

    Attributes:
        repository: its name; None where it was decided before names were kept.
        ref: e.g. "refs/heads/main".
        author: of the commit, else who pushed; None as with `repository`.
    """

    repository: str | None
    ref: str
    commit: str
    author: str | None


@dataclass(frozen=True, slots=True)
class LastPush:
    """Where the newest decided push of a ref has led to, and which delivery brought it."""

    seq: int
    after: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one delivery led to, to be recorded at once.

    Attributes:
        delivery: the host's own delivery id.
        explicit: a person wants it, whether or not the same push has come before.
        targets: the places that will show what becomes of it.
    """

    seq: int
    delivery: str
    decisions: tuple[Decision, ...]
    deployments: tuple[Deployment, ...] = ()
    push: PushSeen | None = None
    explicit: bool = False
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """A recorded decision with what it was about.

    Attributes:
        delivery, ref, commit: of the push; None where a person asked instead.
        at: when it was decided.
    """

    seq: int
    at: float
    decision: Decision
    delivery: str | None = None
    ref: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What follows from recorded outcomes.

    Attributes:
        start: deployments to start.
        drop: deployments that a newer one has superseded; their flows need not run.
    """

    start: tuple[str, ...]
    drop: tuple[str, ...]


BEGUN = "begun"
"""The outcome of a change while it is made; that of one which was cut off stays so."""

DONE = "done"
WAITS = "waits for "
"""How the outcome of a change begins that will be made once its backend is there again."""

UNKNOWN = "outcome unknown"
"""How that of one begins in which the bridge itself has failed: it may have been made."""


@dataclass(frozen=True, slots=True)
class Audited:
    """That somebody changes how an app is configured.

    Attributes:
        by: e.g. "cli: ada".
        what: e.g. "provider set".
        difference: secrets are not in it.
        outcome: `BEGUN`, "done", "waits for …", "outcome unknown: …", or why not.
        number: counts up; 0 while it is not kept.
        seq: of the delivery that asked for it; None where nobody did by chat.
        undoing: what was before and after, sealed, so that it can be undone; "" where it can't.
        undoes: number of the change that this one takes back.
    """

    at: float
    by: str
    what: str
    app_id: str
    app: str
    difference: tuple[Changed, ...]
    outcome: str = BEGUN
    number: int = 0
    seq: int | None = None
    undoing: str = field(default="", repr=False)
    undoes: int | None = None

    @property
    def over(self) -> bool:
        """Whether it was made, or never will be."""
        return self.outcome != BEGUN and not self.outcome.startswith(WAITS)
