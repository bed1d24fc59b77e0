"""The one place that talks HTTP to Dokploy: headers, limits, retries, and errors of ours."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from bridge.backends.dokploy.answers import (
    Answer,
    Call,
    Means,
    error_in,
    fit,
    no_such_provider,
    refusal_in,
    row_of,
)
from bridge.backends.dokploy.limits import (
    Limits,
    ServerClock,
    checked_key,
    checked_url,
    had_its_time,
    may_end_soon,
)
from bridge.backends.dokploy.witness import (
    PATH,
    Judge,
    Verdict,
    Witness,
    database_away,
    error_of,
    witness_in,
)
from bridge.core.errors import BridgeError, Refused, Unreachable
from bridge.core.misfits import misfit
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
        direct: bool,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
        pause: Pause,
        observe: Observe,
    ) -> None:
        self.origin = checked_url(service, url)
        self._key = checked_key(service, api_key)
        self._service = service
        self._auth = auth
        self._limits = limits
        self._verify = verify
        self._ca = ca
        self._direct = direct or urlsplit(self.origin).hostname in _LOOPBACK
        self._transport = transport
        self._clock = clock
        self._pause = pause
        self._observe = observe
        self._client: httpx.AsyncClient | None = None
        self._closed = False
        self._judge = Judge(self._witness, clock)
        self.server_clock = ServerClock(clock)
        self.has_dashboard = True  # the embedded backend, which answers as a Dokploy, has none

    async def read(
        self,
        path: str,
        form: TypeAdapter[T],
        query: Query = MappingProxyType({}),
        *,
        at: str | None = None,
        retries: int | None = None,
    ) -> T:
        """GET `/api/{path}`; asked again a little where nothing or nonsense came back.

        Args:
            form: what the answer must look like; fields that it does not name are dropped here.
            at: the address below `/api`, where `path` is only the name of the question.
            retries: how often it is tried again; None: as often as is set.

        Raises:
            Refused: a 4xx.
            Unreachable: every answer that did not come whole, and a key that is not accepted.
        """
        left = self._limits.read_retries if retries is None else retries
        pause = _FIRST_PAUSE
        while True:
            call, asked_at = self._call(path, None), self._clock()
            try:
                return _in_form(call, form, await self._exchange(call, query, at=at))
            except Unreachable as error:
                if had_its_time(error) and await self._judge.database() is Witness.AWAY:
                    raise database_away(self._service) from error
                if left <= 0 or not may_end_soon(error, self._clock() - asked_at):
                    raise
            left -= 1
            await self._pause(pause)
            pause *= 3

    async def probe(self, path: str, form: TypeAdapter[T]) -> T:
        """GET `/api/{path}` once, for a short time and without the key.

        Raises:
            Refused, Unreachable: as `read` does, but nothing that it says is about our key.
        """
        call = self._call(path, None)
        answer, _ = await self._open(call)
        means = row_of(answer).means
        if means is Means.KEY_OR_DATABASE:
            raise Refused(self._service, answer.words, status=answer.status)
        failed = error_in(answer, means, self._clock())
        if failed is not None:
            raise failed
        return _in_form(call, form, answer.body)

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
        return Call(self._service, path, body, self._auth, secrets)

    async def _exchange(self, call: Call, query: Query, *, at: str | None = None) -> bytes:
        """Send once and return the body of a 2xx; anything else is raised."""
        sent_at = self._clock()
        headers, limit = self._key_header(), self._limits.total
        answer, whole = await self._observed(call, query, at=at, headers=headers, limit=limit)
        failed = await self._error_in(answer, sent_at)
        if failed is not None:
            raise failed
        if not whole:
            raise call.lost(f"the answer is larger than {self._limits.answer_bytes} bytes")
        return answer.body

    async def _error_in(self, answer: Answer, sent_at: float) -> BridgeError | None:
        """Return the error that an answer means, with the witness where it has two causes."""
        means = row_of(answer).means
        match means:
            case Means.KEY_OR_DATABASE:
                return self._refused_key(await self._judge.refused(sent_at))
            case Means.KEY:
                return self._refused_key(Verdict.KEY)
            case Means.PROVIDER_OR_DATABASE:
                if await self._judge.database() in (Witness.WELL, Witness.NONE):
                    return no_such_provider(answer)
                means = Means.UNKNOWN
        if means is Means.YES or answer.code is not None:
            self._judge.accepted()
        return error_in(answer, means, self._clock())

    def _refused_key(self, verdict: Verdict) -> BridgeError:
        return error_of(verdict, self._service, worked=self._judge.worked, auth=self._auth)

    async def _witness(self) -> Witness:
        try:
            answer, _ = await self._open(self._call(PATH, None))
        except BridgeError:
            return Witness.SILENT
        return witness_in(answer.status, answer.body)

    async def _open(self, call: Call) -> tuple[Answer, bool]:
        """Ask once, shortly and without the key, which is neither used up nor proved by it."""
        limit = min(self._limits.probe, self._limits.total)
        return await self._observed(call, {}, headers={}, limit=limit)

    async def _observed(
        self,
        call: Call,
        query: Query,
        *,
        at: str | None = None,
        headers: Mapping[str, str],
        limit: float,
    ) -> tuple[Answer, bool]:
        """Send once, and tell how long it took."""
        began = time.perf_counter()
        try:
            return await self._sent(call, at or call.path, query, headers, limit)
        finally:
            self._observe(self._service, call.path, time.perf_counter() - began)

    async def _sent(
        self, call: Call, at: str, query: Query, headers: Mapping[str, str], limit: float
    ) -> tuple[Answer, bool]:
        """Send once; returns the answer and whether it came whole."""
        client = self._opened()
        method = "GET" if call.reads else "POST"
        request = client.build_request(
            method, f"/api/{at}", params=query or None, json=call.body, headers=headers
        )
        try:
            async with asyncio.timeout(limit):
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
            raise call.lost(f"no whole answer within {limit:g} s") from error
        self.server_clock.note(response.headers)
        self.has_dashboard = response.headers.get("x-dashboard") != "none"
        return Answer(call, response.status_code, response.headers, body), whole

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
                trust_env=not self._direct,
            )
        return self._client

    def _trust(self) -> ssl.SSLContext | bool:
        if urlsplit(self.origin).scheme == "http":
            return False  # redirects are not followed, so no certificate is ever checked
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
        first = misfit(error.errors(include_url=False)[0])
        raise call.lost(fit(f"unexpected answer: {first}", call.secrets)) from None


def _named(error: Exception, call: Call) -> str:
    said = fit(str(error), call.secrets)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
