"""Pinned apps: the backend builds a branch of the bridge's own, at exactly one commit. Pure.

A backend clones the head of a branch, whatever that is by then. Nobody but the bridge moves the
branch of a pinned app, so what is cloned is the commit that was meant. The embedded backend can be
given the commit itself, in place of a branch.
"""

import re
from collections.abc import Iterable

from bridge.core.apps import App, Source, SourceType
from bridge.core.events import Action, RefKind, RefPushed
from bridge.core.lifecycle import Deployment

OWN = "bridge/"
"""The beginning of the names of the bridge's own branches."""

LONGEST_NAME = 40
"""The most characters of an app's name in its pin; people read it, its id tells it apart."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UNFIT = re.compile(r"[^a-z0-9]+")
_GLOB = frozenset("*?[]{}!()+@")
_TAGS = "refs/tags/"


def pin_for(app: App) -> str:
    """Return the name of an app's own branch, e.g. "bridge/web/ZT6A95NobTiob085n0lpt"."""
    name = _UNFIT.sub("-", app.name.lower())[:LONGEST_NAME].strip("-")
    return f"{OWN}{name or 'app'}/{_key_of(app)}"


def pin_of(app: App) -> str | None:
    """Return the app's own branch if the backend builds that, under an earlier name, too."""
    branch = app.source.branch if app.source else None
    return branch if branch and _is_of(branch, app) else None


def fixed_at(app: App) -> str | None:
    """Return the commit that the backend builds in place of a branch; None if it builds a branch.

    Only apps of the bridge's own are built so.
    """
    ref = app.source.branch if app.source and app.marker else None
    return ref if ref and _COMMIT.fullmatch(ref) else None


def tracked(app: App) -> str | None:
    """Return the branch whose head is to be built: of a pinned app, the one that its rule names.

    None if there is none, or if the rule of a pinned app names several.
    """
    if fixed_at(app) is not None:
        return None
    if pin_of(app) is None:
        return app.source.branch if app.source else None
    branch = app.rules.branch
    return branch if branch and is_one(branch) else None


def is_one(branch: str) -> bool:
    """Return whether a rule names one branch, and is no glob."""
    return _GLOB.isdisjoint(branch)


def exact(wanted: Deployment, app: App) -> str | None:
    """Return the commit that a deployment is bound to, whatever its branch's head is.

    That is the commit that somebody asked for, or the tag's if the app is pinned. None: the head.
    """
    if wanted.action is Action.REDEPLOY:
        return None
    is_tag = (wanted.ref or "").startswith(_TAGS) and pin_of(app) is not None
    return wanted.pinned or (wanted.commit if is_tag else None)


def owner_of(push: RefPushed, apps: Iterable[App]) -> App | None:
    """Return the app whose own branch was pushed; None if it is no branch of the bridge's own."""
    name = push.ref.name
    if push.ref.kind is not RefKind.BRANCH or not name.startswith(OWN):
        return None
    return next((app for app in apps if _is_of(name, app)), None)


def shown_branch(app: App) -> str:
    """Return the branch that is built, for people; "" without one."""
    if (commit := fixed_at(app)) is not None:
        return f"commit {commit[:7]}"
    if pin_of(app) is None:
        return (app.source.branch if app.source else None) or ""
    return f"{app.branch or '?'}, pinned"


def unpinnable(source: Source | None) -> str | None:
    """Return why an app with this source can't be pinned; None if it can."""
    if source is None:
        return "it has no source"
    if source.type in (SourceType.DOCKER, SourceType.DROP, SourceType.RAW):
        return f"its source is {source.type}, and only a branch of a Git host can be moved"
    return None


def _is_of(branch: str, app: App) -> bool:
    parts = branch.removeprefix(OWN).split("/")
    return branch.startswith(OWN) and len(parts) == 2 and parts[1] == _key_of(app)


def _key_of(app: App) -> str:
    """Return the part of a branch's name that is no other app's."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", app.id)
