"""Services that people sign in with: an OpenID provider, and GitHub's OAuth.

They check what they are sent: the client, the callback address, PKCE, and that a code is used
once. A test makes them lie: `forge` makes the ID token, `instead` answers a path otherwise.
"""

import base64
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import BasicAuth, web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.fakes.serving import served

CLIENT, SECRET = "the-bridge", "a-client-secret-of-the-tests"


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A private key, the same for each name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(name: str = "k1") -> dict[str, Any]:
    """A public key as issuers publish it."""
    shown: dict[str, Any] = RSAAlgorithm.to_jwk(key(name).public_key(), as_dict=True)
    return shown | {"kid": name, "use": "sig", "alg": "RS256"}


def signed(claims: dict[str, Any], name: str = "k1") -> str:
    """An ID token, as an issuer makes it."""
    return jwt.encode(claims, key(name), "RS256", headers={"kid": name})


@dataclass(frozen=True)
class Grant:
    """A code that was given to a browser."""

    client: str
    back: str
    challenge: str
    nonce: str


@dataclass
class Codes:
    """Codes of authorization requests, each good once.

    Attributes:
        registered: the callback addresses; None for any.
        declines: whoever is asked says no.
    """

    registered: set[str] | None = None
    declines: bool = False
    scopes: list[str] = field(default_factory=list)
    given: dict[str, Grant] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def authorize(self, query: Any, **more: str) -> web.Response:
        """Send the browser back with a code."""
        if query.get("client_id") != CLIENT or query.get("code_challenge_method") != "S256":
            return web.Response(status=400, text="no such client, or no PKCE")
        back = query["redirect_uri"]
        if self.registered is not None and back not in self.registered:
            return web.Response(status=400, text="redirect_uri_mismatch")
        self.scopes.append(query["scope"])
        if self.declines:
            found = {"error": "access_denied", "state": query["state"]}
        else:
            code = uuid.uuid4().hex
            nonce = query.get("nonce", "")
            self.given[code] = Grant(CLIENT, back, query["code_challenge"], nonce)
            found = {"code": code, "state": query["state"]}
        return web.Response(status=302, headers={"Location": f"{back}?{urlencode(found | more)}"})

    async def redeem(self, request: web.Request) -> Grant | str:
        """Return what a code was given for, or the error."""
        form = await request.post()
        client, secret = form.get("client_id"), form.get("client_secret")
        if header := request.headers.get("Authorization"):
            basic = BasicAuth.decode(header)
            client, secret = basic.login, basic.password
        if (client, secret) != (CLIENT, SECRET):
            return "invalid_client"
        grant = self.given.pop(str(form.get("code")), None)
        if grant is None or grant.client != CLIENT or form.get("redirect_uri") != grant.back:
            return "invalid_grant"
        digest = hashlib.sha256(str(form.get("code_verifier")).encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != grant.challenge:
            return "invalid_grant"
        return grant


Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeIssuer:
    """An OpenID provider.

    Attributes:
        prefix: how its paths begin.
        claims: of the ID token of whoever signs in.
        more: what userinfo says beyond that.
        keys: those that it publishes.
        metadata: what it says otherwise of itself.
        forge: makes the ID token, given its claims.
        instead: answers a path, given by its last part.
        names_itself: sends `iss` to the browser (RFC 9207), which it announces.
        asked: the last parts of the paths that were asked for.
    """

    def __init__(self, prefix: str = "/oidc", token_path: str = "") -> None:
        self.prefix = prefix
        self.token_path = token_path or f"{prefix}/token"
        self.claims: dict[str, Any] = {"sub": "ada-1"}
        self.more: dict[str, Any] = {}
        self.keys = [published()]
        self.metadata: dict[str, Any] = {}
        self.forge: Callable[[dict[str, Any]], str] = signed
        self.instead: dict[str, Answers] = {}
        self.names_itself = False
        self.codes = Codes()
        self.asked: list[str] = []
        self.url = ""
        self._tokens: set[str] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/.well-known/openid-configuration", self._served(self._configuration)),
            web.get(f"{self.prefix}/authorize", self._served(self._authorize)),
            web.post(self.token_path, self._served(self._token)),
            web.get(f"{self.prefix}/userinfo", self._served(self._userinfo)),
            web.get(f"{self.prefix}/keys", self._served(self._keys)),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeIssuer"]:
        """Serve it on a free port of loopback."""
        app = web.Application()
        app.router.add_routes(self.routes())
        async with served(app, cancels=True) as self.url:
            yield self

    @property
    def settings(self) -> dict[str, str]:
        """The variables that lead a bridge to it."""
        return {
            "BRIDGE_CONSOLE_OIDC_ISSUER": self.url,
            "BRIDGE_CONSOLE_OIDC_CLIENT_ID": CLIENT,
            "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": SECRET,
            "BRIDGE_CONSOLE_OIDC_TITLE": "Example ID",
        }

    def _served(self, answer: Answers) -> Answers:
        async def served(request: web.Request) -> web.StreamResponse:
            last = request.path.rpartition("/")[2].rpartition(".")[2]
            self.asked.append(last)
            return await self.instead.get(last, answer)(request)

        return served

    async def _configuration(self, request: web.Request) -> web.Response:
        here = f"http://{request.host}"
        found = {
            "issuer": here,
            "authorization_endpoint": f"{here}{self.prefix}/authorize",
            "token_endpoint": f"{here}{self.token_path}",
            "userinfo_endpoint": f"{here}{self.prefix}/userinfo",
            "jwks_uri": f"{here}{self.prefix}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "authorization_response_iss_parameter_supported": self.names_itself,
        }
        return web.json_response(found | self.metadata)

    async def _authorize(self, request: web.Request) -> web.Response:
        more = {"iss": f"http://{request.host}"} if self.names_itself else {}
        return self.codes.authorize(request.query, **more)

    async def _token(self, request: web.Request) -> web.Response:
        grant = await self.codes.redeem(request)
        if isinstance(grant, str):
            return web.json_response({"error": grant}, status=400)
        now = int(time.time())
        claims = {
            "iss": f"http://{request.host}",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": grant.nonce,
            **self.claims,
        }
        token = uuid.uuid4().hex
        self._tokens.add(token)
        found = {"access_token": token, "token_type": "Bearer", "id_token": self.forge(claims)}
        return web.json_response(found)

    async def _userinfo(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._tokens:
            return web.json_response({"error": "invalid_token"}, status=401)
        return web.json_response({"sub": self.claims["sub"]} | self.more)

    async def _keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys})


