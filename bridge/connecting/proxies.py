"""Read the proxies in the environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY.

Both spellings count; the lower-case one wins, as with curl.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from bridge.connecting import CannotConnect

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Our own machine, which no proxy reaches."""

_SCHEMES = {"ws": "http", "wss": "https"}


def proxy_for(url: str) -> str | None:
    """Return the proxy for an address; None if it is to be asked directly.

    Raises:
        CannotConnect: the environment names a proxy that can't be used.
    """
    named, parts = _named(), urlsplit(url)
    proxy = named.get(_SCHEMES.get(parts.scheme, parts.scheme)) or named.get("all")
    if not proxy or _is_direct(parts.hostname or "", parts.port, named.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in ("http", "https") or not urlsplit(proxy).hostname:
        raise CannotConnect(
            "the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY can't be used: write its address as"
            " http://proxy.example.com:3128"
        )
    return proxy


def proxy_variables() -> dict[str, str]:
    """Return the variables for a program that connects by itself, as Git does."""
    named = _named()
    found = {f"{kind}_proxy": named[kind] for kind in ("http", "https", "all") if named.get(kind)}
    if found:
        direct = named.get("no", "").strip()
        found["no_proxy"] = direct if direct == "*" else ",".join(filter(None, [*LOOPBACK, direct]))
    return found | {name.upper(): value for name, value in found.items()}


def _named() -> dict[str, str]:
    """Return the proxies by scheme; "all" stands for any, and "no" for what is asked directly."""
    from urllib.request import getproxies_environment  # only where something connects

    return getproxies_environment()


def _is_direct(host: str, port: int | None, exceptions: str) -> bool:
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not typed

    if host in LOOPBACK:
        return True
    if proxy_bypass_environment(f"{host}:{port or ''}", {"no": exceptions}):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _networks(exceptions))


def _networks(exceptions: str) -> Iterator[IPv4Network | IPv6Network]:
    """Yield the networks among the names, such as 10.0.0.0/8."""
    for one in exceptions.split(","):
        try:
            yield ip_network(one.strip().strip("[]"), strict=False)
        except ValueError:
            continue
