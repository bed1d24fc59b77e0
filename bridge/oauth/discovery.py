"""What an issuer says of itself (OpenID Connect Discovery 1.0), and its keys; both are cached."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from bridge.core.errors import Refused
from bridge.oauth.http import Asks
from bridge.ports.clock import Clock
from bridge.ports.sign_in import TokenAuth

FRESH = 3600.0
"""Seconds for which metadata and keys are not asked for again."""

AGAIN = 60.0
"""Seconds in which keys are asked for once more at most, whatever tokens are forged."""

MOST_KEYS = 100

PATH = "/.well-known/openid-configuration"

ASYMMETRIC = frozenset(
    {*("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), *("ES256", "ES384", "ES512", "EdDSA")}
)
"""Signatures that only the issuer can make: never `none`, and no HMAC, whose key we have."""

_BASIC = "client_secret_basic"


class Metadata(BaseModel):
    """What is used of an issuer's metadata."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    algorithms: list[str] = Field(["RS256"], alias="id_token_signing_alg_values_supported")
    authentication: list[str] = Field([_BASIC], alias="token_endpoint_auth_methods_supported")
    names_itself: bool = Field(False, alias="authorization_response_iss_parameter_supported")

    @property
    def endpoints(self) -> Sequence[str]:
        """All addresses that are used."""
        found = (self.authorization_endpoint, self.token_endpoint, self.jwks_uri)
        return (*found, self.userinfo_endpoint) if self.userinfo_endpoint else found

    @property
    def accepted(self) -> list[str]:
        """The algorithms that an ID token may be signed with."""
        return [algorithm for algorithm in self.algorithms if algorithm in ASYMMETRIC]

    @property
    def token_auth(self) -> TokenAuth:
        """How to send a client's secret: as a client is registered if nothing else is said."""
        takes = self.authentication
        return "post" if "client_secret_post" in takes and _BASIC not in takes else "basic"


@dataclass(frozen=True, slots=True)
class _Known:
    value: Any
    until: float


class Issuer:
    """An issuer, by its address."""

    def __init__(
        self, asks: Asks, address: str, setting: str, clock: Clock = time.monotonic
    ) -> None:
        """Take the parts.

        Args:
            setting: what names the address, for errors.
        """
        self.asks = asks
        self.address = address
        self.title = asks.title
        self._setting = setting
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._asked_again = -math.inf
        self._one_at_a_time = asyncio.Lock()

    async def metadata(self, *, anew: bool = False) -> Metadata:
        """Return what it says of itself.

        Raises:
            Refused: it is no issuer, another one, or names addresses that are not safe.
            Unreachable: it does not answer.
        """
        found: Metadata = await self._kept("metadata", self._discovered, anew=anew)
        return found

    async def key(
        self, key_id: str | None, *, unlike: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        """Return one of its public keys; ask once more for one that is not known yet.

        Args:
            unlike: the key of that id that verifies nothing, so it may have been replaced.

        Raises:
            Refused: it has no such key, or several and the token names none.
            Unreachable: it does not answer.
        """
        found = _with_id(await self._kept("keys", self._keys), key_id)
        if found is None or found == unlike:
            found = _with_id(await self._keys_again(), key_id)
        if found is None:
            raise Refused(self.title, "its ID token is signed with a key that it does not publish")
        return found

    async def _keys_again(self) -> Sequence[Mapping[str, Any]]:
        """Return its keys as they are now, or as they are known if they were just asked for."""
        async with self._one_at_a_time:
            now = self._clock()
            if self._asked_again + AGAIN <= now:
                self._asked_again = now
                self._known["keys"] = _Known(await self._keys(), now + FRESH)
        found: Sequence[Mapping[str, Any]] = self._known["keys"].value
        return found

    async def _kept(self, what: str, ask: Any, *, anew: bool = False) -> Any:
        async with self._one_at_a_time:
            known = self._known.get(what)
            if known is None or known.until <= self._clock() or anew:
                value = await ask()
                known = self._known[what] = _Known(value, self._clock() + FRESH)
        return known.value

    async def _discovered(self) -> Metadata:
        reply = await self.asks.get(f"{self.address.rstrip('/')}{PATH}")
        try:
            found = Metadata.model_validate(reply.fields if reply.status == 200 else None)
        except ValidationError:
            raise Refused(
                self.title,
                f"there is no issuer of OpenID Connect: {PATH} under it answers {reply.status}"
                f" without its metadata; check {self._setting}",
            ) from None
        if found.issuer != self.address:
            raise Refused(
                self.title,
                f"it calls itself another issuer than {self._setting}, which must be the same to"
                f" the last slash: set it to {_shown(found.issuer)} if you trust that",
            )
        self._must_be_safe(found)
        return found

    def _must_be_safe(self, found: Metadata) -> None:
        secure = urlsplit(self.address).scheme == "https"
        for endpoint in found.endpoints:
            if not _is_address(endpoint, secure=secure):
                raise Refused(
                    self.title, "its metadata names an address that is not https, or can't be one"
                )
        if not found.accepted:
            raise Refused(
                self.title,
                "it signs ID tokens with no asymmetric algorithm: switch on one, e.g. RS256",
            )

    async def _keys(self) -> list[Mapping[str, Any]]:
        """Ask for its keys, while the lock is held."""
        known = self._known.get("metadata")
        metadata: Metadata = known.value if known is not None else await self._discovered()
        reply = await self.asks.get(metadata.jwks_uri)
        found = reply.fields.get("keys")
        if reply.status != 200 or not isinstance(found, list):
            raise Refused(self.title, f"its keys can't be read: it answers {reply.status}")
        usable = [key for key in found if isinstance(key, dict)]
        return [key for key in usable[:MOST_KEYS] if key.get("use", "sig") == "sig"]


def _with_id(keys: Sequence[Mapping[str, Any]], key_id: str | None) -> Mapping[str, Any] | None:
    """Return the key with an id; a token without one means the only key."""
    if key_id is None:
        return keys[0] if len(keys) == 1 else None
    return next((key for key in keys if key.get("kid") == key_id), None)


def _is_address(url: str, *, secure: bool) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    schemes = ("https",) if secure else ("https", "http")
    return parts.scheme in schemes and bool(parts.hostname) and not parts.username


def _shown(issuer: str) -> str:
    return issuer if len(issuer) <= 200 and issuer.isascii() and issuer.isprintable() else "its own"
