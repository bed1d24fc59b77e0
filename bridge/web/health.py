"""`/healthz` and `/readyz`: alive, and able to store and work."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from bridge.web.answers import Insiders, answer

log = logging.getLogger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Returns what is wrong, in words; None if nothing is."""

FRESH = 0.5
"""Seconds for which a result is cached: frequent probes cost no more than that."""

PATIENCE = 5.0
"""Seconds for a part to answer; a silent database must not keep us from saying so."""

AWAY = "does not work; the log says why"
"""What strangers are told of a part: the words may hold addresses and names of users."""


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process is alive; nothing else is looked at."""
    return answer(200, status="ok")


class Readiness:
    """Checks every part, once for all that ask at a time; logs each problem once."""

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
            return f"it says nothing for {self._timing:g} s"


Beside = Callable[[], Awaitable[Mapping[str, str]]]
"""Further lines for insiders, by name; they do not make the bridge less ready."""


async def nothing_beside() -> Mapping[str, str]:
    """Return no further lines."""
    return {}


def readyz(
    checks: Mapping[str, Check], insiders: Insiders, beside: Beside = nothing_beside
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that reports every part; 503 if one has a problem.

    The answer is JSON with one line for each part, so that `grep` and people can read it as well. A
    backend that is away leaves the bridge ready: it takes webhooks all the same.
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
