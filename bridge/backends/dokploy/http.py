"""The one place that talks HTTP to Dokploy: headers, limits, retries, and errors of ours."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from bridge.backends.dokploy.answers import Call, error_in, refusal_in
from bridge.backends.dokploy.words import fit
from bridge.core.errors import Rejected, Unreachable
from bridge.ports.clock import Clock
from bridge.ports.figures import Observe

Auth = Literal["api-key", "bearer"]
Query = Mapping[str, str | int]
Pause = Callable[[float], Awaitable[None]]
T = TypeVar("T")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Node closes idle connections after 5 s. A request sent into one that is just being closed is
# lost without a trace, and a lost deploy can't be repeated: so ours are dropped sooner.
_KEEPALIVE_SECONDS = 4.0
_FIRST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Limits:
    """How long, how much and how often; seconds and bytes.

    Attributes:
        connect: to open a connection, and to wait for a free one.
        read: without a byte arriving.
        total: for one request and its whole answer.
        connections: open at the same time.
        read_retries: how often a read is tried again; mutations never are.
    """

    connect: float = 5.0
    read: float = 20.0
    total: float = 60.0
    connections: int = 16
    read_retries: int = 2
    answer_bytes: int = 16 * 2**20


class Http:
    """Requests to one Dokploy server; opens nothing before the first one."""

    def __init__(
        self,
        service: str,
        url: str,
        api_key: SecretStr,
        *,
        auth: Auth,
        limits: Limits,
        verify: bool,
        ca: str | None,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
        pause: Pause,
        observe: Observe,
    ) -> None:
        self.origin = _checked_url(service, url)
        self._key = _checked_key(service, api_key)
        self._service = service
        self._auth = auth
        self._limits = limits
        self._verify = verify
        self._ca = ca
        self._transport = transport
        self._clock = clock
        self._pause = pause
        self._observe = observe
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._key_worked = False

    async def read(
        self,
        path: str,
        form: TypeAdapter[T],
        query: Query = MappingProxyType({}),
        *,
        at: str | None = None,
        retries: int | None = None,
        with_key: bool = True,
    ) -> T:
        """GET `/api/{path}`; asked again a little where nothing or nonsense came back.

        Args:
            form: what the answer must look like; fields that it does not name are dropped here.
            at: the address below `/api`, where `path` is only the name of the question.
            with_key: False for the health probe, which needs none and must not use the key up.
        """
        left = self._limits.read_retries if retries is None else retries
        pause = _FIRST_PAUSE
        while True:
            call = self._call(path, None)
            try:
                body = await self._exchange(call, query, at=at, with_key=with_key)
                return _in_form(call, form, body)
            except Unreachable as error:
                # One that asks for patience gets it: the caller sees `retry_after`.
                if left <= 0 or error.retry_after is not None:
                    raise
            left -= 1
            await self._pause(pause)
            pause *= 3

    async def change(self, path: str, body: Mapping[str, Any]) -> str:
        """POST `/api/{path}`, exactly once; returns the server's message, or "".

        Raises:
            Refused: a 4xx, or `"success": false`.
            Unreachable: no connection, or the server says that it did nothing.
            Unanswered: sent, but a time-out, a 5xx or no JSON came back.
        """
        call = self._call(path, body)
        refused, message = refusal_in(call, await self._exchange(call, {}))
        if refused is not None:
            raise refused
        return message

    async def close(self) -> None:
        """Let go of the connections; later requests raise Unreachable."""
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _call(self, path: str, body: Mapping[str, Any] | None) -> Call:
        secrets = (self._key.get_secret_value(),)
        return Call(self._service, path, body, self._auth, self._key_worked, secrets)

    async def _exchange(
        self, call: Call, query: Query, *, at: str | None = None, with_key: bool = True
    ) -> bytes:
        """Send once and return the body of a 2xx; anything else is raised."""
        began = time.perf_counter()
        try:
            return await self._sent(call, query, at=at or call.path, with_key=with_key)
        finally:
            self._observe(self._service, call.path, time.perf_counter() - began)

    async def _sent(self, call: Call, query: Query, *, at: str, with_key: bool) -> bytes:
        client = self._opened()
        headers = self._key_header() if with_key else {}
        method = "GET" if call.reads else "POST"
        request = client.build_request(
            method, f"/api/{at}", params=query or None, json=call.body, headers=headers
        )
        try:
            async with asyncio.timeout(self._limits.total):
                response = await client.send(request, stream=True)
                try:
                    body, whole = await self._body(response)
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreachable(self._service, _named(error, call)) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise call.lost(_named(error, call)) from error
        except TimeoutError as error:
            raise call.lost(f"no whole answer within {self._limits.total:g} s") from error
        failed = error_in(call, response.status_code, response.headers, body, self._clock())
        if failed is not None:
            raise failed
        self._key_worked = self._key_worked or with_key
        if not whole:
            raise call.lost(f"the answer is larger than {self._limits.answer_bytes} bytes")
        return body

    async def _body(self, response: httpx.Response) -> tuple[bytes, bool]:
        """The answer's bytes up to the limit, and whether that was all."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._limits.answer_bytes:
                return b"".join(parts)[: self._limits.answer_bytes], False
        return b"".join(parts), True

    def _key_header(self) -> dict[str, str]:
        key = self._key.get_secret_value()
        return {"x-api-key": key} if self._auth == "api-key" else {"Authorization": f"Bearer {key}"}

    def _opened(self) -> httpx.AsyncClient:
        if self._closed:
            raise Unreachable(self._service, "the client is closed")
        if self._client is None:
            limits = self._limits
            self._client = httpx.AsyncClient(
                base_url=self.origin,
                follow_redirects=False,  # a redirect must not carry the key to another host
                timeout=httpx.Timeout(limits.read, connect=limits.connect, pool=limits.connect),
                limits=httpx.Limits(
                    max_connections=limits.connections,
                    max_keepalive_connections=limits.connections,
                    keepalive_expiry=_KEEPALIVE_SECONDS,
                ),
                verify=self._trust(),
                transport=self._transport,
                # No proxy of the environment stands between us and our own machine.
                trust_env=urlsplit(self.origin).hostname not in _LOOPBACK,
            )
        return self._client

    def _trust(self) -> ssl.SSLContext | bool:
        if self._ca is None or not self._verify:
            return self._verify
        try:
            return ssl.create_default_context(cafile=self._ca)
        except OSError as error:
            why = f"the certificate file {self._ca} can't be read: {type(error).__name__}"
            raise Unreachable(self._service, why) from error


def _in_form(call: Call, form: TypeAdapter[T], body: bytes) -> T:
    try:
        return form.validate_json(body)
    except ValidationError as error:
        # Not chained: pydantic's message repeats what it was given, which may be secret.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        why = f"unexpected answer{f' at {where}' if where else ''}: {first['msg']}"
        raise call.lost(fit(why, call.secrets)) from None


def _named(error: Exception, call: Call) -> str:
    said = fit(str(error), call.secrets)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _checked_url(service: str, url: str) -> str:
    """The server's address without a trailing `/` or `/api`."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        _ = httpx.URL(url.strip()).host  # a name that can't be written in a header
    except (ValueError, httpx.InvalidURL) as error:
        raise Rejected(f"{service}: the url has no valid host and port") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Rejected(f"{service}: the url must look like https://dokploy.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Rejected(f"{service}: the url may hold no user, password, query or fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix("/api")
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def _checked_key(service: str, key: SecretStr) -> SecretStr:
    value = key.get_secret_value().strip()
    if not value or not value.isascii() or not value.isprintable():
        raise Rejected(f"{service}: the API key is empty or has characters that no key has")
    return SecretStr(value)
