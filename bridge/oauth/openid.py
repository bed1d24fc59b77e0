"""Sign in by OpenID Connect: the way out, the way back, and a verified ID token.

PyJWT verifies signature, issuer, audience and times; the nonce is compared here.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from bridge.core.access import Access, Person
from bridge.core.errors import Refused, Rejected
from bridge.core.log_text import harmless
from bridge.oauth.discovery import Issuer, Metadata
from bridge.oauth.http import Asks, Client, NoTokenEndpoint, tokens
from bridge.ports.sign_in import Challenge, ClientRefused, Returned, SignsIn

LEEWAY = 60.0
"""Seconds by which the issuer's clock may differ."""

LONGEST_NAME = 80

LONGEST_SUBJECT = 255
"""As OpenID Connect Core 1.0, section 2, has it."""

_NOBODY = Challenge("http://localhost", "", "0" * 43, "")


@dataclass(frozen=True, slots=True)
class Claims:
    """What an issuer says of somebody: in the ID token, and where it says more (userinfo).

    The ID token wins.
    """

    token: Mapping[str, Any]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Their permanent id at the issuer."""
        return str(self.token["sub"])

    @property
    def email(self) -> str | None:
        """Their address; None unless the issuer has verified that very address."""
        for one in (self.token, self.more):
            if isinstance(email := one.get("email"), str) and one.get("email_verified") is True:
                return email
        return None

    def text(self, *names: str) -> str:
        """Return the first of these claims that is a text; "" if none is."""
        found = (one.get(name) for name in names for one in (self.token, self.more))
        return next((claim for claim in found if isinstance(claim, str) and claim), "")

    def texts(self, name: str) -> list[str]:
        """Return a claim that is a list of texts, or one."""
        found = self.token.get(name, self.more.get(name))
        listed = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        return [claim for claim in listed if isinstance(claim, str)]


class OpenId:
    """The bridge as a client of an issuer: a `SignsIn`, with a `person`."""

    def __init__(self, issuer: Issuer, client: Client, scopes: Iterable[str]) -> None:
        self.title = issuer.title
        self.issuer = issuer
        self.client = client
        self.scopes = " ".join(dict.fromkeys(("openid", *scopes)))

    async def address(self, challenge: Challenge) -> str:
        """Return where the browser signs in; see `SignsIn.address`."""
        about = await self.issuer.metadata()
        asked = outward(self.client, challenge, self.scopes) | {
            "response_type": "code",
            "nonce": challenge.nonce,
        }
        return with_query(about.authorization_endpoint, asked)

    async def check(self) -> None:
        """Read the metadata again, and try the client with a made-up code; see `SignsIn.check`."""
        about = await self.issuer.metadata(anew=True)
        try:
            await self._tokens(about, _NOBODY, Returned("0" * 32))
        except (ClientRefused, NoTokenEndpoint):
            raise
        except (Refused, Rejected):
            return  # the code, as it must

    async def claims(
        self, challenge: Challenge, returned: Returned, *, more: bool = True
    ) -> Claims:
        """Return what the issuer says of who signed in; see `SignsIn.person`.

        Args:
            more: ask the userinfo endpoint as well.
        """
        about, asks = await self.issuer.metadata(), self.issuer.asks
        if returned.issuer != self.issuer.address and (returned.issuer or about.names_itself):
            raise Refused(self.title, "another issuer has sent you back, so nobody was signed in")
        found = await self._tokens(about, challenge, returned)
        claims = await self._verified(found.get("id_token"), challenge.nonce)
        if not more or about.userinfo_endpoint is None:
            return Claims(claims)
        reply = await asks.get(about.userinfo_endpoint, token=str(found["access_token"]))
        if reply.status != 200:
            raise Refused(self.title, f"its userinfo answers {reply.status}")
        told = reply.fields
        if told.get("sub") != claims["sub"]:
            raise Refused(self.title, "its userinfo is that of somebody else")
        return Claims(claims, told)

    async def _tokens(
        self, about: Metadata, challenge: Challenge, returned: Returned
    ) -> Mapping[str, Any]:
        return await tokens(
            self.issuer.asks,
            about.token_endpoint,
            self.client,
            challenge,
            returned,
            auth=self.client.token_auth or about.token_auth,
        )

    async def _verified(self, token: Any, nonce: str) -> Mapping[str, Any]:
        """Return the claims of an ID token; raise Refused if anything is wrong with it."""
        title = self.title
        if not isinstance(token, str):
            raise Refused(title, "it sent no ID token: register the bridge for OpenID Connect")
        claims = await verified(token, self.issuer, self.client.id)
        given = claims.get("nonce")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
            raise Refused(title, "its ID token was made for another sign-in (nonce)")
        subject = claims["sub"]
        if not subject or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
            raise Refused(title, "its ID token has no usable subject (sub)")
        return claims


async def verified(token: str, issuer: Issuer, audience: str) -> Mapping[str, Any]:
    """Return the claims of an ID token; raise Refused, which says what is wrong without them."""
    import jwt

    accepted = (await issuer.metadata()).accepted
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in accepted:
            raise jwt.InvalidAlgorithmError
        key_id = header.get("kid")
        key = await issuer.key(key_id)
        try:
            claims = _decoded(token, key, header["alg"], issuer.address, audience)
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError, jwt.PyJWKError):
            key = await issuer.key(key_id, unlike=key)
            claims = _decoded(token, key, header["alg"], issuer.address, audience)
    except jwt.PyJWTError as error:
        raise Refused(issuer.title, f"its ID token is not valid: {_why(error)}") from None
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else audience) != audience:
        raise Refused(issuer.title, "its ID token is not valid: it was issued to another client")
    return claims


def _decoded(
    token: str, key: Mapping[str, Any], algorithm: str, issuer: str, audience: str
) -> dict[str, Any]:
    import jwt

    claims: dict[str, Any] = jwt.PyJWT({"enforce_minimum_key_length": True}).decode(
        token,
        jwt.PyJWK(dict(key), algorithm),
        algorithms=[algorithm],
        audience=audience,
        issuer=issuer,
        leeway=LEEWAY,
        options={"require": ["iss", "sub", "aud", "exp", "iat"]},
    )
    return claims


def _why(error: Exception) -> str:
    """Return what is wrong with a token; the library's own words may quote it."""
    words = {
        "InvalidAlgorithmError": "it is signed with an algorithm that is not accepted",
        "InvalidKeyError": "its key can't be used with its algorithm, or is too short",
        "PyJWKError": "its key can't be used with its algorithm",
        "InvalidSignatureError": "its signature is wrong",
        "ExpiredSignatureError": "it has expired; do the clocks agree?",
        "ImmatureSignatureError": "it is from the future; do the clocks agree?",
        "InvalidAudienceError": "it is for another client",
        "InvalidIssuerError": "it is by another issuer",
        "MissingRequiredClaimError": "a claim is missing",
    }
    return words.get(type(error).__name__, "it can't be read")


