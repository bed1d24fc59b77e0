"""GitLab's webhooks, of projects and groups, and what they have sent.

GitLab keeps a webhook's events for seven days, retries none by itself, and disables a webhook
that fails too often.
https://docs.gitlab.com/api/project_webhooks/, https://docs.gitlab.com/api/group_webhooks/
"""

import json
from abc import ABC
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from bridge.core.errors import NotFound, Refused
from bridge.core.hooks import HostHook, Scope, ScopeKind
from bridge.githosts.base.api import Api, HookForm, Query, if_seen
from bridge.githosts.base.http import Resource, part
from bridge.githosts.base.webhook import Model
from bridge.githosts.gitlab.webhooks import tokens_in
from bridge.ports.githosts import Hook, Payload, Sending

EVENTS = ("push_events", "tag_push_events", "merge_requests_events", "pipeline_events")
"""The events that the bridge asks for; it also reads `job_events`, of which there are many more."""

GROUP = "group "
"""The beginning of a group's place; no project's path has a space."""

_TEST = "resource_access_token_events"
"""The test event that every project can send and no bridge decides. Testing a push would send the
newest one again, which may deploy."""

_PAGE = 20
"""Events per page, GitLab's maximum."""

_LOOKED_AT = 1000
"""The most events to read of a webhook; they have no times, so nothing else limits the search."""


class _Hook(HookForm):
    url: str
    push_events: bool | None = None
    tag_push_events: bool | None = None
    merge_requests_events: bool | None = None
    pipeline_events: bool | None = None
    enable_ssl_verification: bool = True
    alert_status: str | None = None
    disabled_until: str | None = None
    signing_token_present: bool = False

    def meaning(self, place: str) -> Hook:
        # With custom templates and headers a maintainer can change a payload at will.
        return Hook(
            place,
            str(self.id),
            self.url,
            self._trouble(),
            speaks_for=place,
            events=frozenset(event for event in EVENTS if getattr(self, event) is not False),
            verifies_tls=self.enable_ssl_verification,
        )

    def managed(self, scope: Scope) -> HostHook:
        return HostHook(
            scope,
            str(self.id),
            self.url,
            missing=tuple(event for event in EVENTS if not getattr(self, event)),
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


class _Sending(Model):
    id: int
    trigger: str
    request_headers: dict[str, Any]
    request_data: dict[str, Any]
    response_status: str

    def meaning(self) -> Sending:
        headers = {name.lower(): str(value) for name, value in self.request_headers.items()}
        return Sending(
            id=str(self.id),
            delivery=headers.get("webhook-id") or headers.get("idempotency-key"),
            event=headers.get("x-gitlab-event", self.trigger),
            at=None,
            answered=self.response_status.startswith("2"),
            words=self.response_status[:100],
            payload=Payload(headers, json.dumps(self.request_data).encode()),
        )


class GitlabHooks(Api, ABC):
    """GitLab's webhooks; a `ManagesHooks` that `Redelivers`."""

    owner = "projects or a group"
    owners = "/groups"
    owner_query: ClassVar[Query] = {"with_projects": "false"}
    hook_form = _Hook
    changes_hook = "PUT"

    # ── those that there are, and what they have sent ───────────────────────

    async def hooks(self, repository: str) -> list[Hook]:
        return await self._hooks_of(repository) or []

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        above = repository.split("/")[:-1]  # a project's number has no groups
        groups = ["/".join(above[:end]) for end in range(len(above), 0, -1)]
        return {repository: await self._hooks_of(repository)} | {
            f"{GROUP}{group}": await self._of_group(group) for group in groups
        }

    async def _of_group(self, group: str) -> list[Hook] | None:
        """Return a group's webhooks; None if it is no group, or its owners alone see them."""
        hooks = await if_seen(self._owner(group).entries("/hooks", _Hook))
        if hooks is None:
            return None
        return [replace(hook.meaning(f"{GROUP}{group}"), speaks_for=None) for hook in hooks]

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:  # noqa: ARG002 - GitLab reports no times
        group = hook.place.removeprefix(GROUP)
        place = self.access.of(group) if group == hook.place else self._owner(group)
        path, seen = f"/hooks/{part(hook.id)}/events", 0
        async for page in place.pages(path, list[_Sending], {"per_page": _PAGE}):
            for sending in page:
                yield sending.meaning()
            if (seen := seen + _PAGE) >= _LOOKED_AT:
                return

    async def payload(self, hook: Hook, id_: str) -> Payload:
        async for sending in self.sendings(hook, 0.0):
            if sending.id == id_ and sending.payload is not None:
                return sending.payload
        raise NotFound(f"gitlab no longer has the event {id_[:50]} of webhook {hook.id}")

    async def redeliver(self, hook: Hook, id_: str) -> None:
        """Have GitLab resend it; raise Unreachable beyond five a minute."""
        path = f"/hooks/{part(hook.id)}/events/{part(id_)}/resend"
        await self.access.of(hook.place).ask("POST", path)

    # ── those of the bridge's own ───────────────────────────────────────────

    async def test_hook(self, hook: HostHook) -> bool:
        try:
            await self._scope(hook.scope).ask("POST", f"{self._path(hook)}/test/{_TEST}")
        except (NotFound, Refused):  # an older GitLab knows no such test
            return False
        return True

    def _hook(self, url: str, secret: str) -> Mapping[str, Any]:
        """Return a whole webhook; a GitLab before 19.0 ignores the signing token."""
        tokens, signing = tokens_in(secret)
        return {
            "url": url,
            "token": tokens[0] if tokens else "",
            **({"signing_token": signing[0]} if signing else {}),
            "enable_ssl_verification": True,
            **dict.fromkeys(EVENTS, True),
        }

    def _scope(self, scope: Scope) -> Resource:
        named = scope.id or scope.name
        return self._owner(named) if scope.kind is ScopeKind.OWNER else self.access.of(named)
