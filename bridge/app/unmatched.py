"""Hold the names of apps and repositories in the settings against those that there are.

A misspelt rule changes nothing, and nothing else shows it: the approvals that it asks for are not
asked for.
"""

import asyncio
import difflib
import logging
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from bridge.backends import EMBEDDED
from bridge.core.apps import App, of_people
from bridge.core.errors import BridgeError
from bridge.core.events import Repository
from bridge.core.hooks import scope_named
from bridge.core.rules import label_matches
from bridge.core.validation_errors import shortened
from bridge.githosts.server import homes_of
from bridge.pipeline.background import Turn
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.ports.checks import Finding, Level
from bridge.ports.clock import Sleep
from bridge.ports.journal import Apps
from bridge.ports.settings import Names
from bridge.settings import Settings
from bridge.settings.reading import patterns_in

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks of a running bridge."""


def unmatched(
    settings: Settings, apps: Sequence[App], lately: Sequence[App], read: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the names and patterns of the settings that match nothing.

    Nothing is said while no app is known, or while the apps of a backend are not.

    Args:
        lately: apps that were removed lately; who names one has not misspelt it.
        read: the backends that were read, even if they have no apps.
    """
    known = [*apps, *lately]
    backends = settings.backends_set().keys() or {EMBEDDED}
    if not apps or backends - {*read, *(app.backend for app in known)}:
        return
    labels = {label for app in known for label in (app.label, app.stands_for) if label}
    offered = [app.label for app in of_people(apps)]
    repositories = repositories_of(settings, known)
    for one in patterns_in(settings):
        setting = settings.places.named(one.path)
        if one.names is Names.REPOSITORY:
            servers = settings.host_servers().values()
            at = ".".join(one.path)
            host = next((it.name for it in servers if at.startswith(f"{it.section}.")), "")
            names = repositories.get(host, ())
            if not any(scope_named(one.text).covers(Repository("", "", name)) for name in names):
                yield _finding(setting, one.text, "no app deploys from", names)
            continue
        for text in _with_each_alternative(one.text):
            if text != "*" and not any(label_matches(text, label) for label in labels):
                verb = "matches" if _is_glob(text) else "is called"
                yield _finding(setting, text, f"no app {verb}", offered)


def _with_each_alternative(pattern: str) -> Iterator[str]:
    """Yield a pattern with each of its alternatives alone: shop/{web,api} is for both."""
    found = list(_alternatives(pattern))
    for start, end, those in found:
        for one in those:
            for text in _with_each_alternative(one):
                yield pattern[:start] + text + pattern[end:]
    if not found:
        yield pattern


def _alternatives(pattern: str) -> Iterator[tuple[int, int, list[str]]]:
    """Yield where outermost braces begin and end, and what stands between their commas."""
    depth, cuts = 0, list[int]()
    for at, char in enumerate(pattern):
        if char == "{":
            depth += 1
            cuts = [at] if depth == 1 else cuts
        elif char == "," and depth == 1:
            cuts.append(at)
        elif char == "}" and depth:
            depth -= 1
            if not depth and len(cuts) > 1:
                yield cuts[0], at + 1, [pattern[a + 1 : b] for a, b in pairwise((*cuts, at))]


def _is_glob(text: str) -> bool:
    return not frozenset("*?[{").isdisjoint(text)


def _finding(setting: str, text: str, says: str, there: Collection[str]) -> Finding:
    """Return the finding; a glob may be meant for apps to come, unless its folder is misspelt."""
    level, remedy = Level.ERROR, "correct it, or take it out; a glob may also mean apps to come"
    # A misspelt folder is like one that is there, and neither begins like the other.
    folder, folders = _folder(text), set(map(_folder, there))
    near = difflib.get_close_matches(folder, folders, n=1, cutoff=0.75)
    misspelt = any(not folder.startswith(one) and not one.startswith(folder) for one in near)
    if _is_glob(text) and not misspelt:
        level, remedy = Level.WARNING, "correct it, unless it is meant for apps to come"
    said = f"{setting}: {says} {shortened(text)}{_nearest(text, there)}"
    return Finding(level, "settings.unmatched", "the settings", said, remedy)


def _nearest(text: str, there: Iterable[str]) -> str:
    """Return a question that offers the nearest name; for a glob over a folder, such a one."""
    ends = "/*" if text.endswith("/*") else ""
    names = {_folder(one) + ends if ends else one for one in there}
    by_word = {name.lower(): name for name in sorted(names)}
    near = difflib.get_close_matches(text.lower(), by_word, n=1, cutoff=0.5)
    return f"; did you mean {by_word[near[0]]}?" if near else ""


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def repositories_of(settings: Settings, apps: Sequence[App]) -> Mapping[str, list[str]]:
    """Return the repositories that apps deploy from, by the Git host's server."""
    found: dict[str, list[str]] = {}
    for host, name in sorted(wanted_of(apps, homes_of(settings.host_servers().values()))):
        found.setdefault(host, []).append(name)
    return found


class Unmatched:
    """Holds the settings of a running bridge against its apps."""

    def __init__(self, settings: Settings, catalog: Catalog, journal: Apps) -> None:
        self._settings = settings
        self._catalog = catalog
        self._journal = journal
        self._of: object = None
        self._found: Sequence[Finding] = ()
        self._told: set[str] = set()

    async def run(self, turn: Turn, sleep: Sleep = asyncio.sleep) -> None:
        """Log each finding once, as long as the process lives: apps are renamed and removed.

        Args:
            turn: returns once it is this process's turn.
        """
        await self._catalog.ready.wait()
        while True:
            await turn()
            try:
                await self.look()
            except BridgeError as error:
                log.warning("settings can't be compared with apps", extra={"why": str(error)})
            except Exception:  # a check must not end the process, which also deploys
                log.exception("comparing settings with apps failed unexpectedly")
            await sleep(EVERY)

    async def look(self) -> None:
        """Log what was not found the last time."""
        self._of = None  # what was removed lately is so no longer
        found = {one.says.partition(";")[0]: one.words for one in await self.found()}
        for says, words in found.items():
            if says not in self._told:
                log.warning("a setting names nothing that is there", extra={"why": words})
        self._told = set(found)

    async def found(self) -> Sequence[Finding]:
        """Return the names and patterns that match nothing now; cheap while no app changes."""
        if self._of is not (snapshot := self._catalog.snapshot):
            lately, all_of_at = await self._journal.removed_lately(), self._catalog.reader.all_of_at
            read = [name for name in self._catalog.backends if all_of_at(name) > -math.inf]
            compared = unmatched(self._settings, self._catalog.all(), lately, read)
            self._found = await asyncio.to_thread(list, compared)
            self._of = snapshot
        return self._found
