"""A proxy before a backend that loses answers, on loopback."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from aiohttp import web

from tests.chaos.dokploy.faults import Fault, cut_off
from tests.fakes.serving import served


@dataclass
class LossyProxy:
    """Forwards requests unless a fault is due.

    Attributes:
        once: by procedure, a fault for each of the next requests.
        always: by procedure, a fault for all others.
        away_after: from the next request of this procedure on, no request is answered.
        writes, reads: the procedures that were called to change something, and to read, including
            failed ones.
    """

    upstream: httpx.AsyncClient
    url: str = ""
    once: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    always: dict[str, Fault] = field(default_factory=dict)
    away_after: str = ""
    away: bool = False
    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        procedure = request.path.removeprefix("/api/")
        (self.writes if request.method == "POST" else self.reads).append(procedure)
        if self.away:
            return cut_off(request)
        if procedure == self.away_after:
            self.away = True
        if due := self.once[procedure]:
            return await due.pop(0)(request, self._passed)
        if fault := self.always.get(procedure):
            return await fault(request, self._passed)
        return await self._passed(request)

    def heal(self) -> None:
        """Lose nothing from now on."""
        self.once.clear()
        self.always.clear()
        self.away, self.away_after = False, ""
        self.writes.clear()
        self.reads.clear()

    async def _passed(self, request: web.Request) -> web.StreamResponse:
        answer = await self.upstream.request(
            request.method,
            request.path_qs,
            content=await request.read(),
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
        )
        kind = answer.headers.get("content-type", "application/json")
        return web.Response(
            body=answer.content, status=answer.status_code, headers={"Content-Type": kind}
        )


@asynccontextmanager
async def lossy(upstream: httpx.AsyncClient) -> AsyncIterator[LossyProxy]:
    """Run one in front of the backend of a client, with the client's key."""
    proxy = LossyProxy(upstream)
    app = web.Application()
    app.router.add_route("*", "/api/{rest:.*}", proxy.answer)
    async with served(app) as proxy.url:
        yield proxy
