"""Where webhooks are: what a person names, and what is found there."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from bridge.core.errors import NotFound, Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.ports.hooks import MadeHook, ManagesHooks


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


# ── what is found there ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class HookServer:
    """A server of a Git host.

    Attributes:
        name: as in the paths of webhooks.
        api: its API; None without a credential for it.
        url: where its webhooks have to send; None if the bridge's own address is not set.
    """

    name: str
    api: ManagesHooks | None
    url: str | None
    new_secret: Callable[[], str]


@dataclass(frozen=True, slots=True)
class SeenHook:
    """A webhook that leads to this bridge, or deploys without it.

    Attributes:
        made: our record of it; None if it was made by hand.
        deploys_itself: it is the backend's own, which deploys each push beside the bridge.
    """

    hook: HostHook
    made: MadeHook | None = None
    deploys_itself: bool = False
    faults: tuple[str, ...] = ()

    @property
    def reports(self) -> bool:
        """Return whether pushes reach the bridge by it."""
        return not self.deploys_itself


@dataclass(frozen=True, slots=True)
class Place:
    """A repository, an organisation or an App, and all webhooks that report it.

    Attributes:
        hooks: those at the place itself, then those above it.
        unseen: places above it whose webhooks our credential may not see.
        made: our record of a webhook at the place itself.
    """

    host: str
    scope: Scope
    hooks: tuple[SeenHook, ...] = ()
    unseen: tuple[Scope, ...] = ()
    made: MadeHook | None = None

    @property
    def own(self) -> list[SeenHook]:
        """Return the webhooks at the place itself that lead to this bridge."""
        return [one for one in self.hooks if one.reports and one.hook.scope == self.scope]

    @property
    def above(self) -> list[SeenHook]:
        """Return the webhooks above it that lead to this bridge."""
        return [one for one in self.hooks if one.reports and one.hook.scope != self.scope]

    def warnings(self) -> Iterator[str]:
        """Yield what is wrong with the place as a whole, for people."""
        many = [*self.own, *self.above]
        if len(many) > 1:
            where = ", ".join(f"{one.hook.id} of {one.hook.scope}" for one in many)
            yield f"{self.scope} is reported {len(many)} times ({where}); one is enough"
        if any(one.deploys_itself for one in self.hooks):
            yield (
                f"a webhook of {self.scope} leads to the backend itself, which then deploys each"
                " push beside the bridge: delete it at the Git host"
            )
