"""What became of decisions and deliveries, in words."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.cli.cleaning import short_branch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.core.decision import Decision
    from bridge.core.lifecycle import Deployment
    from bridge.ports.inbox import Delivery
    from bridge.ports.outcomes import About

ASKED_FOR = frozenset({"cancel_asked", "cancel_one_asked", "configure_asked"})
"""Reasons of what people ask for besides deployments; their evidence says who has asked."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A delivery with everything that is known of it.

    Attributes:
        deployments: those that it led to, by the app's id.
        about: what its push was about; None where it was no push, or nobody can say any more.
    """

    delivery: "Delivery"
    decisions: "Sequence[Decision]" = ()
    deployments: "Mapping[str, Deployment]" = field(default_factory=dict)
    about: "About | None" = None


def became(deployment: "Deployment", *, short: bool = False) -> str:
    """E.g. `→ failed #11: fatal: repository not found`; see `short_note`."""
    head = f"→ {deployment.state} #{deployment.seq}"
    note = short_note(deployment) if short else deployment.note
    return f"{head}: {note}" if note else head


def short_note(deployment: "Deployment") -> str:
    """Return what happened, with the deployment's branch shortened where it is long."""
    branch = (deployment.ref or "").removeprefix("refs/heads/")
    return deployment.note.replace(branch, short_branch(branch)) if branch else deployment.note


def decision_line(decision: "Decision", deployment: "Deployment | None" = None) -> str:
    """E.g. `skip shop/web: no_path_hit (2 files changed, none matches web/**)`."""
    verdict = "deploy" if decision.deploy else "skip"
    line = f"{verdict} {decision.app}: {decision.reason} ({decision.evidence})"
    return f"{line} {became(deployment)}" if deployment else line


def outcomes_of(one: Arrived, *, short: bool = False) -> list[str]:
    """What became of a delivery: a few words for each app that deploys, and for all others.

    Args:
        short: of long branches only the beginning and the end.
    """
    if one.delivery.error:
        return [one.delivery.error]
    words = []
    for decision in one.decisions:
        if decision.deploy:
            deployment = one.deployments.get(decision.app_id)
            ended = f" {became(deployment, short=short)}" if deployment else ""
            words.append(f"deploys {decision.app} ({decision.reason}){ended}")
        elif decision.reason in ASKED_FOR:
            words.append(f"{decision.app}: {decision.evidence}")
    skipped = [one for one in one.decisions if not one.deploy and one.reason not in ASKED_FOR]
    if len(skipped) == 1:
        words.append(f"skips {skipped[0].app} ({skipped[0].reason})")
    elif skipped:
        words.append(f"skips {len(skipped)} apps")
    return words


def about_words(about: "About | None", *, short: bool = False) -> str:
    """E.g. `my-org/mono main@13dfa1f by Ada`; "" where nothing is known.

    Args:
        short: of a long branch only the beginning and the end.
    """
    if about is None:
        return ""
    ref = about.ref.removeprefix("refs/heads/").removeprefix("refs/")
    ref = short_branch(ref) if short else ref
    by = f"by {about.author}" if about.author else ""
    return " ".join(one for one in (about.repository, f"{ref}@{about.commit[:7]}", by) if one)
