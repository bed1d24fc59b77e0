"""Find the preview that a person names."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from bridge.core.apps import MOST_NAMED
from bridge.core.errors import Ambiguous, NotFound, Rejected

_NAME = re.compile(r"(?P<app>[^#]*?)\s*[#!]?(?P<number>[0-9]{1,15})")
_APART = re.compile(r"[#!\s][0-9]+\Z")


class HasName(Protocol):
    """A preview of a pull request that people can name: the bridge's, or a backend's own."""

    @property
    def id(self) -> str:
        """Return its id."""

    @property
    def app(self) -> str:
        """Return the label of its app."""

    @property
    def number(self) -> int:
        """Return the number of its pull request."""

    @property
    def name(self) -> str:
        """Return what people type to name it, e.g. "shop/web#12"."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left, or there never was anything."""


One = TypeVar("One", bound=HasName)


def find_preview(previews: Sequence[One], name: str) -> One:
    """Return the preview that somebody means, e.g. by "shop/web#12", "web#12", "#12" or its id.

    One that there is comes before those of which nothing is left.

    Args:
        previews: those that they may see.

    Raises:
        NotFound, Ambiguous: none or several fit.
        Rejected: it is no name of a preview.
    """
    if found := [one for one in previews if one.id == name]:
        return found[0]
    app, number = _parts(name)
    of_number = [one for one in previews if one.number == number]
    for fits in _rules(app.lower()):
        of_app = [one for one in of_number if fits(one.app.lower())]
        if of_app:
            return _only([one for one in of_app if not one.is_over] or of_app, name)
    raise NotFound(f"there is no preview {name[:80]!r}{_near(of_number)}")


def _parts(name: str) -> tuple[str, int]:
    """Return the app, "" for any, and the number of the pull request."""
    text = name.strip()
    found = _NAME.fullmatch(text)
    if found is None or (found["app"] and not _APART.search(text)):
        raise Rejected(
            f"{name[:80]!r} names no preview: write the app and the pull request, e.g. shop/web#12"
        )
    return found["app"], int(found["number"])


def _rules(app: str) -> tuple[Callable[[str], bool], ...]:
    """Return the rules by which an app's name fits a label, the strictest first."""
    return (
        lambda label: app in ("", label),
        lambda label: label.rpartition("/")[2] == app,
        lambda label: label.startswith(app) or label.rpartition("/")[2].startswith(app),
    )


def _only(fits: Sequence[One], name: str) -> One:
    if len(fits) == 1:
        return fits[0]
    names = [one.name for one in fits]
    if len(set(names)) < len(names):
        names = [one.id for one in fits]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    named = ", ".join(sorted(names)[:MOST_NAMED])
    raise Ambiguous(f"{name[:80]!r} fits several previews: {named}{more}; say which")


def _near(of_number: Sequence[HasName]) -> str:
    names = sorted({one.name for one in of_number})[:MOST_NAMED]
    if names:
        return f"; did you mean {' or '.join(names)}?"
    return "; `dokploy-bridge previews --all` lists them"
