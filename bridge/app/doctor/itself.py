"""Check the bridge itself: its data, its database, and whether its address leads to it."""

import asyncio
import json
import secrets
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import httpx

from bridge.app.data_folder import SHARED_SESSIONS, database_away, database_url, is_running
from bridge.connecting.clients import http_client
from bridge.connecting.proxies import LOOPBACK, proxy_for
from bridge.connecting.trust import trusted
from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.ports.checks import Finding, Level, expiry_finding
from bridge.storage.seal import NoSeal
from bridge.web.challenge import PATH, proof_of

if TYPE_CHECKING:
    from bridge.settings import Settings

FULL, SHORT = 100 * 2**20, 2**30
"""Bytes of free space that are an error, and a warning."""

OLDEST_POSTGRES = 13

FEWEST_CONNECTIONS = 15
"""Connections that a worker needs."""

MOUNTS = Path("/proc/self/mountinfo")

NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "ceph"})
"""File systems on which SQLite's locks do not hold."""


async def runs(settings: "Settings") -> bool:
    """Return whether a bridge runs on these data, without creating any.

    Raises:
        BridgeError: the data can't be used.
    """
    if database_url(settings) is None and not (settings.data / "lock").exists():
        return False
    return await asyncio.to_thread(is_running, settings)


async def of_data(
    settings: "Settings", running: bool | None, trouble: Finding | None
) -> AsyncIterator[Finding]:
    """Yield what is found in the data folder or the database.

    Args:
        running: whether a bridge runs on them; None: that can't be known.
        trouble: why the stores can't be opened.
    """
    if running:
        yield Finding(Level.OK, "bridge.running", "the bridge", "it runs on these data")
    elif running is not None:
        says = "no bridge runs on these data, so webhooks are not received"
        remedy = (
            "start `dokploy-bridge serve`; if it runs, set BRIDGE_DATA to the folder that it uses"
        )
        yield Finding(Level.WARNING, "bridge.running", "the bridge", says, remedy)
    url = database_url(settings)
    if url is None:
        found = await asyncio.to_thread(lambda: list(_of_folder(settings.data)))
    else:
        found = await asyncio.to_thread(lambda: list(_of_postgres(url)))
        if all(one.check != "bridge.postgres" for one in found):
            found.append(await _sessions(url))
        if not settings.secret_key:
            says = "no key seals secrets that are stored, so some features are off"
            remedy = NoSeal.REMEDY
            found.append(Finding(Level.WARNING, "bridge.secret_key", "the bridge", says, remedy))
    if trouble is not None and all(one.level is not Level.ERROR for one in found):
        found.append(trouble)
    for finding in found:
        yield finding


# ── SQLite in a folder ──────────────────────────────────────────────────────────────────────────


def _of_folder(data: Path) -> Iterator[Finding]:
    there = next(one for one in (data, *data.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    level, says, remedy = Level.OK, f"{free / 2**30:.1f} GB are free", ""
    if free < SHORT:
        level, says = (Level.ERROR if free < FULL else Level.WARNING), f"only {says}"
        remedy = "make room; without it webhooks are answered 503, and Git hosts lose them"
    yield Finding(level, "bridge.disk", "the data", says, remedy)
    if (kind := _file_system(there)) in NETWORKED:
        says = f"{data} is on a network file system ({kind}), where SQLite may lose some"
        remedy = "choose a local disk with BRIDGE_DATA, or a Postgres with DATABASE_URL"
        yield Finding(Level.ERROR, "bridge.filesystem", "the data", says, remedy)


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on; "" if it can't be told."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    found = ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        mount, kind = before.split()[4], after.split()[0]
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(found[0]):
            found = mount, kind
    return found[1]


# ── Postgres ────────────────────────────────────────────────────────────────────────────────────

_QUERY = """
SELECT current_setting('server_version_num')::int / 10000,
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


def _of_postgres(url: str) -> Iterator[Finding]:
    import psycopg

    about = "the database"
    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("doctor")) as db:
            version, left = db.execute(_QUERY).fetchone() or (0, 0)
    except psycopg.Error as error:
        remedy = "check DATABASE_URL, and whether the server runs"
        says = database_away(" ".join(str(error).split()))
        yield Finding(Level.ERROR, "bridge.postgres", about, says, remedy)
        return
    level, says, remedy = Level.OK, f"it is Postgres {version}", ""
    if version < OLDEST_POSTGRES:
        level, remedy = Level.ERROR, f"update it to {OLDEST_POSTGRES} or newer"
    yield Finding(level, "bridge.postgres.version", about, says, remedy)
    level, says, remedy = Level.OK, f"{left} connections are left", ""
    if left < FEWEST_CONNECTIONS:
        level, says = Level.WARNING, f"only {says}"
        remedy = "raise max_connections: a worker needs 13, a web process 6"
    yield Finding(level, "bridge.postgres.connections", about, says, remedy)


async def _sessions(url: str) -> Finding:
    from bridge.durable.peers import keeps_sessions

    about = "the database"
    try:
        kept = await keeps_sessions(url)
    except Unreachable as error:
        remedy = "check DATABASE_URL, and whether the server has connections left"
        return Finding(Level.ERROR, "bridge.postgres", about, database_away(str(error)), remedy)
    if not kept:
        return Finding(Level.ERROR, "bridge.postgres.sessions", about, *SHARED_SESSIONS)
    return Finding(Level.OK, "bridge.postgres.sessions", about, "its sessions are not shared")


# ── Its address for others ────────────────────────────────────────────────────────────────────────

SECONDS = 4.0
"""For each request."""

LARGEST = 25 * 2**20
"""Bytes of the largest webhook that a Git host sends."""

MOST_ANSWER = 64 * 1024


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
        remedy = "serve it by https, and set that address"
        yield Finding(Level.WARNING, "bridge.url.http", url, says, remedy)
    challenge = secrets.token_hex(16)
    try:
        heard = await _asked(f"{url.rstrip('/')}{PATH}{challenge}")
    except (httpx.HTTPError, OSError) as error:
        for finding in _not_reached(url, error, runs=runs):
            yield finding
        return
    if heard.certificate is not None:
        remedy = "renew it, and check why that did not happen by itself"
        check, what, now = "bridge.url.certificate", "its certificate", time.time()
        yield expiry_finding(check, url, what, heard.certificate, now, remedy)
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
    elif heard.status in (502, 503, 504):
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
        stream: Any = response.extensions.get("network_stream")
        tls = stream.get_extra_info("ssl_object") if stream is not None else None
        until = tls and float(ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"]))
        return Heard(response.status_code, location, bytes(body), until)


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
