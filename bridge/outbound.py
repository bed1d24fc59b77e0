"""Requests to addresses that people name, such as an app's own: never to private networks.

Whoever may name an address could otherwise have the bridge ask what only its own machine or network
reaches, such as a cloud's metadata service (OWASP, "Server-side request forgery"). So
the addresses that a name resolves to are checked where the connection is made, and no name is
resolved twice.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from bridge.connecting.clients import session
from bridge.ports.probes import Answer, Silent, Unprobed

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Origin: TypeAlias = tuple[str, int]

SECONDS = 10.0
"""How long one request may take, with its redirects."""

MOST_BODY = 1 << 20
"""Bytes of a body that are read."""

MOST_EVIDENCE = 1 << 14
"""Bytes of an error's body that are read for people."""

EVIDENCE_SECONDS = 1.0
"""How long an error's body is waited for."""

_PART = 1 << 16
"""Bytes of a body that are read at a time."""

MOST_REDIRECTS = 5

UNICAST = ip_network("2000::/3")
"""The public addresses of IPv6; elsewhere are private ones, and IPv4 translated on the way."""

NEVER: tuple[Network, ...] = (
    ip_network("168.63.129.16/32"),  # Azure's host services
    ip_network("2002::/16"),  # IPv4 inside IPv6
    ip_network("2001::/32"),
)
"""Networks that are public by their number and lead to private ones."""

NO_ADDRESS = "is in a private network; `verify.allow` names the networks that may be asked"


class _Forbidden(OSError):
    """A name has only addresses that must not be asked."""


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, and leads to it."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_multicast or not address.is_global:
        return False
    if isinstance(address, IPv6Address) and address not in UNICAST:
        return False
    return not any(address in network for network in NEVER)


ALLOW = "name its network in `verify.allow`, e.g. 10.0.0.0/8, or a public address in `verify.url`"
"""What to do about an address that is never asked."""


def never_asked(url: str, allowed: Sequence[Network] = ()) -> str | None:
    """Return why an address is never asked, as far as that is known without resolving a name."""
    host = urlsplit(url).hostname or ""
    try:
        found = ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    if is_public(found) or any(found in network for network in allowed):
        return None
    return f"{host} is in a private network, which is not asked, so nothing would be verified"


class Guard(AbstractResolver):
    """Resolves names to addresses that may be asked, and to no others."""

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        own: Collection[Origin] = (),
        resolver: AbstractResolver | None = None,
    ) -> None:
        """Take the parts.

        Args:
            allowed: private networks that may be asked.
            own: hosts and ports that may be asked wherever they are, e.g. the embedded backend's.
            resolver: resolves names; by default the machine's own.
        """
        self._allowed = tuple(allowed)
        self._own = frozenset(own)
        self._resolver = resolver

    def permits(self, host: str, port: int, address: str) -> bool:
        """Return whether an address may be asked on behalf of a host."""
        found = ip_address(address)
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        named = (host, port) in self._own or any(found in network for network in self._allowed)
        return named or is_public(found)

    async def resolve(
        self, host: str, port: int = 0, family: int = 0
    ) -> list[ResolveResult]:  # the parameters of aiohttp
        """Return the addresses of a name that may be asked.

        Raises:
            OSError: it has none, or only others.
        """
        if self._resolver is None:
            self._resolver = ThreadedResolver()
        found = await self._resolver.resolve(host, port, family)  # type: ignore[arg-type]
        kept = [one for one in found if self.permits(host, port, one["host"])]
        if found and not kept:
            raise _Forbidden(f"{host} ({found[0]['host']}) {NO_ADDRESS}")
        return kept

    async def close(self) -> None:
        if self._resolver is not None:
            await self._resolver.close()


