"""The basics of pages for people: secrets in cookies, forms and guarded responses."""

import base64
import hashlib
import html
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.core.errors import Rejected
from bridge.listening.arriving import body_of
from bridge.web.answers import refusal

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


# ── plain pages, where there is no console around them ───────────────────────────────────────────

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:12vh auto 0;padding:0 1rem}"
    "h1{font-size:1.25rem}p{overflow-wrap:anywhere}"
)

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"
)

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark"><title>{title} · bridge</title>'
    "<style>{style}</style></head><body><main><h1>{title}</h1><p>{says}</p>"
    '<p><a href="{href}">{link}</a></p></main></body></html>\n'
)


def plain_page(
    status: int, title: str, says: str, href: str = "/", link: str = "To the bridge"
) -> web.Response:
    """Return a page of a few words and one link."""
    words = {"title": title, "says": says, "href": href, "link": link}
    shown = {name: html.escape(text) for name, text in words.items()}
    text = _PAGE.format(style=_STYLE, **shown)
    response = web.Response(status=status, text=text, content_type="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    guard(response)
    return response


def reads_pages(request: web.Request) -> bool:
    """Return whether a request comes from somebody with a browser, who looks at an address."""
    return request.method in READS and "text/html" in request.headers.get("Accept", "")


def refusal_to(request: web.Request, status: int, why: str, title: str = "") -> web.Response:
    """Return an error response: a page for a browser, else a line of JSON."""
    if not reads_pages(request):
        return refusal(status, why)
    return plain_page(status, title or HTTPStatus(status).phrase, f"{why[:1].upper()}{why[1:]}.")
