"""What is to be done next for a preview."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.gates.times import for_people
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Verdict, Why
from bridge.core.pulls import PullRequest

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/#-]*")
"""The names of branches that a backend is given: Dokploy puts them into a command of a shell, and
`application.update` does not look at them first. Git allows far more, e.g. `$(reboot)`."""


def why_pinned(pull: PullRequest, policy: PreviewPolicy) -> str | None:
    """Return why exactly a pull request's commit is built; None if its branch is."""
    if not pull.own:
        return "a fork's commit"
    if not _PLAIN.fullmatch(pull.head):
        return f"the branch {pull.head[:100]!r}"
    return "exactly its commit" if policy.pin else None


class Step(StrEnum):
    """What is to be done next."""

    BRING_UP = "bring up"  # make or find its app, configure it, ask for a deployment
    END = "end"  # remove its app, and look until nothing is left
    REST = "rest"  # nothing, until something changes


@dataclass(frozen=True, slots=True)
class Aim:
    """What is to be done next, and why.

    Attributes:
        runs: it is up, with a deployment of the pull request's commit.
    """

    step: Step
    verdict: Verdict
    runs: bool = False


def aim(preview: Preview, verdict: Verdict, policy: PreviewPolicy | None, now: float) -> Aim:
    """Return what is to be done next for a preview; `verdict`: whether it is to have one."""
    verdict = _with_its_life(preview, verdict, policy, now)
    if preview.state is PreviewState.ENDING:
        # Parts of it may be gone, and its deployments are cancelled: it begins anew afterwards.
        return Aim(Step.END, verdict)
    if not verdict.wanted:
        return Aim(Step.END if preview.takes_a_place else Step.REST, verdict)
    commit = preview.pull.head_sha
    if not preview.pull.own and preview.approved != commit:
        # What runs was approved; a new commit waits, whatever runs.
        what = f"a pull request from a fork waits until somebody approves {commit[:12]}"
        return Aim(Step.REST, Verdict(Why.APPROVAL, what))
    is_up = preview.made is not None and preview.asked == commit
    return Aim(Step.REST if is_up else Step.BRING_UP, verdict, is_up)


def _with_its_life(
    preview: Preview, verdict: Verdict, policy: PreviewPolicy | None, now: float
) -> Verdict:
    """Return the verdict, or why a preview that was wanted has ended."""
    if not verdict.wanted or policy is None:
        return verdict
    if preview.stopped:
        return Verdict(Why.STOPPED, "somebody has stopped it; a push starts it again")
    if now - preview.active_at >= policy.idle:
        idle = for_people(policy.idle)
        return Verdict(Why.IDLE, f"nobody has pushed for {idle}; a push starts it again")
    return verdict
