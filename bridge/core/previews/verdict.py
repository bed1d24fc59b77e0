"""Decide whether a pull request is to have a preview of an app, and why."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.apps import App, Trigger
from bridge.core.decision import Policy, Reason, decide
from bridge.core.events import Ref, RefKind, RefPushed, Repository
from bridge.core.policies import Forks, PreviewPolicy
from bridge.core.pulls import PullRequest


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
