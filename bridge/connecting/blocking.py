"""Prepare the sessions of requests, also those that a vendor's library makes."""

from typing import Any, TypeVar

import requests
from requests.adapters import HTTPAdapter

from bridge.connecting import AGENT
from bridge.connecting.proxies import proxy_for
from bridge.connecting.trust import trusted

S = TypeVar("S", bound=requests.Session)


class Adapter(HTTPAdapter):
    """Checks certificates as all our clients do, whatever a request says in `verify`."""

    def __init__(self, ca: str | None = None) -> None:
        """Take a PEM file with the server's authority."""
        self._ca = ca
        super().__init__()

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: Any,  # noqa: ARG002 - all our clients trust alike
        cert: Any = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return where to connect, and how; as requests tells to use another context."""
        where, how = super().build_connection_pool_key_attributes(request, True, cert)
        if where["scheme"] == "https":
            how["ssl_context"] = trusted(self._ca)
        return where, how

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do nothing, where requests would add its own authorities."""


def prepared(session: S, url: str, adapter: HTTPAdapter) -> S:
    """Return a session for one server, which reads nothing of the environment: no `.netrc` either.

    Args:
        url: the server's address, or one there.

    Raises:
        CannotConnect: the proxy can't be used.
    """
    session.trust_env = False
    session.headers["User-Agent"] = AGENT
    if (proxy := proxy_for(url)) is not None:
        session.proxies = {"http": proxy, "https": proxy}
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    return session
