"""Sign in with any OpenID Connect provider, as `console.oidc` names it."""

from typing import Any

from bridge.core.access import Access, Person
from bridge.core.errors import Refused
from bridge.oauth.discovery import Issuer
from bridge.oauth.http import Asks, Client
from bridge.oauth.openid import OpenId, name_of
from bridge.ports.sign_in import Challenge, Returned, SignsIn


class OidcSignIn:
    """A `SignsIn` by an ID token."""

    def __init__(self, openid: OpenId, groups_claim: str, access: Access) -> None:
        self.title = openid.issuer.title
        self._openid = openid
        self._groups_claim = groups_claim
        self._access = access

    async def address(self, challenge: Challenge) -> str:
        return await self._openid.address(challenge)

    async def check(self) -> None:
        await self._openid.check()

    async def person(self, challenge: Challenge, returned: Returned) -> Person:
        claims = await self._openid.claims(challenge, returned)
        subject = claims.subject
        if subject.startswith("@"):
            raise Refused(self.title, "its ID token has a subject (sub) that looks like a group's")
        groups = {f"oidc:@{one}" for one in claims.texts(self._groups_claim)}
        return Person(
            f"oidc:{subject}",
            name_of(claims.text("name", "preferred_username"), subject),
            claims.email,
            self._access.named & groups,
            member=False,
        )


def opened(section: Any, access: Access) -> SignsIn | None:
    """Return the way to sign in; None if it is not set up."""
    if section.issuer is None:
        return None
    asks = Asks(section.title, ca=section.ca)
    client = Client(
        section.client_id,
        section.client_secret.get_secret_value(),
        "console.oidc",
        section.token_auth,
        "console.oidc.token_auth",
    )
    issuer = Issuer(asks, section.issuer, "console.oidc.issuer")
    return OidcSignIn(OpenId(issuer, client, section.scopes), section.groups_claim, access)