@dataclass
class GithubAccounts:
    """GitHub's OAuth, and what it says of whoever signs in.

    Attributes:
        emails: None if the App may not read them.
        memberships: active ones, "org" or "org/team".
        pending: the same of those that were only invited.
        closed: organisations that do not say who is in them.
    """

    login: str = "Ada"
    id: int = 583231
    emails: list[dict[str, Any]] | None = field(default_factory=list)
    memberships: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)
    closed: set[str] = field(default_factory=set)
    codes: Codes = field(default_factory=Codes)
    tokens: set[str] = field(default_factory=set)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/login/oauth/authorize", self._authorize),
            web.post("/login/oauth/access_token", self._token),
            web.get("/user/emails", self._emails),
            web.get("/user/memberships/orgs/{org}", self._membership),
            web.get("/orgs/{org}/teams/{team}/memberships/{login}", self._membership),
        ]

    async def _authorize(self, request: web.Request) -> web.Response:
        return self.codes.authorize(request.query)

    async def _token(self, request: web.Request) -> web.Response:
        grant = await self.codes.redeem(request)
        if isinstance(grant, str):  # with status 200, in GitHub's own words
            words = {"invalid_grant": "bad_verification_code"}
            error = words.get(grant, "incorrect_client_credentials")
            return web.json_response({"error": error, "error_description": "The code is wrong."})
        token = f"gho_{uuid.uuid4().hex}"
        self.tokens.add(token)
        return web.json_response({"access_token": token, "token_type": "bearer", "scope": ""})

    async def _emails(self, request: web.Request) -> web.Response:
        if self.emails is None:
            said = {"message": "Resource not accessible by integration"}
            return web.json_response(said, status=403)
        return web.json_response(self.emails)

    async def _membership(self, request: web.Request) -> web.Response:
        org, team = request.match_info["org"], request.match_info.get("team")
        name = f"{org}/{team}" if team else org
        if org in self.closed:
            return web.json_response({"message": "Forbidden"}, status=403)
        for state, those in (("active", self.memberships), ("pending", self.pending)):
            if name in those:
                return web.json_response({"state": state, "role": "member"})
        return web.json_response({"message": "Not Found"}, status=404)
