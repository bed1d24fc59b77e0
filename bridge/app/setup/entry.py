"""Access to setup: a one-time link, then a cookie."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp import web

    from bridge.ports.journal import Sessions

LINK, SESSION, STATE = "setup link", "setup session", "setup state"
GIVEN = "setup link given"
"""Kinds of what is kept; see `ports.journal.Sessions`."""

LINK_SECONDS = 30 * 60.0
GIVEN_SECONDS = 7 * 24 * 3600.0
"""Seconds for which a used or expired link is remembered, to tell it from a guess."""

SESSION_SECONDS = 12 * 3600.0
STATE_SECONDS = 3600.0
"""As long as the code of a registration works."""

PATH = "/setup"

_BYTES = 32


async def new_link(sessions: "Sessions", url: str) -> str:
    """Return a link that lets one browser in, once, within half an hour.

    Args:
        url: where the bridge is reached.
    """
    link = await _new(sessions, LINK, LINK_SECONDS)
    await sessions.admit(GIVEN, _hash(GIVEN, link), GIVEN_SECONDS)
    return f"{url.rstrip('/')}{PATH}?link={link}"


async def redeem(sessions: "Sessions", link: str) -> str | None:
    """Return the secret of a new session; None if the link is used, too old, or none of ours."""
    if await sessions.redeem(LINK, _hash(link)) is None:
        return None
    return await _new(sessions, SESSION, SESSION_SECONDS)


async def was_given(sessions: "Sessions", link: str) -> bool:
    """Return whether a link is one of ours, used, too old or not."""
    return await sessions.admitted(GIVEN, _hash(GIVEN, link)) is not None


async def is_in(sessions: "Sessions", session: str | None) -> bool:
    """Return whether a session is valid."""
    return bool(session) and await sessions.admitted(SESSION, _hash(session or "")) is not None


async def leave(sessions: "Sessions") -> None:
    """End all sessions."""
    await sessions.expel(SESSION)


async def new_state(sessions: "Sessions", session: str) -> str:
    """Return the state of a registration: it comes back once, to the same session."""
    state = secrets.token_urlsafe(_BYTES)
    await sessions.admit(STATE, _hash(state, session), STATE_SECONDS)
    return state


async def is_state(sessions: "Sessions", state: str, session: str) -> bool:
    """Return whether a state was given to this session and has not come back yet."""
    return await sessions.redeem(STATE, _hash(state, session)) is not None


async def _new(sessions: "Sessions", kind: str, seconds: float) -> str:
    secret = secrets.token_urlsafe(_BYTES)
    await sessions.admit(kind, _hash(secret), seconds)
    return secret


def _hash(*secret: str) -> str:
    """Return the hash of a secret; it is random, so it needs neither salt nor a slow hash."""
    return hashlib.sha256("\0".join(secret).encode()).hexdigest()


# ── the cookie ───────────────────────────────────────────────────────────────────────────────────


def origin_of(request: "web.Request") -> str:
    """Return the bridge's address as the browser calls it, e.g. "https://bridge.example.com"."""
    scheme = "https" if _is_secure(request) else "http"
    return f"{scheme}://{request.host}"


def session_in(request: "web.Request") -> str | None:
    """Return the secret of the request's session, if it has one."""
    return request.cookies.get(_cookie(secure=_is_secure(request)))


def keep(response: "web.StreamResponse", request: "web.Request", session: str) -> None:
    """Have the browser keep a session.

    Over HTTPS no other host, path or page without TLS can set or read it. It is sent along when
    another site links here (Lax), since the registration's form comes back that way.
    """
    secure = _is_secure(request)
    response.set_cookie(
        _cookie(secure=secure),
        session,
        max_age=int(SESSION_SECONDS),
        path="/",
        secure=secure,
        httponly=True,
        samesite="Lax",
    )


def _cookie(*, secure: bool) -> str:
    return "__Host-bridge-setup" if secure else "bridge-setup"


def _is_secure(request: "web.Request") -> bool:
    """Return whether the browser speaks TLS, to us or to the proxy before us.

    Who forges the header only gives their own cookie another name.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return forwarded == "https" if forwarded else request.secure


def is_from_here(headers: Mapping[str, str], host: str) -> bool:
    """Return whether a request that changes something comes from our own page.

    As Go's CrossOriginProtection: browsers say so by `Sec-Fetch-Site`, older ones by `Origin`; what
    sends neither is no browser.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == host
