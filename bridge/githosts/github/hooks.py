"""GitHub's webhooks, of repositories, organisations and the App, and what they have sent.

GitHub keeps deliveries for three days and never retries one by itself.
https://docs.github.com/en/rest/repos/webhooks
"""

import json
from abc import ABC
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import AwareDatetime, Field

from bridge.core.errors import Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.base.api import Api, if_seen
from bridge.githosts.base.http import Resource, WithId, part
from bridge.githosts.base.repos_api import Config, RepoHook, named
from bridge.githosts.base.webhook import Model
from bridge.githosts.github.access import EVENTS, GithubAccess
from bridge.ports.githosts import Hook, Payload, Sending

APP_HOOK = "app"
"""The place and the id of a GitHub App's only webhook."""

_APP_CONFIG = "/app/hook/config"

_AN_APP_CAN_NOT = (
    "github: our credential is a GitHub App, whose own webhook reports every repository where it is"
    " installed: install the App there, or use --app"
)


class _Response(Model):
    code: int | None = None
    status: str | None = None
    message: str | None = None


class GithubHook(RepoHook):
    """A webhook; GitHub shows its secret as asterisks, and omits an empty one."""

    needed = EVENTS
    title = "GitHub"
    usually = "form"

    last_response: _Response | None = None

    def meaning(self, place: str) -> Hook:
        return replace(super().meaning(place), signed=bool(self.config.secret))

    def managed(self, scope: Scope) -> HostHook:
        managed, last = super().managed(scope), self.last_response
        if last is None or last.status in (None, "unused") or 200 <= (last.code or 0) < 300:
            return managed
        words = f": {last.message[:200]}" if last.message else ""
        trouble = f"its last delivery failed ({last.code or last.status}){words}"
        return replace(managed, trouble=trouble)


def _app_hook(config: Config) -> Hook:
    return replace(GithubHook(id=0, config=config).meaning(APP_HOOK), id=APP_HOOK)


def _managed_app_hook(scope: Scope, config: Config) -> HostHook:
    managed = GithubHook(id=0, config=config).managed(scope)
    return replace(managed, id=APP_HOOK, missing=())  # the App itself names its events


class _Sending(Model):
    id: int
    guid: str
    event: str
    delivered_at: Annotated[AwareDatetime, Field(strict=False)]
    status: str
    status_code: int

    def meaning(self) -> Sending:
        return Sending(
            id=str(self.id),
            delivery=self.guid,
            event=self.event,
            at=self.delivered_at.timestamp(),
            answered=200 <= self.status_code < 300,
            words=f"{self.status} ({self.status_code})" if self.status_code else self.status,
        )


class _Request(Model):
    headers: dict[str, Any] | None = None
    payload: dict[str, Any] | None = None


class _Sent(Model):
    request: _Request


