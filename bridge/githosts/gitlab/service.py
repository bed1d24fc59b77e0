"""All of GitLab's API, built from its settings; with the requests for catching up.

GitLab keeps a webhook's events for seven days, retries none by itself, and disables a webhook
that fails too often.
https://docs.gitlab.com/api/project_webhooks/
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from pydantic import SecretStr, TypeAdapter

from bridge.core.errors import NotFound, Refused
from bridge.githosts.access import Heads
from bridge.githosts.answers import Answer, read
from bridge.githosts.gitlab.access import SERVICE, GitlabAccess
from bridge.githosts.gitlab.api import GitlabApi
from bridge.githosts.gitlab.branches import GitlabMovesBranches
from bridge.githosts.gitlab.ci import GitlabReadsChecks
from bridge.githosts.gitlab.hooks import EVENTS, GitlabMakesHooks
from bridge.githosts.http import part
from bridge.githosts.pool import Bounds
from bridge.githosts.webhook import Model
from bridge.ports.githosts import Hook, Payload, Sending, TagAt

_EVENTS = 20
"""Events per page, GitLab's maximum."""

_LOOKED_AT = 1000
"""The most events to read of a webhook; they have no times, so nothing else limits the search."""


GROUP = "group "
"""The beginning of a group's place; no project's path has a space."""


class GitlabHooks:
    """Webhooks of a project; a `Redelivers`."""

    def __init__(self, access: GitlabAccess) -> None:
        self._access = access
        self._heads = Heads(access.ask)

    async def hooks(self, repository: str) -> list[Hook]:
        return await self._listed(repository) or []

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        return {repository: await self._listed(repository)} | {
            f"{GROUP}{one}": await self._of_group(one) for one in _groups_of(repository)
        }

    async def _listed(self, repository: str) -> list[Hook] | None:
        """Return a project's webhooks; None if the credential may not see them."""
        found: list[Hook] = []
        try:
            async for answer in self._access.pages(repository, "/hooks"):
                hooks = read(_HOOKS, "/hooks", answer, SERVICE, reads=True)
                found += [one.meaning(repository) for one in hooks]
        except Refused as error:
            if error.status != 403:  # only maintainers see webhooks
                raise
            return None
        return found

    async def _of_group(self, group: str) -> list[Hook] | None:
        """Return a group's webhooks; None if it is no group, or its owners alone see them."""
        path, found = f"/groups/{part(group)}/hooks", list[Hook]()
        try:
            async for answer in self._access.client.pages(self._access.asker(group), path):
                hooks = read(_HOOKS, path, answer, SERVICE, reads=True)
                found += [replace(one.meaning(f"{GROUP}{group}"), speaks_for=None) for one in hooks]
        except NotFound:
            return None
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:  # noqa: ARG002 - GitLab reports no times
        path, seen = f"{self._place(hook)}/hooks/{part(hook.id)}/events", 0
        ask = self._access.asker(hook.place)
        async for answer in self._access.client.pages(ask, path, query={"per_page": _EVENTS}):
            for one in read(_SENDINGS, path, answer, SERVICE, reads=True):
                yield one.meaning()
            if (seen := seen + _EVENTS) >= _LOOKED_AT:
                return

    def _place(self, hook: Hook) -> str:
        """Return the path of a webhook's owner: a project or a group."""
        group = hook.place.removeprefix(GROUP)
        if group != hook.place:
            return f"/groups/{part(group)}"
        return self._access.place(hook.place)

    async def payload(self, hook: Hook, id_: str) -> Payload:
        async for one in self.sendings(hook, 0.0):
            if one.id == id_ and one.payload is not None:
                return one.payload
        raise NotFound(f"gitlab no longer has the event {id_[:50]} of webhook {hook.id}")

    async def redeliver(self, hook: Hook, id_: str) -> None:
        """Have GitLab resend it; raise Unreachable beyond five a minute."""
        path = f"/hooks/{part(hook.id)}/events/{part(id_)}/resend"
        await self._access.ask(hook.place, "POST", path)

    async def head(self, repository: str, branch: str) -> str | None:
        path = f"/repository/branches/{part(branch)}"

        def commit_of(answer: Answer) -> str:
            return read(_BRANCH, path, answer, SERVICE, reads=True).commit.id

        return await self._heads.head(repository, branch, path, commit_of)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        path, query = "/repository/tags", {"order_by": "updated", "sort": "desc"}
        found: list[TagAt] = []
        async for answer in self._access.pages(repository, path, query=query):
            tags = read(_TAGS, path, answer, SERVICE, reads=True)
            found += [TagAt(tag.name, tag.commit.id) for tag in tags]
            if len(found) >= limit:
                break
        return found[:limit]


def _groups_of(repository: str) -> list[str]:
    """Return the groups above a project, given its path; none for its number."""
    parts = repository.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


class _Hook(Model):
    id: int
    url: str
    alert_status: str | None = None
    disabled_until: str | None = None
    push_events: bool = True
    tag_push_events: bool = True
    merge_requests_events: bool = True
    pipeline_events: bool = True
    enable_ssl_verification: bool = True

    def meaning(self, place: str) -> Hook:
        # With custom templates and headers a maintainer can change a payload at will.
        return Hook(
            place,
            str(self.id),
            self.url,
            self._trouble(),
            speaks_for=place,
            events=frozenset(one for one in EVENTS if getattr(self, one)),
            verifies_tls=self.enable_ssl_verification,
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


class _Commit(Model):
    id: str


class _Named(Model):
    name: str
    commit: _Commit


_HOOKS, _SENDINGS = TypeAdapter(list[_Hook]), TypeAdapter(list[_Sending])
_BRANCH, _TAGS = TypeAdapter(_Named), TypeAdapter(list[_Named])


# ── the whole ───────────────────────────────────────────────────────────────────────────────────


class Gitlab(GitlabApi, GitlabHooks, GitlabMakesHooks, GitlabReadsChecks, GitlabMovesBranches):
    """All of GitLab's API that the bridge uses.

    A `HostApi` that is `Redelivers`, `ManagesHooks`, `ReadsChecks` and `MovesBranches`.
    """

    def __init__(self, access: GitlabAccess) -> None:
        self.access = access
        GitlabApi.__init__(self, access)
        GitlabHooks.__init__(self, access)
        GitlabMakesHooks.__init__(self, access)
        GitlabReadsChecks.__init__(self, access)


def gitlab_api(
    *,
    token: SecretStr | None = None,
    url: str = "https://gitlab.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Gitlab | None:
    """Return GitLab's API; None if no token is set.

    Raises:
        Rejected: a setting is unusable.
    """
    return None if token is None else Gitlab(GitlabAccess(token, url=url, ca=ca, bounds=bounds))
