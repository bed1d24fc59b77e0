"""What a person names to have its webhooks listed, made, removed or renewed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bridge.core.errors import NotFound, Rejected
from bridge.core.hooks import ScopeKind
from bridge.ports.hooks import MadeHook


@dataclass(frozen=True, slots=True)
class Target:
    """What a person names: a repository, an organisation or group, or the App of a host."""

    host: str
    kind: ScopeKind
    name: str

    def names(self, made: MadeHook) -> bool:
        """Return whether one of our webhooks is there."""
        same = (made.host, made.scope.kind) == (self.host, self.kind)
        return same and made.scope.name.casefold() == self.name.casefold()


Repositories = Collection[tuple[str, str]]
"""The repositories that apps deploy from, by host and name."""


def named_target(name: str, host: str | None, known: Repositories, able: Sequence[str]) -> Target:
    """Return the repository that a person means by its name.

    Args:
        host: where they say that it is; else it is where an app deploys from it, or on the only
            host that can be asked.
        able: the hosts that can be asked.
    """
    at = sorted({where for where, one in known if one.casefold() == name.casefold()})
    found = host or host_of(at or able, name)
    return Target(found, ScopeKind.REPOSITORY, name)


def host_of(hosts: Sequence[str], name: str) -> str:
    """Return the only host; raise Rejected if there are none or several."""
    if len(hosts) == 1:
        return hosts[0]
    if not hosts:
        raise Rejected("no Git host can be asked for its webhooks: set a token of one")
    raise Rejected(f"{name} may be at {', '.join(hosts)}: say which with --host")


def rotated_of(made: Sequence[MadeHook], targets: Sequence[Target]) -> list[MadeHook]:
    """Return our webhooks that a person has named; raise NotFound for one that is not ours."""
    found: list[MadeHook] = []
    for target in targets:
        fits = [one for one in made if target.names(one)]
        if not fits:
            raise NotFound(f"the bridge has made no webhook of {target.name} at {target.host}")
        found += fits
    return found
