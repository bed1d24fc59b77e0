"""Whether two commits are the same for an app: no file that it watches differs. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.apps import App, Trigger
from bridge.core.decision import Policy, first_watched
from bridge.core.matching import GlobError


@dataclass(frozen=True, slots=True)
class Content:
    """A commit beside the one that would be built, as far as they concern one app.

    Attributes:
        same: whether no watched file differs; None if they can't be compared.
        why: the watched file that differs, or why they can't be compared.
        again_at: when to compare them again; None if that would not help.
    """

    same: bool | None
    why: str = ""
    again_at: float | None = None


SAME = Content(True)

WHOLE = Content(False)
"""Another commit of an app that every push deploys."""

NOT_YET = "they have not been compared yet"

Compared = Mapping[tuple[str, str], Content]
"""Commits beside the one that would be built, by app id and commit."""

NO_COMPARED: Compared = {}


def at_once(app: App, commit: str, head: str) -> Content | None:
    """Return what two commits are for an app, if that needs no comparison."""
    if commit == head:
        return SAME
    watches = app.waits_for is Trigger.PUSH and bool(app.watched)
    return None if watches else WHOLE


def content_of(app: App, paths: Sequence[str] | None, note: str, policy: Policy) -> Content:
    """Return what two commits are for an app.

    Args:
        paths: the files that differ; None if they are not known, for the reason in `note`.
    """
    if paths is None:
        return Content(None, note)
    found = first_watched(app, paths, policy)
    if isinstance(found, GlobError):
        return Content(None, str(found))
    return SAME if found is None else Content(False, f"{found.file} differs")


def watched_of(app: App, paths: Iterable[str], policy: Policy) -> list[str]:
    """Return the files that an app watches among some; all of them if its paths are broken."""
    if at_once(app, "", "?") is WHOLE:
        return list(paths)
    return [path for path in paths if first_watched(app, (path,), policy) is not None]
