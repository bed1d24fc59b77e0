"""What is said about a decision for one app: for people, and for programs."""

from typing import TYPE_CHECKING, Any

from bridge.core.lifecycle import Deployment
from bridge.views.deployment_lists import became
from bridge.views.values import Icon

if TYPE_CHECKING:
    from bridge.core.decision import Decision


def decision_form(decision: "Decision") -> dict[str, Any]:
    """Return a decision as programs get it."""
    return {
        "app": decision.app,
        "app_id": decision.app_id,
        "deploy": decision.deploy,
        "reason": str(decision.reason),
        "evidence": decision.evidence,
    }


def decision_line(decision: "Decision", deployment: Deployment | None = None) -> str:
    """E.g. `skip shop/web: no_path_hit (2 files changed, none matches web/**)`."""
    verdict = "deploy" if decision.deploy else "skip"
    line = f"{verdict} {decision.app}: {decision.reason} ({decision.evidence})"
    return f"{line} {became(deployment)}" if deployment else line


def verdict_of(decision: "Decision") -> tuple[Icon, str]:
    """Return what a decision does, as a sign and in a word or two."""
    from bridge.core.decision import Reason

    if decision.reason in (Reason.CANCEL_ASKED, Reason.CANCEL_ONE_ASKED):
        return Icon.NOT, "Cancels"
    if decision.reason is Reason.CONFIGURE_ASKED:
        return Icon.GEAR, "Configures"
    return (Icon.GO, "Deploys") if decision.deploy else (Icon.SKIP, "Left alone")
