"""Decide whether one push deploys one app, and why.

Pure and total: the first rule that says no decides, in the order of `decide`. Reasons are
a closed list; evidence is for people and names the decisive value.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from bridge.core.apps import App, SourceType, Trigger
from bridge.core.events import RefKind, RefPushed
from bridge.core.log_text import LONGEST_LINE, one_line
from bridge.core.matching import GlobError, Picomatch
from bridge.core.matching.watch_paths import Hit, Semantics, WatchPaths
from bridge.core.rules import (
    NO_TAGS,
    AppTags,
    branch_matches,
    merge_queue_of,
    name_matches,
    tag_problem,
)
from bridge.core.words import many

SKIP_DIRECTIVES = (
    "[skip ci]",
    "[ci skip]",
    "[no ci]",
    "[skip actions]",
    "[actions skip]",
    "[skip deploy]",
    "[deploy skip]",
)
SKIP_OPTIONS = ("ci.skip", "deploy.skip")


class Reason(StrEnum):
    """Why an app deploys, or why it does not; docs/deciding.md explains each reason."""

    PATH_HIT = "path_hit"
    NO_WATCH_PATHS = "no_watch_paths"
    PATHS_UNKNOWN = "paths_unknown"
    TAG_PUSHED = "tag_pushed"
    ASKED = "asked"

    REPOSITORY_MISMATCH = "repository_mismatch"
    TRIGGER_MISMATCH = "trigger_mismatch"
    BRANCH_MISMATCH = "branch_mismatch"
    REF_DELETED = "ref_deleted"
    SKIP_DIRECTIVE = "skip_directive"
    TAG_MISMATCH = "tag_mismatch"
    TAG_TOO_OLD = "tag_too_old"
    NO_PATH_HIT = "no_path_hit"
    WATCH_PATHS_BROKEN = "watch_paths_broken"
    DUPLICATE_PUSH = "duplicate_push"
    MADE_LATER = "made_later"
    OWN_BRANCH = "own_branch"
    CANCEL_ASKED = "cancel_asked"
    CANCEL_ONE_ASKED = "cancel_one_asked"
    CONFIGURE_ASKED = "configure_asked"


DEPLOYS = frozenset(
    {Reason.PATH_HIT, Reason.NO_WATCH_PATHS, Reason.PATHS_UNKNOWN, Reason.TAG_PUSHED, Reason.ASKED}
)


@dataclass(frozen=True, slots=True)
class Decision:
    """The final decision for one app.

    Attributes:
        behind: the id of a newer tag's deployment in progress; this decision leads to a request
            only if that one does not succeed.
    """

    app_id: str
    app: str
    reason: Reason
    evidence: str
    behind: str | None = None

    @property
    def deploy(self) -> bool:
        """Whether the app deploys, by the reason."""
        return self.reason in DEPLOYS


def because(app: App, reason: Reason, evidence: str) -> Decision:
    """Return the decision for `app`, with its evidence in one sentence for people."""
    return Decision(app.id, app.label, reason, one_line(evidence))


def noted(decision: Decision, remark: str) -> Decision:
    """Return the decision with a remark after its evidence, which is shortened if necessary."""
    if not remark:
        return decision
    evidence = decision.evidence[: max(0, LONGEST_LINE - len(remark))]
    return replace(decision, evidence=one_line(evidence + remark))


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that apply to all apps.

    Attributes:
        semantics: "exclude": `!` in watch paths excludes; "any": each pattern alone, as
            Dokploy up to v0.30.2.
        picomatch: the version whose quirks watch paths have.
        skip_directives: texts in the head commit's message that keep a push from deploying.
    """

    semantics: Semantics = "exclude"
    picomatch: Picomatch = "2.3.1"
    skip_directives: tuple[str, ...] = SKIP_DIRECTIVES


Matcher = Callable[[App], Hit | GlobError | None]
"""Matches one push against an app's watch paths: returns the hit, the invalid path, or None."""


def decide(
    push: RefPushed,
    app: App,
    policy: Policy = Policy(),
    *,
    tags: AppTags = NO_TAGS,
    matcher: Matcher | None = None,
) -> Decision:
    """Return whether `push` deploys `app`; the first rule that applies decides.

    Args:
        tags: the tags that the app was or will be deployed for; only `only_newer` needs them.
        matcher: matches precompiled watch paths; without it they are compiled here.
    """
    if (why := _other_repository(push, app)) is not None:
        return because(app, Reason.REPOSITORY_MISMATCH, why)
    for rule in (_trigger, _branch, _deleted, _skipped):
        if (no := rule(push, app, policy)) is not None:
            return because(app, *no)
    if push.ref.kind is RefKind.TAG:
        return _tag(push, app, tags)
    matcher = matcher or (lambda app: first_watched(app, push.paths or (), policy))
    return because(app, *_paths(push, app, matcher))


def concerns(push: RefPushed, app: App) -> bool:
    """Return whether the app deploys from the push's repository."""
    return _other_repository(push, app) is None


def of_own_branch(owner: App, push: RefPushed) -> Decision:
    """Return the decision on a push by which the bridge itself has moved an app's own branch."""
    what = "deleted" if push.deleted else "moved"
    evidence = (
        f"{push.ref.name} is the bridge's own branch, which it has {what} to pin {owner.label}"
    )
    return because(owner, Reason.OWN_BRANCH, evidence)


