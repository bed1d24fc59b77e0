"""Replies about gates: approvals, and what people let pass. Pure data."""

from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.holds import Hold, Proposal
from bridge.core.lifecycle import Deployment


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


GateReply = ApprovalAsked | ApprovalGiven | Lifted | MoreHolds
