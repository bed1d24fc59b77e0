"""Decide whether a pull request is to have a preview of an app, and what is to be done for it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.access import Right
from bridge.core.apps import App, Trigger
from bridge.core.decision import Policy, Reason, decide
from bridge.core.events import Ref, RefKind, RefPushed, Repository
from bridge.core.policies import Forks, PreviewPolicy
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.pulls import PullRequest
from bridge.core.words import for_people


class Why(StrEnum):
    """Why a pull request has a preview, or has none; docs/previews.md explains each."""

    WANTED = "wanted"

    CLOSED = "closed"
    NO_PREVIEWS = "no_previews"
    NATIVE = "native"
    OTHER_BASE = "other_base"
    DRAFT = "draft"
    NO_LABEL = "no_label"
    FORK = "fork"
    NO_PATH_HIT = "no_path_hit"
    WATCH_PATHS_BROKEN = "watch_paths_broken"
    STOPPED = "stopped"
    IDLE = "idle"

    APPROVAL = "approval"
    LIMIT = "limit"
    CANNOT_BUILD = "cannot_build"


HOLDS = frozenset({Why.APPROVAL, Why.LIMIT, Why.CANNOT_BUILD})
"""It is to have one, and something is missing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a pull request is to have a preview; the evidence is a sentence for people."""

    why: Why
    evidence: str

    @property
    def wanted(self) -> bool:
        """Whether it is to have one, now or once what is missing is there."""
        return self.why is Why.WANTED or self.why in HOLDS


def without_files(
    pull: PullRequest,
    app: App,
    repository: Repository,
    policy: PreviewPolicy | None,
    decisions: Policy,
) -> Verdict | None:
    """Return the verdict if the files of a pull request don't matter; None if they do."""
    if not pull.open:
        end = "merged" if pull.merge_sha else "closed"
        return Verdict(Why.CLOSED, f"the pull request is {end}")
    if policy is None or not policy.on:
        if app.native_previews:
            return Verdict(
                Why.NATIVE, f"{app.native_previews} makes the previews of {app.label} by itself"
            )
        return Verdict(Why.NO_PREVIEWS, f"{app.label} has no previews")
    found = decide(as_push(pull, repository, None, ""), _on_pushes(app), decisions)
    if found.reason is Reason.REPOSITORY_MISMATCH:
        return Verdict(Why.OTHER_BASE, found.evidence)
    if found.reason is Reason.BRANCH_MISMATCH:
        deploys = f"{app.label} deploys {app.branch or 'no branch'}"
        return Verdict(Why.OTHER_BASE, f"it is to be merged into {pull.base}, {deploys}")
    if pull.draft and not policy.drafts:
        return Verdict(Why.DRAFT, "the pull request is a draft")
    if policy.label is not None and policy.label not in pull.labels:
        return Verdict(Why.NO_LABEL, f"the pull request does not have the label {policy.label}")
    if not pull.own and policy.forks is Forks.NEVER:
        return Verdict(Why.FORK, "the pull request comes from a fork")
    return None


def by_files(
    pull: PullRequest,
    app: App,
    repository: Repository,
    files: Sequence[str] | None,
    note: str,
    decisions: Policy,
) -> Verdict:
    """Return the verdict by the files that a pull request changes, compared as those of a push.

    Args:
        files: None if they are not known, which counts as a hit, as with pushes.
        note: why they are not known.
    """
    found = decide(as_push(pull, repository, files, note), _on_pushes(app), decisions)
    if found.deploy:
        return Verdict(Why.WANTED, found.evidence)
    broken = found.reason is Reason.WATCH_PATHS_BROKEN
    return Verdict(Why.WATCH_PATHS_BROKEN if broken else Why.NO_PATH_HIT, found.evidence)


def as_push(
    pull: PullRequest, repository: Repository, files: Sequence[str] | None, note: str
) -> RefPushed:
    """Return a push of everything in a pull request to its base, which is what a merge would be."""
    base = Ref(RefKind.BRANCH, pull.base)
    return RefPushed(repository, base, "", pull.head_sha, paths=files, paths_note=note)


def _on_pushes(app: App) -> App:
    """Return an app as if pushes deployed it: one that waits for tags may have previews, too."""
    return replace(app, trigger=Trigger.PUSH, rules=replace(app.rules, trigger=None))


# ── what is to be done next ──────────────────────────────────────────────────────────────────────

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
        # Parts of it may be gone, and its deployments are cancelled, so it starts over afterwards.
        return Aim(Step.END, verdict)
    if not verdict.wanted:
        return Aim(Step.END if preview.takes_a_place else Step.REST, verdict)
    commit = preview.pull.head_sha
    if not preview.pull.own and preview.approved != commit:
        # What runs was approved; a new commit waits, whatever runs.
        what = f"fork: waiting for approval of {commit[:12]}"
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


# ── what people can ask ──────────────────────────────────────────────────────────────────────────

STARTED_AGAIN = frozenset({Why.STOPPED, Why.IDLE})
"""Why there is none, although an extension brings it back."""


class Act(StrEnum):
    """What people can ask of a preview."""

    APPROVE = "approve"
    STOP = "stop"
    EXTEND = "extend"


NEEDS = {Act.APPROVE: Right.APPROVE, Act.STOP: Right.DEPLOY, Act.EXTEND: Right.DEPLOY}
"""The right to the previewed app that each needs."""


def possible(preview: Preview) -> tuple[Act, ...]:
    """Return what would not be refused, as far as the preview is concerned."""
    over = preview.ends
    each = {
        Act.APPROVE: awaits_approval(preview),
        Act.STOP: not over and not preview.stopped,
        Act.EXTEND: not over or preview.reason in STARTED_AGAIN,
    }
    return tuple(act for act, would_be in each.items() if would_be)


def awaits_approval(preview: Preview) -> bool:
    """Return whether the newest commit of a fork could be built, and has not been approved."""
    pull = preview.pull
    could_be = not preview.ends and preview.reason != Why.CANNOT_BUILD
    return could_be and not pull.own and preview.approved != pull.head_sha
