"""A Dokploy that answers from a table, and a client that talks to it."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, AppKind

KEY = "bridge_s3cret-key"
Reply = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
Make = Callable[..., Dokploy]


@dataclass
class Table:
    """What to answer to which path; a list is used up one by one, its last one stays."""

    replies: dict[str, Reply | list[Reply]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    now: float = 1_800_000_000.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path = request.url.path.removeprefix("/api/")
        reply = self.replies.get(path) or not_found(path)
        if isinstance(reply, list):
            reply = reply.pop(0) if len(reply) > 1 else reply[0]
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else reply

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def paths(self) -> list[str]:
        return [request.url.path.removeprefix("/api/") for request in self.requests]

    @property
    def sent(self) -> Any:
        """The JSON of the only request."""
        (request,) = self.requests
        return json.loads(request.content)

    @property
    def asked(self) -> tuple[str, dict[str, str]]:
        """Path and query of the only request."""
        (request,) = self.requests
        assert request.method == "GET"
        assert not request.content
        return request.url.path.removeprefix("/api/"), dict(request.url.params)


def not_found(path: str) -> httpx.Response:
    data = {"code": "NOT_FOUND", "httpStatus": 404, "path": path, "zodError": None}
    return httpx.Response(404, json={"message": "Not found", "code": "NOT_FOUND", "data": data})


def ok(body: Any = True) -> httpx.Response:
    return httpx.Response(200, json=body)


def empty() -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "application/json"})


def trpc(status: int, message: str, code: str, path: str = "x.y") -> httpx.Response:
    data = {"code": code, "httpStatus": status, "path": path, "zodError": None}
    return httpx.Response(status, json={"message": message, "code": code, "data": data})


WELL = ok({"result": {"data": {"json": {"status": "ok"}}}})
GONE = httpx.Response(500, json={"error": {"json": {"message": "Failed query: SELECT 1"}}})


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
async def build(table: Table) -> AsyncIterator[Callable[..., Dokploy]]:
    made: list[Dokploy] = []

    def make(**settings: Any) -> Dokploy:
        given: dict[str, Any] = {
            "url": "https://dokploy.test",
            "api_key": KEY,
            "transport": httpx.MockTransport(table),
            "clock": lambda: table.now,
            "pause": table.pause,
        } | settings
        made.append(Dokploy(**given))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def dokploy(build: Callable[..., Dokploy]) -> Dokploy:
    return build()


@pytest.fixture
def web() -> App:
    return App(id="app_def456", name="web", project="shop")


@pytest.fixture
def stack() -> App:
    return App(id="stack_1", name="raw", project="shop", kind=AppKind.COMPOSE)
