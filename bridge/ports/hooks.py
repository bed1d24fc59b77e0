"""Webhooks at Git hosts: how the bridge makes them, and what it stores of them."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from bridge.core.hooks import HostHook, Scope, ScopeKind


class HookState(StrEnum):
    """How far a webhook of our own has come."""

    PLANNED = "planned"
    LIVE = "live"
    ROTATING = "rotating"


LASTS = 60.0
"""Seconds for which a replaced secret is still accepted; hosts give up on a delivery earlier."""


def key_of(host: str, scope: Scope) -> str:
    """Return the name of a webhook of our own in the store: there is one of each scope."""
    return f"{host} {scope.kind} {scope.id or scope.name}"


@dataclass(frozen=True, slots=True)
class MadeHook:
    """A webhook of our own, or the plan for one: its secret is stored before it is made.

    Attributes:
        host: the Git host's server, e.g. "gitea/second".
        sealed: its secret.
        made_at: when the secret was stored, in seconds since 1970.
        hook: its id at the host; None until the host has it.
        signs: whether the host signs with it; None until the host has said so.
        sealed_next: the secret that takes over; until then both are accepted.
        sealed_last: the secret that it replaced, for what is on its way; see `LASTS`.
    """

    host: str
    scope: Scope
    sealed: str = field(repr=False)
    made_at: float
    hook: str | None = None
    signs: bool | None = None
    sealed_next: str | None = field(default=None, repr=False)
    sealed_last: str | None = field(default=None, repr=False)

    def accepted(self, now: float) -> list[str]:
        """Return the sealed secrets that webhooks may be signed with now."""
        last = self.sealed_last if now < self.made_at + LASTS else None
        return [one for one in (self.sealed, self.sealed_next, last) if one is not None]

    @property
    def key(self) -> str:
        return key_of(self.host, self.scope)

    @property
    def state(self) -> HookState:
        if self.hook is None:
            return HookState.PLANNED
        return HookState.LIVE if self.sealed_next is None else HookState.ROTATING


class MadeHooks(Protocol):
    """Stores the webhooks that the bridge makes; several processes may change one at a time."""

    async def made_hooks(self) -> list[MadeHook]:
        """Return all, by key."""

    async def plan_hook(self, new: MadeHook) -> MadeHook:
        """Store a new one; return the one that is there by now, for which another was faster."""

    async def hook_made(self, key: str, hook: str, *, signs: bool, name: str) -> None:
        """Record that the host has it, and the present name of its scope."""

    async def rotate_hook(self, key: str, sealed_next: str) -> MadeHook | None:
        """Accept a second secret; keep the one that another process has stored.

        Return the webhook as it is now; None if it is gone.
        """

    async def end_rotation(self, key: str, sealed_next: str) -> bool:
        """Let the second secret take over, if it is still that one; return whether it was."""

    async def drop_hook(self, key: str) -> None:
        """Forget one, with its secret."""


# ── At the Git hosts ────────────────────────────────────────────────────────────────────────────


@runtime_checkable
class ManagesHooks(Protocol):
    """A Git host whose webhooks the bridge can make; errors are those of `HostApi`."""

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        """Return a repository, an organisation or group, or our App, with the host's id.

        Raises Rejected: there are no webhooks of that kind here, or not with our credential.
        """

    async def scopes_over(self, repository: str) -> list[Scope]:
        """Return where a webhook that reports a repository may be; itself comes first."""

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        """Return the webhooks there; None if our credential may not see them."""

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        """Add a webhook with everything that the bridge needs."""

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        """Give a webhook this URL and secret, and everything else that the bridge needs."""

    async def test_hook(self, hook: HostHook) -> bool:
        """Have the host send something that deploys nothing; return False if it can't."""

    async def delete_hook(self, hook: HostHook) -> None:
        """Delete a webhook; one that is gone already is fine."""
