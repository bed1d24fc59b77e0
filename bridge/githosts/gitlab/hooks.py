"""Make and change webhooks of projects and groups.

https://docs.gitlab.com/api/project_webhooks/, https://docs.gitlab.com/api/group_webhooks/
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from bridge.core.errors import NotFound, Refused, Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.answers import Answer, read
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.http import Ask, numeric, part
from bridge.githosts.webhook import Model

EVENTS = ("push_events", "tag_push_events", "merge_requests_events", "pipeline_events")
"""The events that the bridge asks for; it also reads `job_events`, of which there are many more."""

_TEST = "resource_access_token_events"
"""The test event that every project can send and no bridge decides. Testing a push would send the
newest one again, which may deploy."""


class GitlabMakesHooks:
    """Webhooks of the bridge's own; a `ManagesHooks`."""

    def __init__(self, access: GitlabAccess) -> None:
        self._access = access

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        if kind is ScopeKind.APP:
            raise Rejected("gitlab: there are no Apps; name projects or a group")
        if kind is ScopeKind.OWNER:
            path = f"/groups/{part(name)}"
            answer = await self._ask("GET", path, query={"with_projects": "false"})
            group = read(_GROUP, path, answer, SERVICE, reads=True)
            return Scope(kind, group.full_path, str(group.id))
        found = read(_PROJECT, "", await self._access.ask(name, "GET", ""), SERVICE, reads=True)
        return Scope(kind, found.path_with_namespace, str(found.id))

    async def scopes_over(self, repository: str) -> list[Scope]:
        own = await self.hook_scope(ScopeKind.REPOSITORY, repository)
        groups, above = list[Scope](), own.name
        while above := above.rpartition("/")[0]:
            groups.append(Scope(ScopeKind.OWNER, above))
        return [own, *groups]

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        path, found = f"{_place(scope)}/hooks", list[HostHook]()
        try:
            async for answer in self._access.client.pages(self._asker(), path):
                hooks = read(_HOOKS, path, answer, SERVICE, reads=True)
                found += [one.meaning(scope) for one in hooks]
        except NotFound:
            return None  # a person's namespace, or a group without that feature
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        path = f"{_place(scope)}/hooks"
        answer = await self._ask("POST", path, body=_all_of(url, secret))
        return read(_HOOK, path, answer, SERVICE, reads=False).meaning(scope)

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        path = _path(hook)
        answer = await self._ask("PUT", path, body=_all_of(url, secret))
        return read(_HOOK, path, answer, SERVICE, reads=False).meaning(hook.scope)

    async def test_hook(self, hook: HostHook) -> bool:
        try:
            await self._ask("POST", f"{_path(hook)}/test/{_TEST}")
        except (NotFound, Refused):  # an older GitLab knows no such test
            return False
        return True

    async def delete_hook(self, hook: HostHook) -> None:
        try:
            await self._ask("DELETE", _path(hook))
        except NotFound:
            return

    def _asker(self) -> Ask:
        return self._access.asker("")  # one token serves all

    async def _ask(self, method: str, path: str, **others: Any) -> Answer:
        return await self._asker()(method, path, **others)


def _place(scope: Scope) -> str:
    kind = "groups" if scope.kind is ScopeKind.OWNER else "projects"
    return f"/{kind}/{part(scope.id or scope.name)}"


def _path(hook: HostHook) -> str:
    return f"{_place(hook.scope)}/hooks/{numeric(SERVICE, hook.id)}"


def _all_of(url: str, secret: str) -> Mapping[str, Any]:
    """Return a whole webhook; a GitLab before 19.0 ignores the signing token."""
    signing = [one for one in secret.split() if one.startswith("whsec_")]
    tokens = [one for one in secret.split() if one not in signing]
    return {
        "url": url,
        "token": tokens[0] if tokens else "",
        **({"signing_token": signing[0]} if signing else {}),
        "enable_ssl_verification": True,
        **dict.fromkeys(EVENTS, True),
    }


class _Hook(Model):
    id: int
    url: str
    push_events: bool = False
    tag_push_events: bool = False
    merge_requests_events: bool = False
    pipeline_events: bool = False
    enable_ssl_verification: bool = True
    alert_status: str | None = None
    disabled_until: str | None = None
    signing_token_present: bool = False

    def meaning(self, scope: Scope) -> HostHook:
        return HostHook(
            scope,
            str(self.id),
            self.url,
            missing=tuple(one for one in EVENTS if not getattr(self, one)),
            checks_tls=self.enable_ssl_verification,
            trouble=self._trouble(),
            signs=self.signing_token_present,
        )

    def _trouble(self) -> str | None:
        state = (self.alert_status or "executable").lstrip(":")
        if state == "executable":
            return None
        until = f" until {self.disabled_until}" if self.disabled_until else ""
        return f"GitLab has disabled it{until} ({state}): it failed too often"


class _Group(Model):
    id: int
    full_path: str


class _Project(Model):
    id: int
    path_with_namespace: str


_GROUP, _PROJECT = TypeAdapter(_Group), TypeAdapter(_Project)
_HOOK, _HOOKS = TypeAdapter(_Hook), TypeAdapter(list[_Hook])
