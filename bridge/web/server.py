"""The public listener: routes, and how connections are treated."""

import asyncio
import resource
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from bridge.core.errors import Rejected
from bridge.core.refused import means_a_webhook
from bridge.journey.ingest import Ingest
from bridge.listening.crowd import count_nothing as none_closed
from bridge.listening.listener import FEWEST_CONNECTIONS, KEEPALIVE_SECONDS
from bridge.listening.quiet import nameless, quiet_logger
from bridge.listening.refusing import Refusing
from bridge.ports.chats import ChatDoor
from bridge.web.answers import refusal
from bridge.web.chat import chat_route
from bridge.web.health import Beside, Check, healthz, nothing_beside, readyz
from bridge.web.hooks import (
    BodyLimits,
    Handler,
    Hooks,
    Note,
    count_nothing,
    expect_later,
    note_nothing,
)
from bridge.web.insiders import Insiders
from bridge.web.metrics import Metrics, metrics_route
from bridge.web.quick.door import QuickDoor
from bridge.web.quick.webhooks import WebhookConnection

HOOKS = web.AppKey("HOOKS", tuple[Hooks, tuple[str, ...]])
"""What takes webhooks, and from which hosts."""

METRICS = web.AppKey("METRICS", Metrics)
"""Where connections are counted that are closed since there are too many."""

MOST_CONNECTIONS = 4096
OTHER_FILES = 256
"""Files that are left to databases, backends, Git hosts and builds."""

STOP_SECONDS = 5.0
"""For what is under way when the listener stops."""


def routes(
    ingest: Ingest,
    hosts: Iterable[str],
    limits: BodyLimits,
    checks: dict[str, Check],
    metrics: Metrics | None = None,
    metrics_token: str | None = None,
    chats: Mapping[str, ChatDoor] | None = None,
    *,
    beside: Beside = nothing_beside,
    note: Note = note_nothing,
) -> web.Application:
    """The public surface; see product.md.

    Args:
        note: is told of refused webhooks.
        beside: what insiders are told of backends, besides how the bridge's own parts are.
    """
    app = web.Application(client_max_size=limits.max_body)
    hosts = tuple(hosts)
    hooks = Hooks(ingest, limits, metrics.webhook if metrics else count_nothing, note)
    app[HOOKS] = hooks, hosts
    if metrics is not None:
        app[METRICS] = metrics
    for host in hosts:
        path, handler = f"/hooks/{host}", hooks.handler(host)
        app.router.add_route("*", path, handler, expect_handler=expect_later)
    for chat, door in (chats or {}).items():
        path, handle = f"/{chat}/events", chat_route(chat, door)
        app.router.add_route("*", path, handle, expect_handler=expect_later)
    app.router.add_get("/healthz", healthz)
    insiders = Insiders(metrics_token)
    app.router.add_get("/readyz", readyz(checks, insiders, beside))
    if metrics is not None:
        app.router.add_get("/metrics", metrics_route(metrics, insiders))
    app.on_response_prepare.append(nameless)
    unknown = unknown_route(hooks, hosts)
    app.router.add_route("*", r"/{path:[\s\S]*}", unknown, expect_handler=expect_later)
    return app


class WebServer:
    """Serves `app` on one address until stopped."""

    def __init__(self, app: web.Application, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None
        self._door: QuickDoor | None = None
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and serve; raises Rejected when the address can't be had."""
        settings: dict[str, Any] = {
            "access_log": None,  # a quarter of the throughput
            "auto_decompress": False,  # signatures are over the bytes as sent, and so are limits
            "logger": quiet_logger("bridge.web.http"),
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": 0,
        }
        self._runner = web.AppRunner(
            self._app, handle_signals=False, shutdown_timeout=STOP_SECONDS, **settings
        )
        await self._runner.setup()
        assert self._runner.server is not None
        aiohttp = Refusing(self._runner.server, refusal, settings)
        metrics = self._app.get(METRICS)
        closed = metrics.connection_closed if metrics else none_closed
        self._door = QuickDoor(
            *self._app[HOOKS], aiohttp, KEEPALIVE_SECONDS, most_connections(), closed
        )
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                partial(WebhookConnection, self._door), self._host, self._port, backlog=1024
            )
        except OSError as error:
            await self.stop()
            raise Rejected(
                f"can't listen on {self._host}:{self._port} ({error.strerror});"
                " choose another with --port or PORT"
            ) from error
        self._port = self._listener.sockets[0].getsockname()[1]

    @property
    def url(self) -> str:
        """Where it listens, with the port that it got."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host  # noqa: S104 - compared, not bound
        return f"http://{host}:{self._port}"

    async def stop(self) -> None:
        """Stop taking requests, finish those under way."""
        await asyncio.shield(self._stop())

    async def _stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        door, self._door = self._door, None
        if door is not None:
            await door.stop(STOP_SECONDS)
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


def most_connections() -> int:
    """How many connections are had at a time: each is an open file, and others need some."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, files - OTHER_FILES))


def unknown_route(hooks: Hooks, hosts: Iterable[str]) -> Handler:
    """The handler of all other paths; a webhook that went astray is told where to go."""
    takes_webhooks = bool(tuple(hosts))

    async def handle(request: web.Request) -> web.Response:
        path, headers = request.path[:200], request.headers
        if takes_webhooks and means_a_webhook(request.method, path, headers):
            return refusal(404, hooks.astray(path, headers, request.remote or ""))
        return refusal(404, f"there is nothing at {path}")

    return handle
