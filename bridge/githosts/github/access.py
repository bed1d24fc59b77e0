"""Access to GitHub: its address, and the right token for each repository."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from pydantic import AwareDatetime, Field, SecretStr

from bridge.core.errors import NotFound, Refused, Rejected, Unanswered, Unreachable
from bridge.githosts.base.answers import Answer, read
from bridge.githosts.base.http import Access, Ask, Client, Resource, checked_base, checked_token
from bridge.githosts.base.pool import Bounds
from bridge.githosts.base.repos_api import named
from bridge.githosts.base.tokens import user_in
from bridge.githosts.base.webhook import Model
from bridge.ports.clock import Clock

API_URL = "https://api.github.com"

CHECKS = "checks"
"""The permission that only reading check runs needs."""

PERMISSIONS: Mapping[str, str] = {
    CHECKS: "read",
    "contents": "read",
    "deployments": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}
"""All permissions that the bridge needs; `manifests/github-app.json` requests the same."""

MOVES_BRANCHES: Mapping[str, str] = {"contents": "write"}
"""What pinned apps need beyond that; it is granted by hand, and used where it is granted."""

_RENEW_BEFORE = 300.0
"""Seconds before an installation token expires at which it is renewed; it lasts an hour."""

_SIGN_EVERY = 300.0
"""Seconds for which to reuse a signed proof; it is valid for nine minutes."""


APP = "app"
"""The rate limit account of requests as the App itself."""


class Credential(ABC):
    """Authenticates our requests to GitHub."""

    _login: str | None = None

    @abstractmethod
    async def token(self, client: Client, repository: str) -> str:
        """Return the token for a repository; raise the errors of `HostApi`."""

    @abstractmethod
    async def _asked_login(self, client: Client) -> str:
        """Ask for the author of our comments."""

    async def login(self, client: Client) -> str:
        """Return the author of our comments, e.g. "my-app[bot]"; look it up once."""
        if self._login is None:
            self._login = await self._asked_login(client)
        return self._login

    def account(self, repository: str) -> str:  # noqa: ARG002 - an App has several
        """Return the account whose rate limit requests about a repository count towards."""
        return ""

    def app_token(self) -> str | None:
        """Return the App's own proof, for its webhook; None if we are not an App."""
        return None

    def forget(self, repository: str) -> bool:  # noqa: ARG002 - an App has several
        """Drop a token that GitHub rejected; return False if no other can replace it."""
        return False


class TokenCredential(Credential):
    """A personal access token, classic or fine-grained."""

    def __init__(self, token: SecretStr) -> None:
        self._token = SecretStr(checked_token("github", token.get_secret_value()))

    async def token(self, client: Client, repository: str) -> str:  # noqa: ARG002 - the port's
        return self._token.get_secret_value()

    async def _asked_login(self, client: Client) -> str:
        answer = await client.ask(self._token.get_secret_value(), "GET", "/user")
        return user_in(answer, client.service)


class AppCredential(Credential):
    """A GitHub App: find its installation for each repository, and renew tokens in time."""

    def __init__(self, app_id: int, private_key: SecretStr, *, clock: Clock = time.time) -> None:
        from bridge.githosts.github.wire import app_jwt

        self.app_id = app_id
        try:
            self._sign = app_jwt(app_id, private_key.get_secret_value())
        except ValueError as error:
            raise Rejected(
                "github: the App's private key is not an RSA key in PEM, as downloaded from"
                f" GitHub ({error}); set BRIDGE_GITHUB_PRIVATE_KEY_FILE to that file"
            ) from None
        self._clock = clock
        self._installations: dict[str, _Installation] = {}
        self._tokens: dict[int, _Token] = {}
        self._one_at_a_time = asyncio.Lock()
        self._jwt = ("", 0.0)

    def jwt(self) -> str:
        """Return the App's proof; signing is slow, so reuse it for minutes."""
        if self._jwt[1] <= self._clock():
            self._jwt = (self._sign(), self._clock() + _SIGN_EVERY)
        return self._jwt[0]

    async def token(self, client: Client, repository: str) -> str:
        if (held := self._held(repository)) is not None:
            return held
        async with self._one_at_a_time:
            installation = await self._installation(client, repository)
            if (held := self._held(repository)) is not None:  # another call has renewed it
                return held
            return (await self._renewed(client, repository, installation)).token

    def account(self, repository: str) -> str:
        found = self._installations.get(repository.lower())
        return f"installation {found.id}" if found else ""

    def _held(self, repository: str) -> str | None:
        """Return the current token, if it is valid for some more minutes."""
        installation = self._installations.get(repository.lower())
        held = self._tokens.get(installation.id) if installation else None
        if held is None or held.expires_at.timestamp() - self._clock() < _RENEW_BEFORE:
            return None
        return held.token

    async def _asked_login(self, client: Client) -> str:
        answer = await client.ask(self.jwt(), "GET", "/app", account=APP)
        return f"{read(_App, answer, client.service).slug}[bot]"

    async def _installation(self, client: Client, repository: str) -> "_Installation":
        key = repository.lower()
        if (known := self._installations.get(key)) is not None:
            return known
        path = f"/repos/{repository}/installation"
        try:
            answer = await client.ask(self.jwt(), "GET", path, account=APP)
        except NotFound:
            raise NotFound(
                f"github: the App is not installed for {repository}; install it there, or add"
                " the repository to its installation"
            ) from None
        self._installations[key] = read(_Installation, answer, client.service)
        return self._installations[key]

    async def _renewed(
        self, client: Client, repository: str, installation: "_Installation"
    ) -> "_Token":
        path = f"/app/installations/{installation.id}/access_tokens"
        # It may have fewer permissions, and GitHub refuses more; then requests that need more
        # fail with GitHub's words.
        wanted, given = {**PERMISSIONS, **MOVES_BRANCHES}, installation.permissions
        granted = {
            name: "read" if given[name] == "read" else level
            for name, level in wanted.items()
            if name in given
        }
        body = {"permissions": granted}
        try:
            answer = await client.ask(self.jwt(), "POST", path, body=body, account=APP)
            held = read(_Token, answer, client.service, reads=False)
        except (NotFound, Refused):
            self.forget(repository)  # the installation was removed or changed: look it up again
            raise
        except Unanswered as error:
            # A surplus token is harmless, and the actual request was not sent.
            raise Unreachable(client.service, f"no token for {repository}: {error}") from error
        self._tokens[installation.id] = held
        return held

    def app_token(self) -> str | None:
        return self.jwt()

    def forget(self, repository: str) -> bool:
        if (found := self._installations.pop(repository.lower(), None)) is not None:
            self._tokens.pop(found.id, None)
        return True


