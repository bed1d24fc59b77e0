"""The bridge's own rules for apps: what a backend's record can't hold.

Dokploy knows one branch and, for GitHub, "push" or "tag". Which tags, which branches, and
tags on the other hosts are said here, in `bridge.yaml`. A rule says *when* an app deploys;
*what* is built stays the head of the branch that the backend has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from semver import Version

from bridge.core.globs import Glob, GlobError
from bridge.core.versions import BadRange, Range, version_of
from bridge.core.watch import App, Prereleases, Rules

RuleBook = Sequence[tuple[str, Rules]]
"""Globs over labels and what is said of the apps that they name; later ones win."""


def rules_for(label: str, book: RuleBook) -> Rules:
    """What the book says of one app."""
    found = Rules()
    for pattern, rules in book:
        if names(pattern, label):
            found = rules.over(found)
    return found


def ruled(app: App, book: RuleBook) -> App:
    """An app with what the book says of it; where that says nothing, what was set for it."""
    return replace(app, rules=rules_for(app.label, book).over(app.rules))


def names(pattern: str, name: str) -> bool:
    """Whether a name or glob names something; a broken glob names only itself."""
    if pattern == name:
        return True
    try:
        return _glob(pattern).matches(name)
    except GlobError:
        return False


MERGE_QUEUES = ("gh-readonly-queue/", "mergify/merge-queue/", "trunk-merge/", "gtmq_")
"""How the branches begin that merge queues make for their tests, and delete again: GitHub's own,
Mergify's, Trunk's and Graphite's. Nobody means them by `**`, and what they hold may never be
merged."""


def merge_queue_of(branch: str) -> str | None:
    """Return how the branches of the merge queue begin that made this one; None where none did."""
    return next((queue for queue in MERGE_QUEUES if branch.startswith(queue)), None)


def names_branch(pattern: str, branch: str) -> bool:
    """Return whether a name or glob names a branch; of a merge queue's only by the queue's name."""
    queue = merge_queue_of(branch)
    return (queue is None or queue.rstrip("/_") in pattern) and names(pattern, branch)


def tag_problem(tag: str, rules: Rules, before: Iterable[str]) -> tuple[bool, str] | None:
    """Why a tag does not deploy; None: it does.

    Args:
        before: tags that the app has been deployed for, in any order.

    Returns:
        Whether it is (only) too old, and the reason in words.
    """
    if rules.tags is not None and not names(rules.tags, tag):
        return False, f"tag {tag} does not match {rules.tags}"
    if not _asks_for_versions(rules):
        return None
    version = version_of(tag, rules.tag_prefix)
    if version is None:
        prefix = rules.tag_prefix
        wanted = "1.2.3 or v1.2.3" if prefix is None else f"{prefix}1.2.3"
        return False, f"tag {tag} names no version; it waits for tags like {wanted}"
    if rules.versions is not None and (why := _outside(version, rules.versions)) is not None:
        return False, why
    unsaid = Prereleases.DEPLOY if rules.versions is None else Prereleases.SKIP
    policy = rules.prereleases or unsaid
    if version.prerelease and policy is Prereleases.SKIP:
        return False, f"version {version} is a pre-release, and those are skipped"
    if not version.prerelease and policy is Prereleases.ONLY:
        return False, f"version {version} is a release, and only pre-releases deploy"
    return _too_old(tag, rules, before) if rules.only_newer else None


def _asks_for_versions(rules: Rules) -> bool:
    said = (rules.versions, rules.tag_prefix, rules.prereleases)
    return bool(rules.only_newer) or any(one is not None for one in said)


def _outside(version: Version, versions: str) -> str | None:
    try:
        return None if version in _range(versions) else f"version {version} is not in {versions}"
    except BadRange as error:  # settings are checked; this keeps decisions total all the same
        return f"the versions it waits for can't be read: {error}"


def _too_old(tag: str, rules: Rules, before: Iterable[str]) -> tuple[bool, str] | None:
    version = version_of(tag, rules.tag_prefix)
    assert version is not None
    others = [(version_of(other, rules.tag_prefix), other) for other in before]
    newer = [(other, name) for other, name in others if other is not None and other > version]
    if not newer:
        return None
    newest = max(newer, key=lambda pair: pair[0])[1]
    return True, f"tag {tag} is older than {newest}, which has been deployed"


@lru_cache(maxsize=8192)
def _glob(pattern: str) -> Glob:
    return Glob(pattern)


@lru_cache(maxsize=8192)
def _range(text: str) -> Range:
    return Range.parse(text)
