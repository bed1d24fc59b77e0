"""The public listener: routes, connections, `/healthz`, `/readyz`, and requests of chats."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from socket import socket

from aiohttp import web

from bridge.core.errors import Rejected
from bridge.core.refused import Senders, path_of
from bridge.listening.arriving import body_of
from bridge.listening.listener import (
    NOTHING_THERE,
    STOP_SECONDS,
    Listener,
    Refusing,
    share_of_files,
)
from bridge.listening.log import RateLimitedLog
from bridge.pipeline.deciding.ingest import Ingest
from bridge.ports.chats import ChatDoor
from bridge.web.answers import WRONG, Insiders, Refusal, answer, length_of, refusal, status_and_why
from bridge.web.browsers import refusal_to
from bridge.web.challenge import IS_CHALLENGE, proof_of
from bridge.web.challenge import PATH as CHALLENGES
from bridge.web.fast_connections import QuickDoor
from bridge.web.fast_webhooks import WebhookConnection
from bridge.web.hooks import (
    BodyLimits,
    Handler,
    Hooks,
    Note,
    expect_later,
    means_a_webhook,
)
from bridge.web.metrics import Metrics, metrics_route

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Returns the problem, in words; None if there is none."""

FRESH = 0.5
"""Seconds for which a result is cached, so frequent probes cost no more."""

PATIENCE = 5.0
"""Seconds for a part to answer: a silent database must not block the report about it."""

AWAY = "does not work; the log says why"
"""The state of a failing part for outsiders; details may contain addresses and user names."""


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process is alive; check nothing else."""
    return answer(200, status="ok")


class Readiness:
    """Checks every part, once for all concurrent requests; logs each problem once."""

    def __init__(
        self,
        checks: Mapping[str, Check],
        clock: Callable[[], float] = time.monotonic,
        *,
        patience: float = PATIENCE,
    ) -> None:
        self._checks = checks
        self._timing = patience
        self._clock = clock
        self._looking: asyncio.Task[dict[str, str | None]] | None = None
        self._since = 0.0
        self._wrong: dict[str, str | None] = {}

    async def wrong(self) -> Mapping[str, str | None]:
        """Return the problem of each part; None if it has none."""
        task, now = self._looking, self._clock()
        if task is None or (task.done() and now - self._since >= FRESH):
            task = self._looking = asyncio.create_task(self._look(), name="readiness")
            self._since = now
        return await asyncio.shield(task)

    async def _look(self) -> dict[str, str | None]:
        told = await asyncio.gather(*(self._told(check) for check in self._checks.values()))
        found = dict(zip(self._checks, told, strict=True))
        for name, why in found.items():
            if why != self._wrong.get(name):
                level = logging.INFO if why is None else logging.WARNING
                log.log(level, "a part is %s", "ready" if why is None else "not ready",
                        extra={"part": name, "why": why})  # fmt: skip
        self._wrong = found
        return found

    async def _told(self, check: Check) -> str | None:
        try:
            async with asyncio.timeout(self._timing):
                return await check()
        except TimeoutError:
            return f"it has not answered for {self._timing:g} s"


Beside = Callable[[], Awaitable[Mapping[str, str]]]
"""Further lines for insiders, by name; they do not affect readiness."""


async def nothing_beside() -> Mapping[str, str]:
    """Return no further lines."""
    return {}


def readyz(
    checks: Mapping[str, Check], insiders: Insiders, beside: Beside = nothing_beside
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that reports every part; 503 if one has a problem.

    The response is JSON with one line per part, so `grep` and people can read it as well. A backend
    that is away leaves the bridge ready, because it still accepts webhooks.
    """
    readiness = Readiness(checks)

    async def handle(request: web.Request) -> web.Response:
        wrong = await readiness.wrong()
        told = insiders(request)
        parts = {name: (why if told else AWAY) if why else "ok" for name, why in wrong.items()}
        if told:
            parts |= await beside()
        ready = not any(wrong.values())
        status = {"status": "ready" if ready else "not ready"}
        body = json.dumps(status | parts, indent=0, ensure_ascii=False) + "\n"
        return web.Response(
            status=200 if ready else 503, text=body, content_type="application/json"
        )

    return handle


# ── routes ──────────────────────────────────────────────────────────────────────────────────────

_sparing = RateLimitedLog(logging.getLogger(__name__))

MAX_BODY = 2 * 2**20
"""Bytes: a dialog has at most 250 KB, and returns with the entered values."""

BODY_TIMEOUT = 5.0
"""Seconds; a chat waits no longer for its response anyway."""


