"""Hold what the settings name against what is there: apps, repositories, accounts, checks (CI).

A misspelt rule changes nothing, and nothing else shows it: the approvals that it asks for are not
asked for. Whoever renames their account is no longer known by its old login, and somebody else can
take that.
"""

import asyncio
import difflib
import logging
import math
from asyncio import gather
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol, runtime_checkable

from bridge.app.doctor.apps import repositories_of
from bridge.backends import EMBEDDED
from bridge.core.apps import App, of_people
from bridge.core.errors import BridgeError
from bridge.core.events import Repository
from bridge.core.gates.ci import Fits, named_by
from bridge.core.hooks import scope_named
from bridge.core.people import Marks
from bridge.core.pins import tracked
from bridge.core.rules import label_matches
from bridge.core.validation_errors import shortened
from bridge.githosts.server import homes_of
from bridge.pipeline.background import Turn
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.reconcile import ReadsRefs, place_of
from bridge.pipeline.gates.ci import ListsChecks
from bridge.ports.authors import TellsAccounts
from bridge.ports.checks import Finding, Level
from bridge.ports.clock import Sleep
from bridge.ports.journal import Apps
from bridge.ports.providers import HostServer
from bridge.ports.settings import Names
from bridge.settings import Settings
from bridge.settings.contents import Pattern, patterns_in

CHECK = "host.identity"

AT_ONCE = 8
"""Logins that are looked up together."""

MOST_TOLD = 10
"""Names and numbers that a remedy lists."""


class _Named(NamedTuple):
    """A login in `identities`; `numbers`: those of the same host in its entry."""

    setting: str
    login: str
    numbers: frozenset[str]


async def of_identities(
    server: HostServer, entries: Mapping[str, Marks], repository: str
) -> AsyncIterator[Finding]:
    """Yield the logins that a host does not know, or knows by another number than `identities`.

    Args:
        entries: the accounts and addresses of people, by the setting.
        repository: the one with whose credential to ask.
    """
    named = list(_named(server.name, entries))
    if not named or (api := server.provider.api(server.name, server.given)) is None:
        return
    try:
        if not isinstance(api, TellsAccounts):
            return
        found, error = await _numbers(api, repository, named)
    finally:
        await api.close()
    for finding in _findings(server.name, found, hides=api.hides_accounts):
        yield finding
    if error is not None:
        left = len(named) - len(found)
        logins = "1 login" if left == 1 else f"{left} logins"
        says = f"{logins} that `identities` names could not be looked up: {error}"
        remedy = "let the credential read accounts, or look these logins up by hand"
        yield Finding(Level.WARNING, CHECK, server.name, says, remedy)


async def _numbers(
    api: TellsAccounts, repository: str, named: Sequence[_Named]
) -> tuple[dict[_Named, str | None], BridgeError | None]:
    """Return the numbers of logins, None for who is not there; and why some were not looked up."""
    found: dict[_Named, str | None] = {}
    for start in range(0, len(named), AT_ONCE):
        some = named[start : start + AT_ONCE]
        asked = (api.number_of(repository, one.login) for one in some)
        failure = None
        for one, told in zip(some, await gather(*asked, return_exceptions=True), strict=True):
            if isinstance(told, BridgeError):
                failure = told
            elif isinstance(told, BaseException):
                raise told
            else:
                found[one] = told
        if failure is not None:
            return found, failure
    return found, None


def _named(host: str, entries: Mapping[str, Marks]) -> Iterator[_Named]:
    begins = f"{host}:"
    for setting, marks in entries.items():
        there = sorted(mark.removeprefix(begins) for mark in marks if mark.startswith(begins))
        numbers = frozenset(one for one in there if one.startswith("#"))
        yield from (_Named(setting, one, numbers) for one in there if one not in numbers)


def _findings(host: str, found: Mapping[_Named, str | None], *, hides: bool) -> Iterator[Finding]:
    there, lacking = 0, list[str]()
    theirs = {(one.setting, f"#{number}") for one, number in found.items()}
    for one, number in found.items():
        left = sorted(at for at in one.numbers if (one.setting, at) not in theirs)
        mark, beside = f"`{host}:{one.login}`", f"`{host}:#{number}`"
        if number is None:
            says = f"{one.setting}: {host} knows no account {one.login}: it was renamed or removed"
            says += ", or its profile is private" if hides else ""
            remedy = f"write its present login in place of {mark}, and its number, `{host}:#NUMBER`"
            yield Finding(Level.WARNING if hides else Level.ERROR, CHECK, host, says, remedy)
        elif left and f"#{number}" not in one.numbers:
            others = " or ".join(left)
            says = (
                f"{one.setting}: {mark} is #{number}, not {others}: another account has the login"
            )
            remedy = (
                f"write the present login of {others} in place of {mark}; if it is {beside}, that"
            )
            yield Finding(Level.ERROR, CHECK, host, says, remedy)
        else:
            there += 1
            lacking += [] if f"#{number}" in one.numbers else [f"{beside} for {one.login}"]
    if there:
        told = ", ".join(lacking[:MOST_TOLD]) + (", …" if len(lacking) > MOST_TOLD else "")
        remedy = f"write the numbers beside them, which outlast a rename: {told}" if told else ""
        says = f"{there} of {len(found)} logins that `identities` names were found"
        yield Finding(Level.OK, CHECK, host, says, remedy)


