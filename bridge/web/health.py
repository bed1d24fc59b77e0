"""`/healthz` and `/readyz`: alive, and able to store and work."""

import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.web.answers import answer

Check = Callable[[], Awaitable[str | None]]
"""What is wrong, in words; None when nothing is."""


async def healthz(_request: web.Request) -> web.Response:
    """The process answers; nothing else is looked at."""
    return answer(200, status="ok")


def readyz(checks: dict[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that runs every check and says how each part is; 503 when something is wrong.

    It is JSON with one line for each part, so that `grep` and people can read it as well.
    """

    async def handle(_request: web.Request) -> web.Response:
        wrong = {name: await check() for name, check in checks.items()}
        parts = {name: why or "ok" for name, why in wrong.items()}
        ready = not any(wrong.values())
        status = {"status": "ready" if ready else "not ready"}
        body = json.dumps(status | parts, indent=0, ensure_ascii=False) + "\n"
        return web.Response(
            status=200 if ready else 503, text=body, content_type="application/json"
        )

    return handle
