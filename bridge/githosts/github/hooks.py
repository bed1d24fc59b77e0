"""Make and change webhooks of repositories and organisations, and the App's own.

https://docs.github.com/en/rest/repos/webhooks
"""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, TypeAdapter

from bridge.core.errors import NotFound, Refused, Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.answers import Answer, read
from bridge.githosts.github.access import EVENTS, SERVICE, GithubAccess, named
from bridge.githosts.http import Ask, numeric, part
from bridge.githosts.webhook import Model

_APP_HOOK = "app"
_AN_APP_CAN_NOT = (
    "github: our credential is a GitHub App, whose own webhook reports every repository where it is"
    " installed: install the App there, or use --app"
)


class GithubMakesHooks:
    """Webhooks of the bridge's own; a `ManagesHooks`."""

    def __init__(self, access: GithubAccess) -> None:
        self._access = access

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        if kind is ScopeKind.APP:
            if not self._is_app:
                raise Rejected("github: no App is set, so there is no webhook of one")
            app = read(
                _APP, "/app", await self._access.as_the_app("GET", "/app"), SERVICE, reads=True
            )
            return Scope(kind, "", str(app.id))
        if kind is ScopeKind.OWNER:
            if self._is_app:
                raise Rejected(_AN_APP_CAN_NOT)
            path = f"/orgs/{part(name)}"
            org = read(_ORG, path, await self._of_org(name)("GET", path), SERVICE, reads=True)
            return Scope(kind, org.login, str(org.id))
        found = read(_REPOSITORY, "", await self._access.ask(name, "GET", ""), SERVICE, reads=True)
        return Scope(kind, found.full_name, str(found.id))

    async def scopes_over(self, repository: str) -> list[Scope]:
        own = await self.hook_scope(ScopeKind.REPOSITORY, repository)
        if self._is_app:
            return [own, await self.hook_scope(ScopeKind.APP, "")]
        return [own, Scope(ScopeKind.OWNER, own.name.partition("/")[0])]

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        try:
            if scope.kind is ScopeKind.APP:
                answer = await self._access.as_the_app("GET", "/app/hook/config")
                return _app_hook(scope, answer)
            path, found = f"{_place(scope)}/hooks", list[HostHook]()
            async for answer in self._access.client.pages(self._ask_at(scope), path):
                hooks = read(_HOOKS, path, answer, SERVICE, reads=True)
                found += [one.meaning(scope) for one in hooks]
        except NotFound:
            return None
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        if scope.kind is ScopeKind.APP:
            raise Rejected("github: an App has one webhook, which is made with it")
        if self._is_app:
            raise Rejected(_AN_APP_CAN_NOT)
        path = f"{_place(scope)}/hooks"
        body = {"name": "web", "active": True, "events": [*EVENTS], "config": _config(url, secret)}
        answer = await self._ask_at(scope)("POST", path, body=body)
        return read(_HOOK, path, answer, SERVICE, reads=False).meaning(scope)

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        if hook.scope.kind is ScopeKind.APP:
            path = "/app/hook/config"
            answer = await self._access.as_the_app("PATCH", path, body=_config(url, secret))
            return _app_hook(hook.scope, answer)[0]
        path = _path(hook)
        body = {"active": True, "add_events": list(hook.missing), "config": _config(url, secret)}
        if hook.scope.kind is ScopeKind.OWNER:  # it takes only the whole list
            del body["add_events"]
            body["events"] = [*EVENTS]
        answer = await self._ask_at(hook.scope)("PATCH", path, body=body)
        return read(_HOOK, path, answer, SERVICE, reads=False).meaning(hook.scope)

    async def test_hook(self, hook: HostHook) -> bool:
        if hook.scope.kind is ScopeKind.APP:
            return False  # GitHub sends it no ping on request
        await self._ask_at(hook.scope)("POST", f"{_path(hook)}/pings")
        return True

    async def delete_hook(self, hook: HostHook) -> None:
        if hook.scope.kind is ScopeKind.APP:
            raise Rejected("github: the webhook of an App goes with the App; delete that at GitHub")
        try:
            await self._ask_at(hook.scope)("DELETE", _path(hook))
        except NotFound:
            return

    @property
    def _is_app(self) -> bool:
        return self._access.credential.app_token() is not None

    def _ask_at(self, scope: Scope) -> Ask:
        if scope.kind is ScopeKind.OWNER:
            return self._of_org(scope.name)
        return self._access.asker(scope.name)

    def _of_org(self, name: str) -> Ask:
        return self._access.asker(f"{part(name)}/{part(name)}")  # a token serves all


def _place(scope: Scope) -> str:
    if scope.kind is ScopeKind.OWNER:
        return f"/orgs/{part(scope.name)}"
    return f"/repos/{named(scope.name)}"


def _path(hook: HostHook) -> str:
    return f"{_place(hook.scope)}/hooks/{numeric(SERVICE, hook.id)}"


def _config(url: str, secret: str) -> Mapping[str, str]:
    return {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret}


def _app_hook(scope: Scope, answer: Answer) -> list[HostHook]:
    config = read(_CONFIG, "/app/hook/config", answer, SERVICE, reads=True)
    return [config.meaning(scope, _APP_HOOK)] if config.url else []


class _Config(Model):
    url: str | None = None
    content_type: str | None = None
    insecure_ssl: str | float | int | None = None

    def meaning(self, scope: Scope, id_: str, **others: Any) -> HostHook:
        return HostHook(
            scope,
            id_,
            self.url or "",
            as_json=self.content_type == "json",
            checks_tls=str(self.insecure_ssl or "0") == "0",
            **others,
        )


class _Response(Model):
    code: int | None = None
    status: str | None = None
    message: str | None = None


class _Hook(Model):
    id: int
    active: bool = True
    events: list[str] = Field(default_factory=list)
    config: _Config
    last_response: _Response | None = None

    def meaning(self, scope: Scope) -> HostHook:
        missing = tuple(one for one in EVENTS if one not in self.events and "*" not in self.events)
        return self.config.meaning(
            scope, str(self.id), active=self.active, missing=missing, trouble=self._trouble()
        )

    def _trouble(self) -> str | None:
        last = self.last_response
        if last is None or last.status in (None, "unused") or 200 <= (last.code or 0) < 300:
            return None
        words = f": {last.message[:200]}" if last.message else ""
        return f"its last delivery failed ({last.code or last.status}){words}"


class _App(Model):
    id: int


class _Org(Model):
    id: int
    login: str


class _Repository(Model):
    id: int
    full_name: str


_APP, _ORG, _REPOSITORY = TypeAdapter(_App), TypeAdapter(_Org), TypeAdapter(_Repository)
_CONFIG, _HOOK, _HOOKS = TypeAdapter(_Config), TypeAdapter(_Hook), TypeAdapter(list[_Hook])
