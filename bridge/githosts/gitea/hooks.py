"""Make and change webhooks of repositories and organisations.

https://docs.gitea.com/api
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused, Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.answers import read
from bridge.githosts.gitea.access import GiteaAccess
from bridge.githosts.http import numeric, part
from bridge.githosts.webhook import Model

PULLS = ("pull_request_label", "pull_request_sync")
"""Those that tell of the labels of pull requests, and of pushes to them."""

EVENTS = ("push", "delete", "pull_request", *PULLS)
"""The events that the bridge needs, as webhooks list them."""

CHECKS = ("status", "action_run_success", "action_run_failure")
"""Those that tell of checks: Gitea has the first from 1.24 on, Forgejo the others. A server ignores
what it does not know, so a webhook without them lacks nothing that could be corrected."""

_ASKED = ("push", "delete", "pull_request_only", *PULLS, *CHECKS)
"""All as the server takes them: `pull_request` would add reviews, assignees and comments."""


class GiteaMakesHooks:
    """Webhooks of the bridge's own; a `ManagesHooks`."""

    name: str

    def __init__(self, access: GiteaAccess) -> None:
        self._access = access

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        if kind is ScopeKind.APP:
            raise Rejected(f"{self.name}: there are no Apps; name repositories or an organisation")
        if kind is ScopeKind.OWNER:
            path = f"/orgs/{part(name)}"
            answer = await self._access.asker("")("GET", path)
            org = read(_ORG, path, answer, self.name, reads=True)
            return Scope(kind, org.username or org.name or name, str(org.id))
        answer = await self._access.ask(name, "GET", "")
        found = read(_REPOSITORY, "", answer, self.name, reads=True)
        return Scope(kind, found.full_name, str(found.id))

    async def scopes_over(self, repository: str) -> list[Scope]:
        own = await self.hook_scope(ScopeKind.REPOSITORY, repository)
        return [own, Scope(ScopeKind.OWNER, own.name.partition("/")[0])]

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        path, found = f"{self._place(scope)}/hooks", list[HostHook]()
        try:
            async for answer in self._access.pages_at(path):
                hooks = read(_HOOKS, path, answer, self.name, reads=True)
                found += [one.meaning(scope) for one in hooks]
        except NotFound:
            return None
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        path = f"{self._place(scope)}/hooks"
        body = {"type": "gitea", **_all_of(url, secret)}
        answer = await self._access.asker("")("POST", path, body=body)
        return read(_HOOK, path, answer, self.name, reads=False).meaning(scope)

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        path = self._path(hook)
        answer = await self._access.asker("")("PATCH", path, body=_all_of(url, secret))
        return read(_HOOK, path, answer, self.name, reads=False).meaning(hook.scope)

    async def test_hook(self, hook: HostHook) -> bool:
        """Have the server send the head of the default branch, as a push that moves nothing."""
        if hook.scope.kind is ScopeKind.OWNER:
            return False
        await self._access.asker("")("POST", f"{self._path(hook)}/tests")
        return True

    async def delete_hook(self, hook: HostHook) -> None:
        try:
            await self._access.asker("")("DELETE", self._path(hook))
        except NotFound:
            return

    def _place(self, scope: Scope) -> str:
        if scope.kind is ScopeKind.OWNER:
            return f"/orgs/{part(scope.name)}"
        return self._access.place(scope.name)

    def _path(self, hook: HostHook) -> str:
        return f"{self._place(hook.scope)}/hooks/{numeric(self.name, hook.id)}"


def _all_of(url: str, secret: str) -> Mapping[str, Any]:
    """Return a whole webhook: the server resets the events that are not named."""
    config = {"url": url, "content_type": "json", "secret": secret}
    return {"active": True, "events": [*_ASKED], "config": config}


class _Config(Model):
    url: str | None = None
    content_type: str | None = None


class _Hook(Model):
    id: int
    active: bool = True
    events: list[str] = Field(default_factory=list)
    config: _Config

    def meaning(self, scope: Scope) -> HostHook:
        return HostHook(
            scope,
            str(self.id),
            self.config.url or "",
            active=self.active,
            missing=tuple(one for one in EVENTS if one not in self.events),
            as_json=self.config.content_type != "form",
        )


class _Org(Model):
    id: int
    name: str | None = None
    username: str | None = None


class _Repository(Model):
    id: int
    full_name: str


_ORG, _REPOSITORY = TypeAdapter(_Org), TypeAdapter(_Repository)
_HOOK, _HOOKS = TypeAdapter(_Hook), TypeAdapter(list[_Hook])