Verdict = tuple[Reason, str]


def _other_repository(push: RefPushed, app: App) -> str | None:
    source, repository = app.source, push.repository
    if source is None:
        return f"{app.label} has no source"
    if source.type is not SourceType.GIT and source.type.value != repository.kind:
        return f"{app.label} deploys from {source.type}, not {repository.host}"
    if source.url is not None:  # it names the server, too
        if source.url in repository.urls:
            return None
        return f"{app.label} deploys from {source.url}, not {repository.name}"
    if source.repository_id is not None and repository.numbered:  # it survives renames
        if source.repository_id == repository.id:
            return None
        return f"{app.label} deploys from project {source.repository_id}, not {repository.id}"
    if (source.repository or "").lower() == repository.name.lower():
        return None
    return f"{app.label} deploys from {source.repository}, not {repository.name}"


def _trigger(push: RefPushed, app: App, _policy: Policy) -> Verdict | None:
    arrived = Trigger.TAG if push.ref.kind is RefKind.TAG else Trigger.PUSH
    if arrived is app.waits_for:
        return None
    what = {Trigger.TAG: "a tag", Trigger.PUSH: "a push to a branch"}
    evidence = f"{what[arrived]} ({push.ref.name}) arrived, it waits for {what[app.waits_for]}"
    return Reason.TRIGGER_MISMATCH, evidence


def _branch(push: RefPushed, app: App, _policy: Policy) -> Verdict | None:
    if push.ref.kind is RefKind.TAG:
        return None
    glob = app.rules.branch
    if glob is not None and branch_matches(glob, push.ref.name):
        return None
    if app.rules.branch is None and app.branch == push.ref.name:  # `!a` and `a{b,c}` are names too
        return None
    evidence = f"branch {push.ref.name} was pushed, it deploys {app.branch or 'no branch'}"
    if glob is not None and name_matches(glob, push.ref.name):
        queue = merge_queue_of(push.ref.name)
        evidence += f", which takes no branches of merge queues ({queue}) unless it names them"
    return Reason.BRANCH_MISMATCH, evidence


def _deleted(push: RefPushed, _app: App, _policy: Policy) -> Verdict | None:
    if not push.deleted:
        return None
    return Reason.REF_DELETED, f"{push.ref.kind} {push.ref.name} was deleted"


def _skipped(push: RefPushed, app: App, policy: Policy) -> Verdict | None:
    if app.rules.skip_directives is False:
        return None
    for directive in skip_directives(push, policy):
        return Reason.SKIP_DIRECTIVE, f"the push says {directive}"
    return None


def skip_directives(push: RefPushed, policy: Policy) -> Iterator[str]:
    """Yield the skip directives in the head commit's message and the push options, as written.

    If several pushes were found at once, ignore the message: it covers only the last of them.
    """
    message = push.commit.message if push.commit and not push.several else ""
    yield from (directive for directive in policy.skip_directives if directive in message)
    yield from (f"-o {option}" for option in SKIP_OPTIONS if option in push.options)


def _tag(push: RefPushed, app: App, tags: AppTags) -> Decision:
    tag = push.ref.name
    problem = tag_problem(tag, app.rules, tags.deployed)
    if problem is not None:
        too_old, why = problem
        return because(app, Reason.TAG_TOO_OLD if too_old else Reason.TAG_MISMATCH, why)
    evidence = f"tag {tag} was pushed"
    if (newer := tags.newer_under_way(tag, app.rules)) is None:
        return because(app, Reason.TAG_PUSHED, evidence)
    name, deployment = newer
    evidence += f"; it deploys unless {name} does, which is newer and under way"
    return replace(because(app, Reason.TAG_PUSHED, evidence), behind=deployment)


def _paths(push: RefPushed, app: App, matcher: Matcher) -> Verdict:
    watched = app.watched
    if not watched:
        return Reason.NO_WATCH_PATHS, f"every push to {push.ref.name} deploys it"
    if push.paths is None:
        return Reason.PATHS_UNKNOWN, f"{push.paths_note or 'changed files unknown'}, so it deploys"
    match = matcher(app)
    if isinstance(match, GlobError):
        return Reason.WATCH_PATHS_BROKEN, str(match)
    found = f" ({push.paths_note})" if push.paths_note else ""
    if match is not None:
        return Reason.PATH_HIT, f"{match.file} matches {match.pattern}{found}"
    listed = ", ".join(watched[:3]) + (", …" if len(watched) > 3 else "")
    files = many(len(push.paths), "file")
    return Reason.NO_PATH_HIT, f"{files} changed, none matches {listed}{found}"


def first_watched(app: App, files: Sequence[str], policy: Policy) -> Hit | GlobError | None:
    """Return the first of some files that an app watches, an invalid watch path, or None."""
    try:
        compiled = _compiled(app.watched or (), policy.semantics, policy.picomatch)
        return compiled.first_match(files)
    except GlobError as error:
        return error


_compiled = lru_cache(maxsize=4096)(WatchPaths.compile)
