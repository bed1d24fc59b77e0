"""All of GitHub's API, built from its settings; with the requests for catching up.

GitHub keeps deliveries for three days and never retries one by itself.
https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook
"""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, SecretStr, TypeAdapter

from bridge.core.errors import NotFound, Refused, Rejected
from bridge.githosts.access import Heads
from bridge.githosts.answers import Answer, read
from bridge.githosts.github.access import (
    SERVICE,
    AppCredential,
    Credential,
    GithubAccess,
    TokenCredential,
    named,
)
from bridge.githosts.github.api import GithubApi
from bridge.githosts.github.branches import GithubMovesBranches
from bridge.githosts.github.ci import GithubReadsChecks
from bridge.githosts.github.hooks import GithubMakesHooks
from bridge.githosts.http import Ask, part
from bridge.githosts.pool import Bounds
from bridge.githosts.webhook import Model
from bridge.ports.githosts import Hook, Payload, Sending, TagAt, all_in

APP_HOOK = "app"
"""The place of a GitHub App's only webhook."""


class GithubHooks:
    """Webhooks of a repository, its organisation and the App; a `Redelivers`."""

    def __init__(self, access: GithubAccess) -> None:
        self._access = access
        self._heads = Heads(access.ask)

    async def hooks(self, repository: str) -> list[Hook]:
        return all_in(await self.hooks_by_place(repository))

    async def hooks_by_place(self, repository: str) -> dict[str, list[Hook] | None]:
        found: dict[str, list[Hook] | None] = {}
        if self._access.credential.app_token() is not None:
            found[APP_HOOK] = await self._app_hook()
        else:  # an installation token covers only its installation
            place = f"orgs/{named(repository).partition('/')[0]}"
            found[place] = await self._listed(place, repository)
        place = f"repos/{named(repository)}"
        return {**found, place: await self._listed(place, repository)}

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        path = f"{_path(hook)}/deliveries"
        async for answer in self._access.client.pages(self._asker(hook), path):
            for one in read(_SENDINGS, path, answer, SERVICE, reads=True):
                if one.delivered_at.timestamp() < since:
                    return
                yield one.meaning()

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        path = f"{_path(hook)}/deliveries/{part(id_)}"
        answer = await self._asker(hook)("GET", path)
        sent = read(_SENT, path, answer, SERVICE, reads=True).request
        if sent.headers is None or sent.payload is None:
            return None
        headers = {name.lower(): str(value) for name, value in sent.headers.items()}
        # The API returns it as JSON, even if it was sent as a form.
        headers["content-type"] = "application/json"
        return Payload(headers, json.dumps(sent.payload).encode())

    async def redeliver(self, hook: Hook, id_: str) -> None:
        path = f"{_path(hook)}/deliveries/{part(id_)}/attempts"
        await self._asker(hook)("POST", path)

    async def head(self, repository: str, branch: str) -> str | None:
        path = f"/branches/{part(branch)}"

        def commit_of(answer: Answer) -> str | None:
            found = read(_BRANCH, path, answer, SERVICE, reads=True)
            # A renamed repository: GitHub redirects to its new name.
            return found.commit.sha if found.name == branch else None

        return await self._heads.head(repository, branch, path, commit_of)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        found: list[TagAt] = []
        async for answer in self._access.pages(repository, "/tags"):
            tags = read(_TAGS, "/tags", answer, SERVICE, reads=True)
            found += [TagAt(tag.name, tag.commit.sha) for tag in tags]
            if len(found) >= limit:
                break
        return found[:limit]

    async def _app_hook(self) -> list[Hook]:
        answer = await self._access.as_the_app("GET", "/app/hook/config")
        config = read(_CONFIG, "/app/hook/config", answer, SERVICE, reads=True)
        return [config.hook(APP_HOOK, APP_HOOK)] if config.url else []

    async def _listed(self, place: str, repository: str) -> list[Hook] | None:
        """Return the webhooks of a place; None if the credential may not see them."""
        path, found = f"/{place}/hooks", list[Hook]()
        try:
            async for answer in self._access.client.pages(self._access.asker(repository), path):
                hooks = read(_HOOKS, path, answer, SERVICE, reads=True)
                found += [one.meaning(place) for one in hooks]
        except NotFound:
            return None
        except Refused as error:
            if error.status != 403:
                raise
            return None
        return found

    def _asker(self, hook: Hook) -> Ask:
        if hook.place == APP_HOOK:
            return self._access.as_the_app
        return self._access.asker(hook.place.removeprefix("repos/"))


