"""How GitHub is connected: by an App that the bridge registers, or with a token.

The App's registration from a manifest:
https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from pydantic import AliasPath, Field, ValidationError

from bridge.connecting.clients import http_client
from bridge.core.errors import Refused, Rejected, Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.githosts.base.tokens import has_token
from bridge.githosts.base.webhook import Model
from bridge.githosts.github.access import SERVICE, GithubAccess, github_manifest
from bridge.ports.setup import Registration, Setup, SetupField

if TYPE_CHECKING:
    from bridge.githosts.github.settings import Github


LARGEST = 2**20
"""Bytes of an answer; GitHub's has some 10 KB."""

SHOWN = 12
"""Repositories or owners that are named."""


_SIGN_IN = ("sign_in.client_id", "sign_in.client_secret")
"""Where the App's own client goes: people sign in to the console with it."""


class _Registered(Model):
    id: int = Field(gt=0)
    slug: str
    pem: str
    webhook_secret: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class _Installed(Model):
    login: str = Field(validation_alias=AliasPath("account", "login"))


class _Refusal(Model):
    message: str


def _manifest(public_url: str, name: str) -> Mapping[str, Any]:
    return github_manifest(public_url, name) | {
        "redirect_url": f"{public_url}/setup/github",
        "setup_url": f"{public_url}/setup",
        "setup_on_update": False,
    }


def _action(settings: "Github", org: str, state: str) -> str:
    from bridge.githosts.github.settings import web_url_of

    owner = f"/organizations/{quote(org, safe='')}" if org else ""
    web = web_url_of(settings).rstrip("/")
    return f"{web}{owner}/settings/apps/new?{urlencode({'state': state})}"


async def _redeem(settings: "Github", code: str) -> Mapping[str, str]:
    """Exchange the code of a registration, which works once and for an hour."""
    path = f"/app-manifests/{quote(code, safe='')}/conversions"
    status, body = await _ask(settings, "POST", path)
    if status in (404, 422):
        raise Rejected(
            "GitHub no longer knows that registration: its code works once and for an hour;"
            " register the App again"
        )
    if status != 201:
        raise Refused(SERVICE, f"it answers {status} to the registration's code")
    try:
        found = _Registered.model_validate_json(body)
    except ValidationError:
        raise Refused(SERVICE, "its answer has no App's id and key") from None
    secret = {"webhook_secrets": found.webhook_secret} if found.webhook_secret else {}
    signs_in: Mapping[str, str] = {}
    if found.client_id and found.client_secret:
        signs_in = dict(zip(_SIGN_IN, (found.client_id, found.client_secret), strict=True))
    return {"app_id": str(found.id), "private_key": found.pem, **secret, **signs_in}


async def _ask(settings: "Github", method: str, path: str) -> tuple[int, bytes]:
    """Return the status and the body of an answer to a request without a credential."""
    import httpx

    url = f"{settings.api_url.rstrip('/')}{path}"
    headers = {"Accept": "application/vnd.github+json"}
    try:
        async with (
            http_client(url, ca=settings.ca, headers=headers) as client,
            client.stream(method, url) as answer,
        ):
            body = b""
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise Refused(SERVICE, "its answer is too large to be one of GitHub")
    except (httpx.HTTPError, OSError) as error:
        raise Unreachable(SERVICE, why_not_connected(error) or type(error).__name__) from None
    return answer.status_code, body


async def _then(settings: "Github") -> str:
    """Return the page that installs the App."""
    from bridge.githosts.github.settings import web_url_of

    if settings.app_id is None:
        raise Rejected("GitHub is connected with a token, so there is no App to install")
    async with _access(settings) as access:
        slug = (await access.credential.login(access.client)).removesuffix("[bot]")
    return f"{web_url_of(settings).rstrip('/')}/apps/{quote(slug)}/installations/new"


async def _is_there(settings: "Github") -> Sequence[str]:
    """Return that a server is GitHub's: it refuses, as GitHub does, who has no credential."""
    status, body = await _ask(settings, "GET", "/app")
    try:
        refused = status == 401 and bool(_Refusal.model_validate_json(body).message)
    except ValidationError:
        refused = False
    if not refused:
        raise Refused(SERVICE, "that is no API of GitHub: its address is like https://HOST/api/v3")
    return ("GitHub answers; register an App there, or give a token",)


async def _tries(_name: str, settings: "Github") -> Sequence[str]:
    if not (settings.token or settings.private_key) and "api_url" in settings.model_fields_set:
        return await _is_there(settings)
    async with _access(settings) as access:
        login = await access.credential.login(access.client)
        if not access.is_app:
            return (f"GitHub answers and accepts the token of {login}",)
        installed = await access.as_app("/app/installations").get("", list[_Installed])
        owners = [installation.login for installation in installed]
    app = login.removesuffix("[bot]")
    if not owners:
        return (f"the App {app} is registered, but not installed yet: install it",)
    return (f"the App {app} is installed for {', '.join(sorted(owners)[:SHOWN])}",)


@asynccontextmanager
async def _access(settings: "Github") -> AsyncIterator[GithubAccess]:
    from bridge.githosts.github.api import credential_of

    credential = credential_of(settings.token, settings.app_id, settings.private_key)
    if credential is None:
        raise Rejected("register a GitHub App, or give a token")
    access = GithubAccess(credential, api_url=settings.api_url, ca=settings.ca)
    try:
        yield access
    finally:
        await access.client.close()


SETUP = Setup(
    gives="deploys on a push, and shows the result on the pull request and the commit",
    credentials=("private_key", "token"),
    fields=(
        SetupField(
            "api_url",
            "API address",
            "only for GitHub Enterprise Server: https://HOST/api/v3; save it first, then register"
            " the App",
            optional=True,
            example="https://github.example.com/api/v3",
        ),
        SetupField(
            "token",
            "Token",
            "instead of an App: a fine-grained token with contents: read, pull requests, commit"
            " statuses and deployments: write",
            secret=True,
            optional=True,
        ),
    ),
    tries=_tries,
    makes_webhooks=has_token,
    register=Registration(
        button="Register a GitHub App",
        then_button="Choose its repositories",
        manifest=_manifest,
        action=_action,
        stores=("app_id", "private_key", "webhook_secrets", *_SIGN_IN),
        redeem=_redeem,
        then=_then,
    ),
)
