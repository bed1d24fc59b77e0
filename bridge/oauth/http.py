"""Requests to a service with which people sign in: bounded in time and size, no redirects.

What is sent and what comes back are secrets, so no error repeats either.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

from bridge.connecting.clients import http_client
from bridge.core.errors import Refused, Rejected, Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.ports.sign_in import Challenge, ClientRefused, Returned, TokenAuth

SECONDS = 10.0
"""For one request, with its whole answer."""

LARGEST = 2**20
"""Bytes of an answer; discovery and keys have some 10 KB."""

_PLAIN_WORD = re.compile(r"[a-z_]{1,40}").fullmatch


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is JSON.

    Attributes:
        body: what was loaded; None if it was no JSON.
    """

    status: int
    body: Any

    @property
    def fields(self) -> Mapping[str, Any]:
        """Its fields; none if it is no object."""
        return self.body if isinstance(self.body, dict) else {}


class NoTokenEndpoint(Refused):
    """An answer without an error of OAuth's, e.g. of a wrong address, or of a proxy in between."""


class Asks:
    """Sends requests to one service; keeps no connection, since people rarely sign in."""

    def __init__(self, title: str, *, ca: str | None = None) -> None:
        self.title = title
        self._ca = ca

    async def get(self, url: str, *, token: str = "") -> Reply:
        """Return what an address answers.

        Raises:
            Refused: it redirects, or its answer is too large.
            Unreachable: there is no answer in time, or it can't answer now.
        """
        return await self._asked("GET", url, {"Authorization": f"Bearer {token}"} if token else {})

    async def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> Reply:
        """Return what an address answers to a form; see `get`."""
        return await self._asked("POST", url, {}, form, basic)

    async def _asked(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Reply:
        import httpx

        # Compressed answers could be larger than they look.
        own = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        body = bytearray()
        try:
            async with (
                asyncio.timeout(SECONDS),
                http_client(url, ca=self._ca, headers=own) as client,
                client.stream(method, url, data=form, auth=basic) as answer,
            ):
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > LARGEST:
                        raise Refused(self.title, f"its answer has more than {LARGEST} bytes")
        except TimeoutError:
            raise Unreachable(self.title, f"no answer came within {SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            why = why_not_connected(error) or type(error).__name__
            raise Unreachable(self.title, why) from None
        status = answer.status_code
        if 300 <= status < 400:
            why = f"it redirects ({status}), which is not followed: check its address"
            raise Refused(self.title, why)
        if status >= 500 or status == 429:
            raise Unreachable(self.title, f"it answers {status}; try again later")
        return Reply(status, _loaded(bytes(body)))


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


# ── the code of a sign-in ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Client:
    """The bridge as a client of a service.

    Attributes:
        setting: the section of the settings that names it.
        token_auth: how its secret is sent; None: as the service lists.
        auth_setting: the setting of that; "" if there is none.
    """

    id: str
    secret: str
    setting: str
    token_auth: TokenAuth | None = None
    auth_setting: str = ""


_OURS = frozenset(
    {
        *("invalid_client", "unauthorized_client", "incorrect_client_credentials"),
        *("invalid_client_id", "bad_client_secret"),
    }
)
_ADDRESS = frozenset({"redirect_uri_mismatch", "bad_redirect_uri", "invalid_redirect_uri"})
_USED = frozenset(
    {
        *("invalid_grant", "bad_verification_code", "invalid_code", "code_already_used"),
        *("code_expired",),
    }
)
"""What token endpoints say of the client, of the address, and of a code; not all keep to the
words of RFC 6749."""


async def tokens(
    asks: Asks,
    endpoint: str,
    client: Client,
    challenge: Challenge,
    returned: Returned,
    auth: TokenAuth = "post",
) -> Mapping[str, Any]:
    """Exchange a code for tokens.

    Raises:
        Rejected: the code is used, too old, or another client's.
        ClientRefused: the service does not accept the client.
        NoTokenEndpoint: it answers nothing that a token endpoint does.
        Refused: it says no for another reason.
        Unreachable: it does not answer.
    """
    form = {
        "grant_type": "authorization_code",
        "code": returned.code,
        "redirect_uri": challenge.back,
        "code_verifier": challenge.verifier,
    }
    if auth == "post":
        form |= {"client_id": client.id, "client_secret": client.secret}
    # As RFC 6749, section 2.3.1, has id and secret sent.
    quoted = (quote_plus(client.id), quote_plus(client.secret))
    reply = await asks.post(endpoint, form, basic=quoted if auth == "basic" else None)
    found = reply.fields
    if reply.status == 200 and isinstance(found.get("access_token"), str):
        return found
    raise _refusal(asks.title, client, challenge, reply, auth)


def _refusal(
    title: str, client: Client, challenge: Challenge, reply: Reply, auth: TokenAuth
) -> Refused | Rejected:
    found = reply.fields.get("error")
    error = found if isinstance(found, str) else ""
    if error in _USED:
        return Rejected(
            f"{title} does not accept this sign-in: its code was used, is too old, or was given to"
            " another client. Sign in again."
        )
    if error in _OURS or reply.status == 401:
        return ClientRefused(title, _unaccepted(client, auth))
    if error in _ADDRESS:
        return Refused(
            title, f"it does not know the callback address {challenge.back}: register it there"
        )
    if error:
        said = error if _PLAIN_WORD(error) else f"status {reply.status}"
        return Refused(title, f"it refuses the sign-in ({said}): check {client.setting}")
    return NoTokenEndpoint(
        title,
        f"its token endpoint answers with status {reply.status} and no error of OAuth: check"
        " whether something in front of it refuses the bridge",
    )


def _unaccepted(client: Client, auth: TokenAuth) -> str:
    """Return why id and secret may not be accepted: services don't say which of the two it is."""
    says = "it does not accept the bridge's client id and secret"
    if not client.auth_setting:
        return f"{says}: correct {client.setting}"
    other = "post" if auth == "basic" else "basic"
    return (
        f"{says}, sent by client_secret_{auth}. If the client is registered there for"
        f" client_secret_{other}, set {client.auth_setting} to {other}; otherwise correct"
        f" {client.setting}"
    )
