"""Replies about gates: locks, freezes, approvals, and what people let pass. Pure data."""

from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import ALL, Lock
from bridge.core.holds import Hold, Proposal
from bridge.core.lifecycle import Deployment


@dataclass(frozen=True, slots=True)
class Affected:
    """The deployments in the scope of a new lock or freeze.

    Attributes:
        going: what the backend had been asked for before; it is not stopped.
        held: what waits with us, and is held now.
    """

    going: tuple[Deployment, ...] = ()
    held: tuple[Deployment, ...] = ()


@dataclass(frozen=True, slots=True)
class LockTaken:
    """The person has the lock.

    Attributes:
        before: their own that was renewed, or somebody's that was stolen.
        zone: of its end, as typed.
    """

    lock: Lock
    affected: Affected
    before: Lock | None = None
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class LockBusy:
    """Somebody else has the lock; `steal` is the command that takes it from them."""

    lock: Lock
    steal: str


@dataclass(frozen=True, slots=True)
class LockReleased:
    """A lock is gone; `lock` is the one that was there."""

    lock: Lock


@dataclass(frozen=True, slots=True)
class LockKept:
    """A lock is still needed; its owner is reminded less soon."""

    lock: Lock


@dataclass(frozen=True, slots=True)
class FreezeDeclared:
    """A freeze holds from now on; `zone` is that of its end, as typed."""

    freeze: Freeze
    affected: Affected
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class FreezesEnded:
    """The freezes by command of a scope are over."""

    label: str
    freezes: tuple[Freeze, ...]


@dataclass(frozen=True, slots=True)
class FreezeNow:
    """A freeze that holds now.

    Attributes:
        until: None if somebody has to end it.
        apps: labels of those that it covers and the person may view.
    """

    freeze: Freeze
    until: float | None
    apps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClosedGates:
    """The locks and freezes that hold now and concern apps that the person may view."""

    locks: tuple[Lock, ...] = ()
    freezes: tuple[FreezeNow, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovalAsked:
    """What somebody would approve; nothing is approved until they say so."""

    deployment: Deployment
    app: App
    proposal: Proposal


@dataclass(frozen=True, slots=True)
class ApprovalGiven:
    """A commit is approved.

    Attributes:
        new: False if the person had approved it, or what is the same for the app, before.
        given: the names of all whose approvals count.
        missing: how many more are needed.
        others: what holds the deployment besides.
    """

    deployment: Deployment
    commit: str
    new: bool
    given: tuple[str, ...]
    missing: int
    others: tuple[Hold, ...] = ()


@dataclass(frozen=True, slots=True)
class Lifted:
    """A held deployment passes what holds it, because somebody has said so."""

    deployment: Deployment
    holds: tuple[Hold, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class MoreHolds:
    """More holds a deployment than the person has seen, so nothing was lifted."""

    deployment: Deployment


GateReply = (
    LockTaken
    | LockBusy
    | LockReleased
    | LockKept
    | FreezeDeclared
    | FreezesEnded
    | ClosedGates
    | ApprovalAsked
    | ApprovalGiven
    | Lifted
    | MoreHolds
)


def typed_scope(lock: Lock) -> str:
    """Return how the scope of a lock is typed."""
    kind, _, name = lock.scope.partition("/")
    typed = ALL if lock.scope == ALL else lock.label if kind == "app" else f"{kind}:{name}"
    return f'"{typed}"' if len(typed.split()) > 1 else typed
