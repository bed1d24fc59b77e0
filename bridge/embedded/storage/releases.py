"""The releases of an application: what it serves, and what it has served and can serve again.

A release is named by its deployment. Its folder holds a site's files and, once it is complete,
`release.json`, which tells how to serve it. The link `current` names the release that is served; it
is replaced in one step. The variables of a container are kept apart, outside the folders of sites.
"""

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bridge.embedded.storage.history import Deployment
from bridge.embedded.storage.paths import Places, write_private

KEPT = 6
"""Releases to keep for each application: the served one, and those served last before it.

A request may still be reading the one before.
"""

LASTED = 600.0
"""Seconds of service after which a release is kept beyond `KEPT`, however many follow it quickly.

So a burst of broken pushes does not remove the last one that worked.
"""

_FACTS = "release.json"
_VARIABLES = "variables.json"


@dataclass(frozen=True, slots=True)
class Facts:
    """How a release is served.

    Attributes:
        spa: a site answers unknown paths with its first page.
        image: the image's own tag, e.g. "web-jwkg6q:v-ZT6A95NobTiob085n0lpt"; None for a site.
        memory, cpus: limits of the container, in bytes and billionths of a CPU.
    """

    spa: bool = False
    image: str | None = None
    memory: str | None = None
    cpus: str | None = None


@dataclass(frozen=True, slots=True)
class Releases:
    """The releases of one application. Everything blocks: call it in a thread."""

    root: Path
    variables_root: Path

    @classmethod
    def of(cls, places: Places, application_id: str) -> "Releases":
        """Return the releases of an application, of which there may be none."""
        return cls(places.site(application_id), places.variables(application_id))

    def folder(self, id_: str) -> Path:
        return self.root / "releases" / id_

    def folders(self, id_: str) -> tuple[Path, Path]:
        """Return all folders of a release, to remove them."""
        return self.folder(id_), self.variables_root / id_

    def complete(self, id_: str, facts: Facts, variables: Mapping[str, str] | None = None) -> None:
        """Write how a release is served, which completes it."""
        if variables:
            write_private(self.variables_root / id_ / _VARIABLES, json.dumps(dict(variables)))
        write_private(self.folder(id_) / _FACTS, json.dumps(asdict(facts)))

    def facts(self, id_: str) -> Facts | None:
        """Return how a release is served; None if it is not kept, or not complete."""
        return facts_in(self.folder(id_))

    def variables(self, id_: str) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self.variables_root / id_ / _VARIABLES).read_text())
        except FileNotFoundError:
            return {}
        return found

    def serve(self, id_: str) -> None:
        """Switch to a release in one step: a request gets the old one or the new one."""
        os.utime(self.folder(id_))  # served last, so kept longest
        link = self.root / f"current.{id_}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("releases", id_))
        link.replace(self.root / "current")

    def served(self) -> str | None:
        """Return the release that is served; None if there is none."""
        try:
            return (self.root / "current").readlink().name
        except OSError:
            return None

    def served_facts(self) -> Facts | None:
        """Return how the served release is served; None if there is none."""
        served = self.served()
        return None if served is None else self.facts(served)

    def all(self) -> list[Path]:
        """Return the folders of all releases, the one that was served last first."""
        found, served = (self.root / "releases").glob("*"), self.served()
        order = {one: (one.name == served, _served_at(one)) for one in found}
        return sorted(order, key=order.__getitem__, reverse=True)

    def superfluous(self) -> list[str]:
        found = self.all()
        lasted = (
            one
            for after, one in itertools.pairwise(found)
            if _served_at(after) - _served_at(one) >= LASTED
        )
        kept = {*found[:KEPT], next(lasted, None)}
        return [one.name for one in found if one not in kept]


def _served_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # it is just being removed
        return 0.0


def facts_in(folder: Path) -> Facts | None:
    """Return how the release in a folder is served; None if it is not complete."""
    try:
        found = json.loads((folder / _FACTS).read_text())
        return Facts(**{name: found.get(name, value) for name, value in asdict(Facts()).items()})
    except (OSError, ValueError, AttributeError):
        return None


def kept(places: Places, deployments: Iterable[Deployment]) -> frozenset[str]:
    """Return which deployments have a release that can be served again. It blocks."""
    return frozenset(
        one.id
        for one in deployments
        if one.status == "done" and Releases.of(places, one.application_id).facts(one.id)
    )