class _App(Model):
    slug: str


class _Installation(Model):
    id: int
    permissions: dict[str, str]


class _Token(Model):
    token: str
    expires_at: Annotated[AwareDatetime, Field(strict=False)]  # a text, in JSON


SERVICE = "github"


class GithubAccess(Access):
    """Requests about repositories, each with the right token."""

    def __init__(
        self,
        credential: Credential,
        *,
        api_url: str = API_URL,
        ca: str | None = None,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        base, bounds = checked_base(SERVICE, api_url), bounds or Bounds()

        def wire() -> Any:
            from bridge.githosts.github.wire import GithubWire

            return GithubWire(base, ca=ca, silence=bounds.silence)

        remedy = "set BRIDGE_GITHUB_TOKEN, or BRIDGE_GITHUB_APP_ID and its key, to valid ones"
        super().__init__(Client(SERVICE, base, wire, remedy=remedy, bounds=bounds, clock=clock))
        self.credential = credential

    def place(self, repository: str) -> str:
        return f"/repos/{named(SERVICE, repository)}"

    def asker(self, repository: str) -> Ask:

        async def once(method: str, path: str, **others: Any) -> Answer:
            token = await self.credential.token(self.client, repository)
            account = self.credential.account(repository)
            return await self.client.ask(token, method, path, account=account, **others)

        async def ask(method: str, path: str, **others: Any) -> Answer:
            try:
                return await once(method, path, **others)
            except Refused as error:
                # An installation token expires early when the App's permissions change.
                if error.status != 401 or not self.credential.forget(repository):
                    raise
            return await once(method, path, **others)

        return ask

    @property
    def is_app(self) -> bool:
        """Whether we are an App."""
        return self.credential.app_token() is not None

    def as_app(self, path: str) -> Resource:
        """Return a part of the API, asked about as the App itself."""
        token = self.credential.app_token() or ""
        return Resource(
            self.client, partial(self.client.ask, token, account=APP), path, self._known
        )


# ── The bridge's GitHub App: its permissions, and the address of its webhook ──────────────────────

CHECK_EVENTS = ("check_run", "check_suite", "status")
"""The events that tell of checks."""

EVENTS = ("push", "pull_request", *CHECK_EVENTS)
"""All events that the bridge reads; `pull_request` for those opened after their pushes. `create`
would report each tag a second time."""


def github_manifest(url: str, name: str = "dokploy-bridge") -> dict[str, Any]:
    """Return the manifest of an App for a bridge at `url`, with minimal permissions."""
    return {
        "name": name,
        "url": url,
        "description": "Deploys pushes, and shows the results on pull requests and commits.",
        "public": False,
        "hook_attributes": {"url": f"{url}/hooks/github", "active": True},
        "callback_urls": [f"{url}/console/sign-in/github/back"],
        "default_permissions": dict(PERMISSIONS),
        "default_events": list(EVENTS),
    }


def registration_link(
    manifest: Mapping[str, Any], *, server: str = "https://github.com", org: str | None = None
) -> str:
    """Return a link to GitHub's form for a new App, filled in from the manifest.

    Args:
        org: the organisation to own it, instead of the person who opens the link.
    """
    owner = f"/organizations/{quote(org, safe='')}" if org else ""
    filled = {
        "name": manifest["name"],
        "url": manifest["url"],
        "description": manifest["description"],
        "public": "false",
        "webhook_active": "true",
        "webhook_url": manifest["hook_attributes"]["url"],
        "callback_urls[]": manifest["callback_urls"],
        "events[]": manifest["default_events"],
        **manifest["default_permissions"],
    }
    return f"{server.rstrip('/')}{owner}/settings/apps/new?{urlencode(filled, doseq=True)}"
