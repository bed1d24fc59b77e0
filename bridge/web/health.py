"""`/healthz` and `/readyz`: alive, and able to store and work."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from bridge.web.answers import answer

Check = Callable[[], Awaitable[str | None]]
"""What is wrong, in words; None when nothing is."""


async def healthz(_request: web.Request) -> web.Response:
    """The process answers; nothing else is looked at."""
    return answer(200, status="ok")


def readyz(checks: dict[str, Check]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that runs every check and says what is wrong; 503 when something is."""

    async def handle(_request: web.Request) -> web.Response:
        wrong = {name: why for name, check in checks.items() if (why := await check())}
        if wrong:
            return answer(503, status="not ready", wrong=wrong)
        return answer(200, status="ready")

    return handle
