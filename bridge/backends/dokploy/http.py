"""The one place that talks HTTP to Dokploy: requests, limits and retries."""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar, cast, get_origin
from urllib.parse import urlsplit

import httpx
from pydantic import Field, SecretStr, TypeAdapter, ValidationError

from bridge.backends.dokploy.answers import (
    Answer,
    Call,
    Means,
    error_in,
    fit,
    instead_of_json,
    no_such_provider,
    refusal_in,
    row_of,
)
from bridge.backends.dokploy.key_check import (
    PATH,
    DatabaseAway,
    DatabaseState,
    KeyCheck,
    ServerClock,
    Verdict,
    database_away,
    error_of,
    state_in,
)
from bridge.backends.dokploy.settings import checked_key, checked_url
from bridge.connecting import CONNECT_SECONDS, READ_SECONDS, CannotConnect
from bridge.connecting.clients import http_client
from bridge.core.backoff import Backoff
from bridge.core.errors import BridgeError, KeyRefused, MalformedPayload, Refused, Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.core.large_json import LARGE, must_be_usual
from bridge.core.validation_errors import explained_one
from bridge.ports.clock import Clock, Sleep
from bridge.ports.figures import Observe

Auth = Literal["api-key", "bearer"]
Query = Mapping[str, str | int]
T = TypeVar("T")

# Node closes idle connections after 5 s. A request that is sent while its connection is being
# closed is lost, and a lost deploy can't be repeated, so we close idle connections earlier.
_KEEPALIVE_SECONDS = 4.0
_RETRY = Backoff(0.1, 2.0, factor=3.0)

ALONE = 2**20
"""Bytes from which on one answer is read at a time: several are much memory."""

MOST_OF_AN_ERROR = 256 * 1024
"""Bytes of an error, or of what tells whether the server is well."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request, in seconds and bytes.

    Attributes:
        connect_timeout: to open a connection, and to wait for a free one.
        read_timeout: without a byte arriving.
        total_timeout: for one request and its whole answer.
        probe_timeout: for a request about the health of the server.
        max_connections: open at the same time.
        read_retries: retries of a read; mutations are never retried.
    """

    connect_timeout: float = CONNECT_SECONDS
    read_timeout: float = READ_SECONDS
    total_timeout: float = 60.0
    probe_timeout: float = 5.0
    max_connections: int = 16
    read_retries: int = 2
    max_answer_bytes: int = 16 * 2**20


