"""Check whether the checks (CI) that rules name exist at the Git host."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.errors import BridgeError
from bridge.core.gates.ci import Fits, named_by
from bridge.core.pins import tracked
from bridge.githosts.server import homes_of
from bridge.pipeline.deciding.reconcile import ReadsRefs, place_of
from bridge.pipeline.gates.ci import ListsChecks
from bridge.ports.checks import Finding, Level
from bridge.ports.providers import HostServer

MOST_TOLD = 10
"""Names of checks that a remedy lists."""


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
    there = sorted({f"{one.name} ({one.app})" if one.app else one.name for one in checks})
    for name, fits in names.items():
        if not any(map(fits, checks)):
            says = f"no check of {branch} at {(head or '?')[:7]} is called `{name}`"
            has = ", ".join(there[:MOST_TOLD]) or "no checks"
            remedy = f"correct the name in `checks`: the commit has {has}"
            yield Finding(Level.WARNING, "host.checks.name", f"{host} {repository}", says, remedy)