class GithubHooks(Api, ABC):
    """GitHub's webhooks; a `ManagesHooks` that `Redelivers`."""

    access: GithubAccess
    hook_form = GithubHook
    new_hook: ClassVar[Mapping[str, str]] = {"name": "web"}

    # ── those that there are, and what they have sent ───────────────────────

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        hooks: dict[str, list[Hook] | None] = {}
        if self.access.is_app:
            config = await self.access.as_app(_APP_CONFIG).get("", Config)
            hooks[APP_HOOK] = [_app_hook(config)] if config.url else []
            places = [f"repos/{named(self.name, repository)}"]
        else:  # an installation token covers only its installation
            owner = named(self.name, repository).partition("/")[0]
            places = [f"orgs/{owner}", f"repos/{repository}"]
        for place in places:
            asked = self.access.at(f"/{place}", repository).entries("/hooks", GithubHook)
            seen = await if_seen(asked)
            hooks[place] = None if seen is None else [hook.meaning(place) for hook in seen]
        return hooks

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        async for page in self._deliveries(hook).pages("", list[_Sending]):
            for sending in page:
                if sending.delivered_at.timestamp() < since:
                    return
                yield sending.meaning()

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        sent = (await self._deliveries(hook).get(f"/{part(id_)}", _Sent)).request
        if sent.headers is None or sent.payload is None:
            return None
        headers = {name.lower(): str(value) for name, value in sent.headers.items()}
        # The API returns it as JSON, even if it was sent as a form.
        headers["content-type"] = "application/json"
        return Payload(headers, json.dumps(sent.payload).encode())

    async def redeliver(self, hook: Hook, id_: str) -> None:
        await self._deliveries(hook).ask("POST", f"/{part(id_)}/attempts")

    def _deliveries(self, hook: Hook) -> Resource:
        if hook.place == APP_HOOK:
            return self.access.as_app("/app/hook/deliveries")
        path = f"/{hook.place}/hooks/{part(hook.id)}/deliveries"
        return self.access.at(path, hook.place.removeprefix("repos/"))

    # ── those of the bridge's own ───────────────────────────────────────────

    async def hook_scope(self, kind: ScopeKind, name: str) -> Scope:
        if kind is ScopeKind.APP:
            if not self.access.is_app:
                raise Rejected("github: no App is set, so there is no webhook of one")
            return Scope(kind, "", str((await self.access.as_app("/app").get("", WithId)).id))
        if kind is ScopeKind.OWNER and self.access.is_app:
            raise Rejected(_AN_APP_CAN_NOT)
        return await super().hook_scope(kind, name)

    async def scopes_over(self, repository: str) -> list[Scope]:
        own, *owners = await super().scopes_over(repository)
        if self.access.is_app:
            return [own, await self.hook_scope(ScopeKind.APP, "")]
        return [own, *owners]

    async def hooks_at(self, scope: Scope) -> list[HostHook] | None:
        if scope.kind is not ScopeKind.APP:
            return await super().hooks_at(scope)
        config = await if_seen(self.access.as_app(_APP_CONFIG).get("", Config))
        if config is None:
            return None
        return [_managed_app_hook(scope, config)] if config.url else []

    async def create_hook(self, scope: Scope, url: str, secret: str) -> HostHook:
        if scope.kind is ScopeKind.APP:
            raise Rejected("github: an App has one webhook, which is made with it")
        if self.access.is_app:
            raise Rejected(_AN_APP_CAN_NOT)
        return await super().create_hook(scope, url, secret)

    async def change_hook(self, hook: HostHook, url: str, secret: str) -> HostHook:
        if hook.scope.kind is ScopeKind.OWNER:  # it takes only the whole list of events
            return await super().change_hook(hook, url, secret)
        if hook.scope.kind is ScopeKind.REPOSITORY:
            added = {"add_events": list(hook.missing), "config": _config(url, secret)}
            return await self._change_hook(hook, {"active": True, **added})
        place, body = self.access.as_app(_APP_CONFIG), _config(url, secret)
        return _managed_app_hook(hook.scope, await place.change("PATCH", "", Config, body))

    async def test_hook(self, hook: HostHook) -> bool:
        if hook.scope.kind is ScopeKind.APP:
            return False  # GitHub sends it no ping on request
        await self._scope(hook.scope).ask("POST", f"{self._path(hook)}/pings")
        return True

    async def delete_hook(self, hook: HostHook) -> None:
        if hook.scope.kind is ScopeKind.APP:
            raise Rejected("github: the webhook of an App goes with the App; delete that at GitHub")
        await super().delete_hook(hook)

    def _hook(self, url: str, secret: str) -> Mapping[str, Any]:
        return {"active": True, "events": [*EVENTS], "config": _config(url, secret)}

    def _owner(self, name: str) -> Resource:
        path = part(name)
        return self.access.at(f"/orgs/{path}", f"{path}/{path}")  # a token serves all


def _config(url: str, secret: str) -> Mapping[str, str]:
    return {"url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret}