# ── Checks that rules name ────────────────────────────────────────────────────────────────────────


@runtime_checkable
class _Api(ListsChecks, ReadsRefs, Protocol):
    """A host whose branches and checks can be read."""


async def of_named_checks(server: HostServer, apps: Sequence[App]) -> AsyncIterator[Finding]:
    """Yield the names in `checks` that no check of the branch's head has.

    Args:
        apps: with our own rules applied.
    """
    wanted: dict[tuple[str, str], dict[str, Fits]] = {}
    for app in apps:
        source = app.source
        branch = tracked(app)
        if source is None or branch is None or app.rules.checks is None:
            continue
        host, repository = place_of(source, homes_of([server])) or ("", "")
        if host == server.name:
            names = wanted.setdefault((repository, branch), {})
            names |= dict(named_by(app.rules.checks))
    if not any(wanted.values()):
        return
    api = server.provider.api(server.name, server.given)
    try:
        if isinstance(api, _Api):
            for (repository, branch), names in wanted.items():
                async for finding in _of_branch(api, server.name, repository, branch, names):
                    yield finding
    finally:
        if api is not None:
            await api.close()


async def _of_branch(
    api: _Api, host: str, repository: str, branch: str, names: Mapping[str, Fits]
) -> AsyncIterator[Finding]:
    try:
        head = await api.head(repository, branch)
        checks = [] if head is None else await api.checks(repository, head)
    except BridgeError:
        return  # the host's own checks say so
    there = sorted({f"{check.name} ({check.app})" if check.app else check.name for check in checks})
    for name, fits in names.items():
        if not any(map(fits, checks)):
            says = f"no check of {branch} at {(head or '?')[:7]} is called `{name}`"
            has = ", ".join(there[:MOST_TOLD]) or "no checks"
            remedy = f"correct the name in `checks`: the commit has {has}"
            yield Finding(Level.WARNING, "host.checks.name", f"{host} {repository}", says, remedy)


# ── Apps and repositories ─────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

UNMATCHED, ABOUT = "settings.unmatched", "the settings"

EVERY = 60.0
"""Seconds between two looks of a running bridge."""

_GLOB = frozenset("*?[{")
_LIKE = 0.75


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
            names = _repositories_at(settings, one, repositories)
            if not any(scope_named(one.text).covers(Repository("", "", name)) for name in names):
                yield _finding(setting, one.text, "no app deploys from", names)
            continue
        for text in _with_each_alternative(one.text):
            if text != "*" and not any(label_matches(text, label) for label in labels):
                verb = "matches" if _is_glob(text) else "is called"
                yield _finding(setting, text, f"no app {verb}", offered)


def _repositories_at(
    settings: Settings, pattern: Pattern, repositories: Mapping[str, Sequence[str]]
) -> Sequence[str]:
    """Return the repositories that apps deploy from at the server whose setting it is."""
    servers = settings.host_servers().values()
    setting = ".".join(pattern.path)
    there = (server.name for server in servers if setting.startswith(f"{server.section}."))
    return repositories.get(next(there, ""), ())


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
    return not _GLOB.isdisjoint(text)


def _finding(setting: str, text: str, says: str, there: Collection[str]) -> Finding:
    """Return the finding; a glob may be meant for apps to come, unless its folder is misspelt."""
    said = f"{setting}: {says} {shortened(text)}{_nearest(text, there)}"
    if _is_glob(text) and not _is_misspelt(_folder(text), set(map(_folder, there))):
        remedy = "correct it, unless it is meant for apps to come"
        return Finding(Level.WARNING, UNMATCHED, ABOUT, said, remedy)
    remedy = "correct it, or take it out; a glob may also mean apps to come"
    return Finding(Level.ERROR, UNMATCHED, ABOUT, said, remedy)


def _nearest(text: str, there: Iterable[str]) -> str:
    """Return a question that offers the nearest name; for a glob over a folder, such a one."""
    ends = "/*" if text.endswith("/*") else ""
    names = {_folder(one) + ends if ends else one for one in there}
    by_word = {name.lower(): name for name in sorted(names)}
    near = difflib.get_close_matches(text.lower(), by_word, n=1, cutoff=0.5)
    return f"; did you mean {by_word[near[0]]}?" if near else ""


def _is_misspelt(folder: str, there: Collection[str]) -> bool:
    """Return whether a folder is like one that is there, and neither begins like the other."""
    near = difflib.get_close_matches(folder, there, n=1, cutoff=_LIKE)
    return any(not folder.startswith(one) and not one.startswith(folder) for one in near)


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


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
            self._found = await asyncio.to_thread(
                self._compare, await self._journal.removed_lately()
            )
            self._of = snapshot
        return self._found

    def _compare(self, lately: Sequence[App]) -> list[Finding]:
        all_of_at = self._catalog.reader.all_of_at
        read = [name for name in self._catalog.backends if all_of_at(name) > -math.inf]
        return list(unmatched(self._settings, self._catalog.all(), lately, read))
