"""One push, one app: deploy or not, and why.

Pure and total: the first rule that says no decides, in the order of `decide`. Reasons are
a closed list; evidence is for people and names the value that decided.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from bridge.core.events import RefKind, RefPushed
from bridge.core.globs import GlobError
from bridge.core.watch import App, SourceType, Trigger
from bridge.core.watch_paths import WatchPaths

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
    """Why an app deploys, or why it does not. Every one is explained in the README."""

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
    NO_PATH_HIT = "no_path_hit"
    WATCH_PATHS_BROKEN = "watch_paths_broken"
    DUPLICATE_PUSH = "duplicate_push"
    CANCEL_ASKED = "cancel_asked"


DEPLOYS = frozenset(
    {
        Reason.PATH_HIT,
        Reason.NO_WATCH_PATHS,
        Reason.PATHS_UNKNOWN,
        Reason.TAG_PUSHED,
        Reason.ASKED,
    }
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one app, for good."""

    app_id: str
    app: str
    reason: Reason
    evidence: str

    @property
    def deploy(self) -> bool:
        """Whether the app deploys; it follows from the reason."""
        return self.reason in DEPLOYS


def because(app: App, reason: Reason, evidence: str) -> Decision:
    """The decision for `app`, with its evidence in one sentence for people."""
    return Decision(app.id, app.label, reason, evidence)


def decide(push: RefPushed, app: App) -> Decision:
    """Whether `push` deploys `app`; the first rule that has something to say decides."""
    if (why := _other_repository(push, app)) is not None:
        return because(app, Reason.REPOSITORY_MISMATCH, why)
    for rule in (_trigger, _branch, _deleted, _skipped):
        if (no := rule(push, app)) is not None:
            return because(app, *no)
    if push.ref.kind is RefKind.TAG:
        return because(app, Reason.TAG_PUSHED, f"tag {push.ref.name} was pushed")
    return because(app, *_paths(push, app))


def concerns(push: RefPushed, app: App) -> bool:
    """Whether the push is of the repository that the app deploys from."""
    return _other_repository(push, app) is None


Verdict = tuple[Reason, str]


def _other_repository(push: RefPushed, app: App) -> str | None:
    source, repository = app.source, push.repository
    if source is None:
        return f"{app.label} has no source"
    if source.type is SourceType.GIT:
        if source.url in repository.urls:
            return None
        return f"{app.label} deploys from {source.url}, not {repository.name}"
    if source.type.value != repository.host:
        return f"{app.label} deploys from {source.type}, not {repository.host}"
    if source.repository_id is not None:  # survives renames, can't be squatted
        if source.repository_id == repository.id:
            return None
        return f"{app.label} deploys from project {source.repository_id}, not {repository.id}"
    if (source.repository or "").lower() == repository.name.lower():
        return None
    return f"{app.label} deploys from {source.repository}, not {repository.name}"


def _trigger(push: RefPushed, app: App) -> Verdict | None:
    arrived = Trigger.TAG if push.ref.kind is RefKind.TAG else Trigger.PUSH
    if arrived is app.trigger:
        return None
    what = {Trigger.TAG: "a tag", Trigger.PUSH: "a push to a branch"}
    evidence = f"{what[arrived]} ({push.ref.name}) arrived, it waits for {what[app.trigger]}"
    return Reason.TRIGGER_MISMATCH, evidence


def _branch(push: RefPushed, app: App) -> Verdict | None:
    assert app.source is not None
    if push.ref.kind is RefKind.TAG or push.ref.name == app.source.branch:
        return None
    evidence = f"branch {push.ref.name} was pushed, it deploys {app.source.branch or 'no branch'}"
    return Reason.BRANCH_MISMATCH, evidence


def _deleted(push: RefPushed, _app: App) -> Verdict | None:
    if not push.deleted:
        return None
    return Reason.REF_DELETED, f"{push.ref.kind} {push.ref.name} was deleted"


def _skipped(push: RefPushed, _app: App) -> Verdict | None:
    for directive in skip_directives(push):
        return Reason.SKIP_DIRECTIVE, f"the push says {directive}"
    return None


def skip_directives(push: RefPushed) -> Iterator[str]:
    """The skip directives in the head commit's message and the push options, as written."""
    message = push.commit.message if push.commit else ""
    yield from (directive for directive in SKIP_DIRECTIVES if directive in message)
    yield from (f"-o {option}" for option in SKIP_OPTIONS if option in push.options)


def _paths(push: RefPushed, app: App) -> Verdict:
    if not app.watch_paths:
        return Reason.NO_WATCH_PATHS, f"every push to {push.ref.name} deploys it"
    if push.paths is None:
        return Reason.PATHS_UNKNOWN, f"{push.paths_note or 'changed files unknown'}, so it deploys"
    try:
        hit = _compiled(app.watch_paths).first_match(push.paths)
    except GlobError as error:
        return Reason.WATCH_PATHS_BROKEN, str(error)
    if hit is not None:
        return Reason.PATH_HIT, f"{hit.file} matches {hit.pattern}"
    watched = ", ".join(app.watch_paths[:3]) + (", …" if len(app.watch_paths) > 3 else "")
    files = "1 file" if len(push.paths) == 1 else f"{len(push.paths)} files"
    return Reason.NO_PATH_HIT, f"{files} changed, none matches {watched}"


@lru_cache(maxsize=4096)
def _compiled(patterns: tuple[str, ...]) -> WatchPaths:
    return WatchPaths.compile(patterns)