def chat_route(name: str, door: ChatDoor) -> Handler:
    """Return the handler of a chat's route; it rejects what it can before it reads the body."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            if request.method != "POST":
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "it is sent with POST")
            opened = door.open(request.headers)
            length = length_of(request.content_length, MAX_BODY)
            body = await body_of(request, BODY_TIMEOUT, length)
            said = await door.take(opened, request.headers, bytes(body))
        except WRONG as error:
            status, why = status_and_why(error, "the body did not arrive in time")
            _sparing.info("request refused", chat=name, status=int(status), why=why)
            return refusal(status, why)
        return web.Response(
            status=said.status, text=said.body, content_type=said.content_type, charset="utf-8"
        )

    return handle


def challenge_route(key: str) -> Handler:
    """Return the handler of challenges, which proves that this installation answers.

    It reads no body: `doctor` announces a large one, to find out whether a proxy takes it.
    """

    async def handle(request: web.Request) -> web.Response:
        challenge = request.match_info["challenge"]
        if not IS_CHALLENGE(challenge):
            return refusal(HTTPStatus.NOT_FOUND, NOTHING_THERE)
        response = answer(HTTPStatus.OK, proof=proof_of(key, challenge))
        response.headers["Cache-Control"] = "no-store"
        response.force_close()
        return response

    return handle


# ── the listener ─────────────────────────────────────────────────────────────────────────────────

HOOKS = web.AppKey("HOOKS", tuple[Hooks, tuple[str, ...]])
"""The handler of webhooks, and the hosts it serves."""

METRICS = web.AppKey("METRICS", Metrics)
"""Counts connections that are closed to make room."""

OTHER_FILES = 256
"""Open files that are reserved for databases, backends, Git hosts and builds."""

BACKLOG = 1024
"""Connections that wait in the kernel, e.g. while the bridge starts anew."""


def routes(
    ingest: Ingest,
    senders: Senders,
    limits: BodyLimits,
    checks: dict[str, Check],
    metrics: Metrics | None = None,
    metrics_token: str | None = None,
    chats: Mapping[str, ChatDoor] | None = None,
    *,
    hears: bool = True,
    challenge_key: str = "",
    beside: Beside = nothing_beside,
    note: Note = lambda *_: None,
    pages: Iterable[web.RouteDef] = (),
) -> web.Application:
    """Return the public surface; see docs/operating.md.

    Args:
        senders: all Git hosts.
        hears: whether webhooks arrive here; a worker serves only its health.
        challenge_key: proves that this installation answers; "": nothing does.
        note: called for refused webhooks.
        beside: further lines about backends and chats for insiders; metrics name them, too.
        pages: further routes, for people.
    """
    app = web.Application(client_max_size=limits.max_body)
    hosts = tuple(senders) if hears else ()
    count = metrics.webhook if metrics else lambda *_: None
    hooks = Hooks(ingest, senders, limits, count, note)
    app[HOOKS] = hooks, hosts
    if metrics is not None:
        app[METRICS] = metrics
    for host in hosts:
        path, handler = path_of(host), hooks.handler(host)
        app.router.add_route("*", path, handler, expect_handler=expect_later)
    for chat, door in (chats or {}).items():
        path, handle = f"/{chat}/events", chat_route(chat, door)
        app.router.add_route("*", path, handle, expect_handler=expect_later)
    if hears and challenge_key:
        path, handler = f"{CHALLENGES}{{challenge}}", challenge_route(challenge_key)
        for method in ("GET", "POST"):
            app.router.add_route(method, path, handler, expect_handler=expect_later)
    app.router.add_routes(pages)
    app.router.add_get("/healthz", healthz)
    insiders = Insiders(metrics_token)
    app.router.add_get("/readyz", readyz(checks, insiders, beside))
    if metrics is not None:
        app.router.add_get("/metrics", metrics_route(metrics, insiders, beside))
    unknown = unknown_route(hooks, hears=hears)
    app.router.add_route("*", r"/{path:[\s\S]*}", unknown, expect_handler=expect_later)
    return app


class WebServer(Listener):
    """Serves the public surface: webhooks by the fast path, everything else by aiohttp."""

    def __init__(
        self, app: web.Application, host: str, port: int, sockets: Sequence[socket] = ()
    ) -> None:
        self._hooks, self._hosts = app[HOOKS]
        metrics = app.get(METRICS)
        self._closed = metrics.connection_closed if metrics else lambda: None
        super().__init__(
            app,
            host,
            port,
            name="bridge.web.http",
            most=most_connections(),
            say=refusal,
            inherited=sockets,
            backlog=BACKLOG,
        )
        self.settings["auto_decompress"] = False  # signatures and limits are of bytes as sent
        self._door: QuickDoor | None = None

    async def start(self) -> None:
        """Bind and serve; raise Rejected if the address is not available."""
        try:
            await super().start()
        except OSError as error:
            raise Rejected(
                f"can't listen on {self._host}:{self._port} ({error.strerror});"
                " choose another with --port or PORT"
            ) from error

    def protocols(self, server: web.Server) -> Callable[[], asyncio.Protocol]:
        aiohttp = Refusing(server, refusal, self.settings, self._hooks.arrivals)
        self._door = QuickDoor(
            self._hooks, self._hosts, aiohttp, self._keepalive, self._most, self._closed
        )
        return partial(WebhookConnection, self._door)

    async def stop(self) -> None:
        await asyncio.shield(super().stop())

    async def end(self) -> None:
        door, self._door = self._door, None
        if door is not None:
            await door.stop(STOP_SECONDS)


def most_connections() -> int:
    """Return the limit of connections: each is an open file, and other parts need some."""
    return share_of_files(1, 4096, others=OTHER_FILES)


def unknown_route(hooks: Hooks, *, hears: bool) -> Handler:
    """Return the handler of all other paths; it tells a misdirected webhook the right one."""

    async def handle(request: web.Request) -> web.Response:
        path, headers = request.path[:200], request.headers
        if hears and means_a_webhook(request.method, path, headers, hooks.senders):
            return refusal(404, hooks.astray(path, headers, request.remote or ""))
        return refusal_to(request, 404, NOTHING_THERE)

    return handle
