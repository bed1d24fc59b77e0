"""Who may see how the bridge is: this machine's own, and who has the token."""

import hmac
from ipaddress import ip_address

from aiohttp import HttpVersion11, web
from yarl import URL

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
    return _is_loopback(request.remote or "") and _names_this_machine(request.host)


def _names_this_machine(host: str) -> bool:
    """Whether a Host header is of this machine itself.

    A page of a stranger's name that has come to lead here (DNS rebinding) could read what a
    browser on this machine may.
    """
    try:
        name = URL.build(scheme="http", authority=host).host or ""
    except ValueError:
        return False
    return name.lower() == "localhost" or _is_loopback(name)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