class Http:
    """Send requests to one Dokploy server; nothing is opened before the first one."""

    def __init__(
        self,
        service: str,
        url: str,
        api_key: str | SecretStr,
        *,
        auth: Auth = "api-key",
        ca: str | None = None,
        direct: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
        pause: Sleep = asyncio.sleep,
        observe: Observe = lambda _backend, _asked, _seconds: None,
        **limits: Any,
    ) -> None:
        """Take the settings.

        Args:
            url: e.g. "https://dokploy.example.com"; a trailing "/api" does not matter.
            api_key: made with `rateLimitEnabled: false`, else it allows ten checks a day.
            auth: self-hosted servers accept "api-key"; the document says "bearer".
            ca: a PEM file with the server's authority.
            direct: never use the proxy that the environment names.
            transport, clock, pause: for tests.
            observe: receives the duration of each request.
            limits: see `Limits`.

        Raises:
            Rejected: the url or the key can't be one.
        """
        self.origin = checked_url(service, url)
        key = api_key if isinstance(api_key, SecretStr) else SecretStr(api_key)
        self._key = checked_key(service, key)
        self._service = service
        self._auth = auth
        self._limits = Limits(**limits)
        self._ca = ca
        self._direct = direct or transport is not None
        self._transport = transport
        self._clock = clock
        self._pause = pause
        self._observe = observe
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._alone = asyncio.Lock()
        self._key_check = KeyCheck(self._ask_database, clock)
        self.server_clock = ServerClock(clock)
        self.has_dashboard = True  # False for the embedded backend

    async def read(
        self,
        path: str,
        form: type[T],
        query: Query = MappingProxyType({}),
        *,
        at: str | None = None,
        retries: int | None = None,
    ) -> T:
        """GET `/api/{path}`; retry a little if no valid answer came.

        Args:
            form: the form of the answer; fields that it does not name are dropped.
            at: the address below `/api` if it is not `path`.
            retries: the number of retries; None means the configured one.

        Raises:
            Refused: a 4xx.
            Unreachable: the answer did not come whole, or the key was refused.
        """
        most = self._limits.read_retries if retries is None else retries
        attempt = 0
        while True:
            attempt += 1
            call, asked_at = self._call(path, None), self._clock()
            try:
                async with AsyncExitStack() as turn:
                    body = await self._exchange(call, query, turn, at=at)
                    return await _read(call, body, partial(_in_form, call, form))
            except Unreachable as error:
                if had_its_time(error) and await self._key_check.database() is DatabaseState.AWAY:
                    raise database_away(self._service) from error
                if attempt > most or not may_end_soon(error, self._clock() - asked_at):
                    raise
            await self._pause(_RETRY.pause(attempt))

    async def probe(self, path: str, form: type[T]) -> T:
        """GET `/api/{path}` once, with a short timeout and without the key.

        Raises:
            Refused, Unreachable: as `read`, but never about the key.
        """
        call = self._call(path, None)
        answer = await self._open(call)
        means = row_of(answer).means
        if means is Means.KEY_OR_DATABASE:
            raise Refused(self._service, answer.words, status=answer.status)
        failed = error_in(answer, means, self._clock())
        if failed is not None:
            raise failed
        return _in_form(call, form, answer.body)

    async def change(self, path: str, body: Mapping[str, Any]) -> str:
        """POST `/api/{path}` exactly once; return the server's message, or "".

        Raises:
            Refused: a 4xx, or `"success": false`.
            Unreachable: no connection, or the server says that it did nothing.
            Unanswered: it was sent, but a timeout, a 5xx or no JSON came back.
        """
        call = self._call(path, body)
        async with AsyncExitStack() as turn:
            answer = await self._exchange(call, {}, turn)
            refused, message = await _read(call, answer, partial(refusal_in, call))
        if refused is not None:
            raise refused
        return message

    async def close(self) -> None:
        """Close the connections; later requests raise Unreachable."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _call(self, path: str, body: Mapping[str, Any] | None) -> Call:
        secrets = (self._key.get_secret_value(),)
        below = urlsplit(self.origin).path
        return Call(self._service, path, body, self._auth, secrets, below)

    async def _exchange(
        self, call: Call, query: Query, turn: AsyncExitStack, *, at: str | None = None
    ) -> bytes:
        """Send once; return the body of a 2xx and raise an error for anything else.

        Args:
            turn: holds the right to a large answer for as long as it is in memory.
        """
        sent_at = self._clock()
        key, limit = self._key.get_secret_value(), self._limits.total_timeout
        headers = {"x-api-key": key}
        if self._auth == "bearer":
            headers = {"Authorization": f"Bearer {key}"}
        answer, whole = await self._sent(
            call, query, at=at, headers=headers, limit=limit, turn=turn
        )
        failed = await self._error_in(answer, sent_at)
        if failed is not None:
            raise failed
        if not whole:
            raise call.lost(f"the answer is larger than {self._limits.max_answer_bytes} bytes")
        return answer.body

    async def _error_in(self, answer: Answer, sent_at: float) -> BridgeError | None:
        """Return the error that an answer means; if it has two causes, ask about the database."""
        means = row_of(answer).means
        match means:
            case Means.KEY_OR_DATABASE:
                return self._refused_key(await self._key_check.refused(sent_at))
            case Means.KEY:
                return self._refused_key(Verdict.KEY)
            case Means.PROVIDER_OR_DATABASE:
                if await self._key_check.database() in (DatabaseState.WELL, DatabaseState.NONE):
                    return no_such_provider(answer)
                means = Means.UNKNOWN
        if means is Means.YES or answer.code is not None:
            self._key_check.accepted()
        return error_in(answer, means, self._clock())

    def _refused_key(self, verdict: Verdict) -> BridgeError:
        return error_of(verdict, self._service, worked=self._key_check.worked, auth=self._auth)

    async def _ask_database(self) -> DatabaseState:
        try:
            answer = await self._open(self._call(PATH, None))
        except BridgeError:
            return DatabaseState.SILENT
        return state_in(answer.status, answer.body)

    async def _open(self, call: Call) -> Answer:
        """Send once, with a short timeout and without the key, whose uses may be limited."""
        limit = min(self._limits.probe_timeout, self._limits.total_timeout)
        answer, _ = await self._sent(call, {}, headers={}, limit=limit, turn=None)
        return answer

    async def _sent(
        self,
        call: Call,
        query: Query,
        *,
        at: str | None = None,
        headers: Mapping[str, str],
        limit: float,
        turn: AsyncExitStack | None,
    ) -> tuple[Answer, bool]:
        """Send once and report the duration; return the answer, and whether it is complete."""
        method, began = "GET" if call.reads else "POST", time.perf_counter()
        try:
            client = self._opened()
            request = client.build_request(
                method,
                f"/api/{at or call.path}",
                params=query or None,
                json=call.body,
                headers=headers,
            )
            async with asyncio.timeout(limit):
                response = await client.send(request, stream=True)
                try:
                    body, whole = await self._body(response, turn)
                finally:
                    await response.aclose()
        except _NOT_SENT as error:
            raise Unreachable(self._service, _named(error, call)) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise call.lost(_named(error, call)) from error
        except TimeoutError as error:
            raise call.lost(f"no whole answer within {limit:g} s") from error
        finally:
            self._observe(self._service, call.path, time.perf_counter() - began)
        self.server_clock.note(response.headers)
        self.has_dashboard = response.headers.get("x-dashboard") != "none"
        headers = {**response.headers, **response.extensions.get(_LOCATION, {})}
        return Answer(call, response.status_code, headers, body), whole

    async def _body(
        self, response: httpx.Response, turn: AsyncExitStack | None
    ) -> tuple[bytes, bool]:
        """Return the answer's bytes up to the limit, and whether that is all."""
        most = self._limits.max_answer_bytes
        if turn is None or response.status_code >= 300:
            most = min(most, MOST_OF_AN_ERROR)
        body = bytearray()
        async for part in _unpacked(response):
            if turn is not None and len(body) <= ALONE < len(body) + len(part):
                await turn.enter_async_context(self._alone)
            body += part
            if len(body) > most:
                return bytes(body[:MOST_OF_AN_ERROR]), False  # nobody reads on
        return bytes(body), True

    def _opened(self) -> httpx.AsyncClient:
        if self._closed:
            raise Unreachable(self._service, "the client is closed")
        if self._client is None:
            limits = self._limits
            self._client = http_client(
                self.origin,
                ca=self._ca,
                direct=self._direct,
                headers={"Accept-Encoding": _PACKED},
                connect=limits.connect_timeout,
                read=limits.read_timeout,
                base_url=self.origin,
                follow_redirects=False,  # a redirect would send the key to another host
                event_hooks={"response": [_set_location_aside]},
                limits=httpx.Limits(
                    max_connections=limits.max_connections,
                    max_keepalive_connections=limits.max_connections,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                ),
                transport=self._transport,
            )
        return self._client


