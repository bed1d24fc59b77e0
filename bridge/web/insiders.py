"""Who may see how the bridge is: this machine's own, and who has the token."""

import hmac
from ipaddress import ip_address

from aiohttp import HttpVersion11, web

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Headers of proxies: behind one on the same machine everybody seems to come from it."""


class Insiders:
    """Tells them from strangers; `token`: lets in from elsewhere, None lets nobody."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token.encode(errors="surrogatepass") if token else None

    def __call__(self, request: web.Request) -> bool:
        """Whether the sender of a request is one."""
        return self._has_token(request) or _from_this_machine(request)

    def _has_token(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(errors="surrogatepass"), self._token)


def _from_this_machine(request: web.Request) -> bool:
    """Directly: nginx, as it is set by default, says nothing but speaks HTTP/1.0."""
    if request.version < HttpVersion11 or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ip_address(request.remote or "").is_loopback
    except ValueError:
        return False
