"""The basics of pages for people: secrets in cookies, forms and guarded responses."""

import hashlib
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core.errors import Rejected
from bridge.listening.arriving import body_of

LARGEST_FORM = 64 * 1024
"""Bytes of a form; a key has some thousand."""

FORM_SECONDS = 10.0
"""Seconds within which a form arrives."""

READS = ("GET", "HEAD")

# ── secrets ──────────────────────────────────────────────────────────────────────────────────────


def new_secret() -> str:
    """Return a random secret for an address or a cookie."""
    return secrets.token_urlsafe(32)


def hash_of(*secret: str) -> str:
    """Return the hash of a secret; it is random, so it needs neither salt nor a slow hash."""
    return hashlib.sha256("\0".join(secret).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Cookie:
    """A secret that a browser keeps for us.

    Over HTTPS no other host, path or page without TLS can set or read it. It is sent along when
    another site links here (Lax), as a chat's card does, and when a sign-in there is over.
    """

    name: str
    seconds: float

    def in_(self, request: web.Request) -> str | None:
        """Return the secret that comes with a request, if there is one."""
        return request.cookies.get(self._named(secure=is_secure(request)))

    def keep(self, response: web.StreamResponse, request: web.Request, secret: str) -> None:
        secure = is_secure(request)
        response.set_cookie(
            self._named(secure=secure),
            secret,
            max_age=int(self.seconds),
            path="/",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )

    def drop(self, response: web.StreamResponse, request: web.Request) -> None:
        secure = is_secure(request)
        response.del_cookie(
            self._named(secure=secure), path="/", secure=secure, httponly=True, samesite="Lax"
        )

    def _named(self, *, secure: bool) -> str:
        return f"__Host-{self.name}" if secure else self.name


# ── where a request comes from ───────────────────────────────────────────────────────────────────


def is_secure(request: web.Request) -> bool:
    """Return whether the browser speaks TLS, to us or to the proxy before us.

    Who forges the header only gives their own cookie another name.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip()
    return forwarded == "https" if forwarded else request.secure


def origin_of(request: web.Request) -> str:
    """Return the bridge's address as the browser calls it, e.g. "https://bridge.example.com"."""
    return f"{'https' if is_secure(request) else 'http'}://{request.host}"


def is_from_here(request: web.Request) -> bool:
    """Return whether a request that changes something comes from our own page.

    As Go's CrossOriginProtection: browsers say so by `Sec-Fetch-Site`, older ones by `Origin`; what
    sends neither is no browser.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


async def form_of(request: web.Request) -> dict[str, str]:
    """Return a form's fields; raise Rejected if it is none, is too large, or does not arrive."""
    if request.content_type != "application/x-www-form-urlencoded" and request.can_read_body:
        raise Rejected("That is no form: send application/x-www-form-urlencoded.")
    try:
        body = await body_of(request, FORM_SECONDS, LARGEST_FORM)
    except web.HTTPRequestEntityTooLarge:
        raise Rejected(f"That is too large: a form may have {LARGEST_FORM} bytes.") from None
    except (TimeoutError, ConnectionError, HttpProcessingError):
        raise Rejected(
            "The form did not arrive whole, so nothing was done: send it again."
        ) from None
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise Rejected("That form can't be read: fill it in on the page.") from None


# ── responses ────────────────────────────────────────────────────────────────────────────────────


def guard(response: web.StreamResponse) -> web.StreamResponse:
    """Have nobody else see or frame a response, and no browser guess what it is."""
    response.headers.setdefault("Cache-Control", "no-store")
    # With no-referrer, browsers would send `Origin: null` with our own forms.
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response


def sent_to(place: str) -> web.Response:
    """Return the response that sends a browser to another page."""
    response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": place})
    guard(response)
    return response