_NOT_SENT = (
    CannotConnect,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
_PACKED = "gzip, deflate"
_PIECE = 64 * 1024


async def _unpacked(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield small pieces of an answer: httpx unpacks all at once that has arrived."""
    if response.headers.get("content-encoding", "identity").strip().lower() == "identity":
        async for piece in response.aiter_bytes():
            yield piece
        return
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # tells the two apart
    try:
        async for packed in response.aiter_raw():
            left = packed
            while left:
                yield unpacker.decompress(left, _PIECE)
                left = unpacker.unconsumed_tail
    except zlib.error as error:
        raise httpx.DecodingError(f"it is not {_PACKED}") from error


_LOCATION = "bridge.location"


async def _set_location_aside(response: httpx.Response) -> None:
    """Keep httpx from reading `Location`: it fails on a bad one, although it follows none."""
    if "location" in response.headers:
        response.extensions[_LOCATION] = {"location": response.headers.pop("location")}


async def _read(call: Call, body: bytes, read: Callable[[bytes], T]) -> T:
    """Parse an answer with `read`; a large one in a thread, so the event loop goes on."""
    if len(body) < LARGE:
        return read(body)
    try:
        must_be_usual(body, "the answer")
    except MalformedPayload as error:
        raise call.lost(str(error)) from None
    return await asyncio.to_thread(read, body)


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    """Return what reads a form: of a list until its first fault, since a million take gigabytes."""
    return TypeAdapter(Annotated[form, Field(fail_fast=True)] if get_origin(form) is list else form)


def _in_form(call: Call, form: type[T], body: bytes) -> T:
    try:
        return cast("T", _adapter(cast("Any", form)).validate_json(body))
    except ValidationError as error:
        if what := instead_of_json(body):
            raise call.not_dokploy(what) from None
        # Not chained: pydantic's message repeats the input, which may be secret.
        first = explained_one(error.errors(include_url=False)[0])
        raise call.lost(fit(f"unexpected answer: {first}", call.secrets)) from None


def _named(error: Exception, call: Call) -> str:
    if plain := why_not_connected(error):
        return fit(plain, call.secrets)
    said = fit(str(error), call.secrets)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


# ── Retries ─────────────────────────────────────────────────────────────────────────────────────

SLOW = 5.0
"""Seconds after which an answer counts as slow, so that its request is not retried."""


def may_end_soon(error: Unreachable, took: float) -> bool:
    """Return whether to retry within a second; callers retry later in any case.

    Args:
        took: seconds until the error came.
    """
    if took > SLOW:
        return False
    if isinstance(error, KeyRefused | DatabaseAway) or error.retry_after is not None:
        return False
    return not had_its_time(error)


def had_its_time(error: Unreachable) -> bool:
    """Return whether the request timed out; while the database is away answers take 6 to 25 s."""
    return isinstance(error.__cause__, httpx.ReadTimeout | TimeoutError)
