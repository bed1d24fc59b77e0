"""Sign in with GitHub: OAuth, then who that is, their verified address, and their teams.

GitHub is no OpenID provider for people.
https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

import logging
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from pydantic import Field, TypeAdapter, ValidationError

from bridge.core.access import Access, Person
from bridge.core.errors import Refused
from bridge.githosts.base.webhook import Model
from bridge.oauth.http import Asks, Client, Reply, tokens
from bridge.oauth.openid import name_of, outward, with_query
from bridge.ports.sign_in import Challenge, Returned, SignsIn

if TYPE_CHECKING:
    from bridge.githosts.github.settings import Github

log = logging.getLogger(__name__)

F = TypeVar("F")

TITLE = "GitHub"

GROUP = "github:@"


class _User(Model):
    login: str = Field(min_length=1, pattern=r"^[A-Za-z0-9_-]+$")
    id: int = Field(gt=0)
    name: str | None = None


class _Email(Model):
    email: str
    primary: bool = False
    verified: bool = False


class _Membership(Model):
    state: str


class _Refusal(Model):
    message: str


class GithubSignIn:
    """A `SignsIn` by GitHub's OAuth."""

    title = TITLE

    def __init__(self, asks: Asks, client: Client, web: str, api: str, access: Access) -> None:
        self._asks = asks
        self._client = client
        self._web = web
        self._api = api
        self._groups = sorted(name for name in access.named if name.startswith(GROUP))

    async def address(self, challenge: Challenge) -> str:
        scope = "user:email read:org" if self._groups else "user:email"
        asked = outward(self._client, challenge, scope)
        return with_query(f"{self._web}/login/oauth/authorize", asked)

    async def person(self, challenge: Challenge, returned: Returned) -> Person:
        endpoint = f"{self._web}/login/oauth/access_token"
        found = await tokens(self._asks, endpoint, self._client, challenge, returned)
        token = str(found["access_token"])
        user = _read(_User, await self._asks.get(f"{self._api}/user", token=token))
        groups = {group async for group in self._groups_of(user.login, token)}
        return Person(
            f"github:{user.login.lower()}",
            name_of(user.login),
            await self._email(token),
            frozenset(groups | {f"github:#{user.id}"}),
            member=False,
        )

    async def check(self) -> None:
        reply = await self._asks.get(f"{self._api}/app")
        try:
            refused = reply.status == 401 and bool(_Refusal.model_validate(reply.body).message)
        except ValidationError:
            refused = False
        if not refused:
            raise Refused(TITLE, "that is no API of GitHub: check github.api_url")

    async def _email(self, token: str) -> str | None:
        """Return the primary address, if it is verified and may be read."""
        reply = await self._asks.get(f"{self._api}/user/emails", token=token)
        if reply.status in (403, 404):
            log.warning(
                "GitHub does not show the addresses of who signs in, so grants to a domain do not"
                " count: give the App the account permission *Email addresses*: read"
            )
            return None
        emails = _read(list[_Email], reply)
        return next((known.email for known in emails if known.primary and known.verified), None)

    async def _groups_of(self, login: str, token: str) -> AsyncIterator[str]:
        """Yield those organisations and teams that grants name and that somebody is in."""
        for group in self._groups:
            org, _, team = group.removeprefix(GROUP).partition("/")
            path = (
                f"/orgs/{quote(org)}/teams/{quote(team)}/memberships/{quote(login)}"
                if team
                else f"/user/memberships/orgs/{quote(org)}"
            )
            reply = await self._asks.get(f"{self._api}{path}", token=token)
            if reply.status == 403:
                log.warning(
                    "GitHub does not say who is in %s, so grants to it do not count: give the App"
                    " the organisation permission *Members*: read and install it there, or have"
                    " the organisation approve the OAuth app",
                    group,
                )
            elif reply.status != 404 and _read(_Membership, reply).state == "active":
                yield group


def _read(form: type[F], reply: Reply) -> F:
    try:
        return TypeAdapter(form).validate_python(reply.body if reply.status == 200 else None)
    except ValidationError:
        raise Refused(TITLE, f"it answers {reply.status}, without what was asked for") from None


def opened(settings: "Github", access: Access) -> SignsIn | None:
    """Return the way to sign in; None if it is not set up."""
    from bridge.githosts.github.settings import web_url_of

    given = settings.sign_in
    if given.client_id is None or given.client_secret is None:
        return None
    client = Client(given.client_id, given.client_secret.get_secret_value(), "github.sign_in")
    web, api = web_url_of(settings).rstrip("/"), settings.api_url.rstrip("/")
    return GithubSignIn(Asks(TITLE, ca=settings.ca), client, web, api, access)