# ── what every way out has ───────────────────────────────────────────────────────────────────────


def outward(client: Client, challenge: Challenge, scope: str) -> dict[str, str]:
    """Return the parameters of an authorization request, with PKCE."""
    digest = sha256(challenge.verifier.encode()).digest()
    return {
        "client_id": client.id,
        "redirect_uri": challenge.back,
        "scope": scope,
        "state": challenge.state,
        "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Return an address with these parameters, besides its own."""
    return f"{url}{'&' if '?' in url else '?'}{urlencode(parameters)}"


def name_of(*texts: str) -> str:
    """Return the first of several names that is not empty, on one line."""
    clean = (" ".join(harmless(text, unseen=" ").split())[:LONGEST_NAME] for text in texts)
    return next((name for name in clean if name), "")


# ── Any provider, as `console.oidc` names it ──────────────────────────────────────────────────────


class OidcSignIn(OpenId):
    """A `SignsIn` by an ID token."""

    def __init__(self, issuer: Issuer, client: Client, section: Any, access: Access) -> None:
        super().__init__(issuer, client, section.scopes)
        self._groups_claim = section.groups_claim
        self._access = access

    async def person(self, challenge: Challenge, returned: Returned) -> Person:
        claims = await self.claims(challenge, returned)
        subject = claims.subject
        if subject.startswith("@"):
            raise Refused(self.title, "its ID token has a subject (sub) that looks like a group's")
        groups = {f"oidc:@{group}" for group in claims.texts(self._groups_claim)}
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
    return OidcSignIn(issuer, client, section, access)
