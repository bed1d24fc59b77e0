"""What deliveries lead to."""

from dataclasses import dataclass, field

from bridge.core.configuring.difference import Changed
from bridge.core.decision import Decision
from bridge.core.events import Ref, Repository
from bridge.core.lifecycle import Deployment
from bridge.ports.targets import Target


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