def _path(hook: Hook) -> str:
    return "/app/hook" if hook.place == APP_HOOK else f"/{hook.place}/hooks/{part(hook.id)}"


_Stamp = Annotated[AwareDatetime, Field(strict=False)]


class _Config(Model):
    url: str | None = None
    content_type: str | None = None
    insecure_ssl: str | float | None = None
    secret: str | None = None

    def hook(self, place: str, id_: str) -> Hook:
        """Return the webhook; GitHub shows its secret as asterisks, and omits an empty one."""
        return Hook(
            place,
            id_,
            self.url,
            content_type=self.content_type or "form",
            verifies_tls=str(self.insecure_ssl or 0) == "0",
            signed=bool(self.secret),
        )


class _Hook(Model):
    id: int
    active: bool = True
    events: list[str] | None = None
    config: _Config

    def meaning(self, place: str) -> Hook:
        return replace(
            self.config.hook(place, str(self.id)),
            trouble=None if self.active else "it is switched off at GitHub",
            events=None if self.events is None else frozenset(self.events),
        )


class _Sending(Model):
    id: int
    guid: str
    event: str
    delivered_at: _Stamp
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


class _Commit(Model):
    sha: str


class _Named(Model):
    name: str
    commit: _Commit


_CONFIG, _HOOKS = TypeAdapter(_Config), TypeAdapter(list[_Hook])
_SENDINGS, _SENT = TypeAdapter(list[_Sending]), TypeAdapter(_Sent)
_BRANCH, _TAGS = TypeAdapter(_Named), TypeAdapter(list[_Named])


# ── the whole ───────────────────────────────────────────────────────────────────────────────────


class Github(GithubApi, GithubHooks, GithubMakesHooks, GithubReadsChecks, GithubMovesBranches):
    """All of GitHub's API that the bridge uses.

    A `HostApi` that is `Redelivers`, `ManagesHooks`, `ReadsChecks` and `MovesBranches`.
    """

    def __init__(self, access: GithubAccess) -> None:
        self.access = access
        GithubApi.__init__(self, access)
        GithubHooks.__init__(self, access)
        GithubMakesHooks.__init__(self, access)
        GithubReadsChecks.__init__(self, access)
        GithubMovesBranches.__init__(self, access)


def github_api(
    *,
    token: SecretStr | None = None,
    app_id: int | None = None,
    private_key: SecretStr | None = None,
    api_url: str = "https://api.github.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Github | None:
    """Return GitHub's API, with a token or as an App; None if neither is set.

    Raises:
        Rejected: a setting is unusable.
    """
    credential = credential_of(token, app_id, private_key)
    if credential is None:
        return None
    return Github(GithubAccess(credential, api_url=api_url, ca=ca, bounds=bounds))


def credential_of(
    token: SecretStr | None, app_id: int | None, private_key: SecretStr | None
) -> Credential | None:
    """Return the credential that is set; None if there is none; raise Rejected for a half one."""
    if (app_id is None) != (private_key is None):
        missing = "PRIVATE_KEY" if private_key is None else "APP_ID"
        raise Rejected(f"a GitHub App needs both an id and a key: set BRIDGE_GITHUB_{missing}")
    if app_id is None or private_key is None:
        return None if token is None else TokenCredential(token)
    if token is not None:
        raise Rejected("a GitHub App and BRIDGE_GITHUB_TOKEN are both set: unset one of them")
    return AppCredential(app_id, private_key)
