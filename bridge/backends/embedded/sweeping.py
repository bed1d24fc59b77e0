"""Removes what a killed process left half done; some of it holds secrets. Blocks."""

from collections.abc import Collection, Iterator
from pathlib import Path

from bridge.backends.embedded.places import Places
from bridge.backends.embedded.removing import remove


def sweep(places: Places, known: Collection[str]) -> None:
    """Remove what nothing names, before anything is built or served.

    Args:
        known: ids of the applications that there are.
    """
    for left in _left(places, known):
        if left.is_dir() and not left.is_symlink():
            remove(left)
        else:
            left.unlink(missing_ok=True)


def _left(places: Places, known: Collection[str]) -> Iterator[Path]:
    yield from places.root.glob("applications/*/build-*")
    yield from places.root.glob("sites/*/current.*")
    for kind in ("applications", "sites", "logs"):
        yield from (one for one in places.root.glob(f"{kind}/*") if one.name not in known)
    for site in places.root.glob("sites/*"):
        served = (site / "current").resolve()
        yield from (one for one in site.glob("releases/*") if one.resolve() != served)