class Outbound:
    """Asks addresses, within bounds of time and size."""

    def __init__(self, guard: Guard, *, seconds: float = SECONDS) -> None:
        self._guard = guard
        self._seconds = seconds

    async def __aenter__(self) -> Self:
        # Never through a proxy, which would resolve names by itself, past the guard.
        self._session = session(
            seconds=None,
            headers={"Accept-Encoding": "identity"},
            connector={
                "resolver": self._guard,
                "use_dns_cache": False,
                "force_close": True,
                "limit": 32,
            },
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def get(self, url: str, *, body: bool) -> Answer:
        """Return what an address answers; see `Probes.get`.

        Redirects are followed on the same host only; one to another host is the answer itself.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._get(url, body=body)
        except TimeoutError:
            raise Silent(f"no answer within {self._seconds:g} s") from None

    async def _get(self, url: str, *, body: bool) -> Answer:
        for _ in range(MOST_REDIRECTS + 1):
            self._check_literal(url)
            answer, to = await self._ask(url, body=body)
            if to is None:
                return answer
            there = urlsplit(to)
            if there.hostname != urlsplit(url).hostname:
                return replace(answer, leads_to=there.netloc.rpartition("@")[2])
            url = to
        raise Silent(f"it redirects more than {MOST_REDIRECTS} times")

    async def _ask(self, url: str, *, body: bool) -> tuple[Answer, str | None]:
        """Return one answer, and where it redirects to, if anywhere."""
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                content, cut = await (_beginning(response) if body else _evidence(response))
                answer = Answer(url, response.status, response.reason or "", content, cut)
                moved = response.headers.get("Location") if 300 <= response.status < 400 else None
                return answer, moved and _target(url, moved)
        except aiohttp.ClientConnectorDNSError as error:
            if isinstance(error.os_error, _Forbidden):
                raise Unprobed(str(error.os_error)) from None
            raise Unprobed(f"{urlsplit(url).hostname} has no address") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise Silent(f"its certificate is refused: {_certificate(error)}") from None
        except (aiohttp.InvalidURL, ValueError):
            raise Unprobed("it is no address that can be asked") from None
        except aiohttp.ClientError as error:
            if _unreached(error):
                raise Unprobed("this machine has no way to it") from None
            raise Silent(_words(error)) from None

    def _check_literal(self, url: str) -> None:
        """Check an address that is written as a number: no resolver sees it."""
        try:
            parts = URL(url)  # as aiohttp reads it, which maps digits of other scripts to ours
            host, port = parts.raw_host or "", parts.port or 0
        except ValueError:
            raise Unprobed("it is no address that can be asked") from None
        if parts.scheme not in ("http", "https") or not host:
            raise Unprobed("it must begin with http:// or https:// and a host")
        with suppress(ValueError):
            ip_address(host)
            if not self._guard.permits(host, port, host):
                raise Unprobed(f"{host} {NO_ADDRESS}")


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks from texts such as "10.0.0.0/8" or "192.0.2.7"."""
    return tuple(ip_network(text) for text in texts)


def origin_of(url: str) -> Origin:
    """Return an address's host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _default_port(parts.scheme)


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _target(url: str, moved: str) -> str | None:
    """Return where a redirect leads; None if that is no address."""
    try:
        target = urljoin(url, moved)
        return target if urlsplit(target).scheme in ("http", "https") else None
    except ValueError:
        return None


async def _beginning(response: aiohttp.ClientResponse) -> tuple[str, bool]:
    """Return the beginning of a body as text, and whether more follows."""
    kept = bytearray()
    while len(kept) <= MOST_BODY and (part := await response.content.read(_PART)):
        kept += part
    return _text(bytes(kept[:MOST_BODY]), response.charset or ""), len(kept) > MOST_BODY


async def _evidence(response: aiohttp.ClientResponse) -> tuple[str, bool]:
    """Return what an error says with it, if that comes at once; the status alone counts."""
    kept = bytearray()
    if response.status >= 400:
        try:
            async with asyncio.timeout(EVIDENCE_SECONDS):
                while part := await response.content.read(MOST_EVIDENCE - len(kept)):
                    kept += part
        except (TimeoutError, aiohttp.ClientError):
            kept.clear()  # a secret may be cut where it stopped
    return _text(bytes(kept), response.charset or ""), len(kept) == MOST_EVIDENCE


def _text(body: bytes, charset: str) -> str:
    """Return a body as text; in UTF-8 unless it names characters that we know."""
    try:
        return body.decode(charset, errors="replace")
    except (LookupError, ValueError):
        return body.decode(errors="replace")


def _unreached(error: aiohttp.ClientError) -> bool:
    """Return whether no network leads there from here, which says nothing of the other side."""
    number = error.os_error.errno if isinstance(error, aiohttp.ClientConnectorError) else None
    return number in (errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH)


def _certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    return getattr(found, "verify_message", "") or type(found).__name__


def _words(error: aiohttp.ClientError) -> str:
    """Return what happened, without addresses and internals."""
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return "TLS fails: " + (getattr(error.os_error, "reason", "") or "no common protocol")
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number).lower() if number else "no connection"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return "the connection was closed before an answer came"
    if isinstance(error, ssl.SSLError):
        return "TLS fails"
    return "what came is no HTTP"
