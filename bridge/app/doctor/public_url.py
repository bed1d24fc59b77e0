"""Check the bridge's own address for others: does it lead to this installation, and how?"""

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from bridge.connecting.clients import http_client
from bridge.connecting.proxies import LOOPBACK, proxy_for
from bridge.connecting.trust import trusted
from bridge.core.challenge import PATH, proof_of
from bridge.core.errors.connection import why_not_connected
from bridge.ports.checks import Finding, Level, expiry_finding

SECONDS = 4.0
"""For each request."""

LARGEST = 25 * 2**20
"""Bytes of the largest webhook that a Git host sends."""

MOST_ANSWER = 64 * 1024

_GATEWAY = (502, 503, 504)


@dataclass(frozen=True, slots=True)
class Heard:
    """The response of an address to a challenge.

    Attributes:
        certificate: until when its certificate is valid, in seconds since 1970; None by http.
    """

    status: int
    location: str
    body: bytes
    certificate: float | None

    @property
    def proof(self) -> str | None:
        """The proof in the answer; None if there is none."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return None
        found = said.get("proof") if isinstance(said, dict) else None
        return found if isinstance(found, str) else None


async def of_public_url(url: str, key: str | None, *, runs: bool) -> AsyncIterator[Finding]:
    """Yield what is found at the bridge's address.

    Args:
        key: the installation's secret for challenges; None if there is no store yet.
        runs: whether a bridge runs on these data, so that it could answer.
    """
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        says = "it is not encrypted: others may read webhooks, and the secrets in some of them"
        yield Finding(
            Level.WARNING, "bridge.url.http", url, says, "serve it by https, and set that address"
        )
    challenge = secrets.token_hex(16)
    try:
        heard = await _asked(f"{url.rstrip('/')}{PATH}{challenge}")
    except (httpx.HTTPError, OSError) as error:
        for finding in _not_reached(url, error, runs=runs):
            yield finding
        return
    if heard.certificate is not None:
        remedy = "renew it, and check why that did not happen by itself"
        certificate, now = heard.certificate, time.time()
        yield expiry_finding(
            "bridge.url.certificate", url, "its certificate", certificate, now, remedy
        )
    if not runs or key is None:
        return  # another finding says that no bridge runs
    for finding in _of_answer(url, heard, proof_of(key, challenge)):
        yield finding
    if heard.status == httpx.codes.OK and await _refuses_large(parts, challenge):
        says = f"a proxy refuses webhooks of {LARGEST >> 20} MB, so that large pushes are lost"
        remedy = "let it pass bodies of 26 MB (nginx: client_max_body_size 26m)"
        yield Finding(Level.WARNING, "bridge.url.body", url, says, remedy)


def _of_answer(url: str, heard: Heard, proof: str) -> Iterator[Finding]:
    if heard.proof == proof:
        yield Finding(Level.OK, "bridge.url", url, "it leads to this bridge")
    elif heard.proof is not None:
        says = "another bridge answers there, with other data"
        remedy = "set public_url to the address of this bridge, or BRIDGE_DATA to its data"
        yield Finding(Level.ERROR, "bridge.url.other", url, says, remedy)
    elif 300 <= heard.status < 400:
        says = f"it redirects to {heard.location}, and Git hosts do not follow redirects"
        remedy = "set public_url, and the address of each webhook, to where it leads"
        yield Finding(Level.ERROR, "bridge.url.redirect", url, says, remedy)
    elif heard.status in _GATEWAY:
        says = f"a proxy answers {heard.status}: it does not reach the bridge"
        remedy = "check the proxy's target: the bridge's host and PORT"
        yield Finding(Level.ERROR, "bridge.url.gateway", url, says, remedy)
    else:
        says = f"something else answers there ({heard.status}), not this bridge"
        remedy = (
            "route the address, or at least /hooks/, to the bridge; after an update of the bridge,"
            " restart it"
        )
        yield Finding(Level.ERROR, "bridge.url.answer", url, says, remedy)


def _not_reached(url: str, error: Exception, *, runs: bool) -> Iterator[Finding]:
    why = why_not_connected(error) or type(error).__name__
    if "certificate" in why or "TLS" in why:
        says = f"Git hosts refuse to send there: {why}"
        remedy = "serve a certificate of a public authority, with all its intermediate ones"
        yield Finding(Level.ERROR, "bridge.url.tls", url, says, remedy)
    elif runs:
        says = f"it can't be reached from this machine: {why}"
        remedy = "check DNS, firewall and proxy; some routers do not support NAT loopback"
        yield Finding(Level.ERROR, "bridge.url.reach", url, says, remedy)


async def _asked(address: str) -> Heard:
    async with (
        http_client(address, connect=SECONDS, read=SECONDS) as client,
        client.stream("GET", address) as response,
    ):
        body = bytearray()
        async for some in response.aiter_raw():
            body += some
            if len(body) > MOST_ANSWER:
                break
        location = response.headers.get("location", "")[:200]
        return Heard(response.status_code, location, bytes(body), _valid_until(response))


def _valid_until(response: httpx.Response) -> float | None:
    stream: Any = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    if tls is None:
        return None
    return float(ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"]))


async def _refuses_large(parts: SplitResult, challenge: str) -> bool:
    """Announce a large body without sending it; return whether it is refused as too large."""
    if proxy_for(parts.geturl()) is not None:
        return False  # what is in between here is not in between there
    secure = parts.scheme == "https"
    context = trusted() if secure else None
    port = parts.port or (443 if secure else 80)
    head = (
        f"POST {parts.path.rstrip('/')}{PATH}{challenge} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {LARGEST}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
            with closing(writer):
                writer.write(head.encode())
                await writer.drain()
                line = await reader.readline()
    except (OSError, TimeoutError, ValueError):
        return False  # a proxy that waits for the body does not refuse it
    return line.split()[1:2] == [b"413"]
