"""Hold the accounts and the checks (CI) that the settings name against those at the Git hosts.

Whoever renames their account is no longer known by its old login, and somebody else can take that.
"""

from asyncio import gather
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.gates.ci import Fits, named_by
from bridge.core.people import Marks
from bridge.core.pins import tracked
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.reconcile import ReadsRefs, place_of
from bridge.pipeline.gates.ci import ListsChecks
from bridge.ports.authors import TellsAccounts
from bridge.ports.checks import Finding, Level
from bridge.ports.providers import HostServer

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
    """Yield the names in `checks`, by our own rules, that no check of the branch's head has."""
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
