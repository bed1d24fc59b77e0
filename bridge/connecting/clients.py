"""Make the clients of httpx and aiohttp, which are imported only where one is made."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.connecting import AGENT, CONNECT_SECONDS, READ_SECONDS, WHOLE_SECONDS, CannotConnect
from bridge.connecting.proxies import proxy_for
from bridge.connecting.trust import trusted

if TYPE_CHECKING:
    import aiohttp
    import httpx


def http_client(
    url: str,
    *,
    ca: str | None = None,
    direct: bool = False,
    headers: Mapping[str, str] | None = None,
    connect: float = CONNECT_SECONDS,
    read: float = READ_SECONDS,
    **settings: Any,
) -> "httpx.AsyncClient":
    """Return a client for one server.

    Args:
        url: the server's address, or one there.
        ca: a PEM file with its authority.
        direct: never through a proxy, since it is our own.
        connect: seconds for a connection, and to wait for a free one.
        read: seconds without a byte arriving.
        settings: further settings of httpx.

    Raises:
        CannotConnect: the proxy or a file with authorities can't be used.
    """
    import httpx

    # Without TLS nobody is trusted: loading authorities takes a while.
    verify = trusted(ca) if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not direct and (proxy := proxy_for(url)) is not None:
        from bridge.connecting.through_proxy import ThroughProxy

        settings["transport"] = ThroughProxy(
            verify=verify,
            trust_env=False,
            limits=settings.get("limits", httpx.Limits()),
            proxy=httpx.Proxy(proxy, ssl_context=_to_proxy(proxy)),
        )
    return httpx.AsyncClient(
        headers={"User-Agent": AGENT, **(headers or {})},
        timeout=httpx.Timeout(read, connect=connect, pool=connect),
        verify=verify,
        trust_env=False,
        **settings,
    )


def _to_proxy(proxy: str) -> ssl.SSLContext | None:
    return trusted() if proxy.startswith("https:") else None


def session(
    *,
    seconds: float | None = WHOLE_SECONDS,
    headers: Mapping[str, str] | None = None,
    connector: Mapping[str, Any] | None = None,
    **settings: Any,
) -> "aiohttp.ClientSession":
    """Return a session of aiohttp. Each request names its proxy: `proxy=proxy_for(url)`.

    Args:
        seconds: for a whole request; None leaves the limit to the caller.
        connector: further settings of the connections, and `settings` those of the session.

    Raises:
        CannotConnect: a file with authorities can't be used.
    """
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=trusted(), **(connector or {})),
        timeout=aiohttp.ClientTimeout(total=seconds),
        headers={"User-Agent": AGENT, **(headers or {})},
        **settings,
    )


# ── Faults in what the environment names ──────────────────────────────────────────────────────────


def troubles() -> list[str]:
    """Return why some addresses can't be asked, as the errors of clients say it."""
    proxies = (partial(proxy_for, f"{scheme}://any") for scheme in ("https", "http"))
    return [*_trouble(trusted), *(said for proxy in proxies for said in _trouble(proxy))]


def _trouble(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except CannotConnect as error:
        yield str(error)
