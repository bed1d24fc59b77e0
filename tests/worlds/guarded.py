"""The key check of a Dokploy, and its answers while its database is away.

Source: docs/dokploy.md, "401" and "PostgreSQL away".
"""

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridge.backends.dokploy.key_check import PATH as WITNESS
from tests.chaos.recording_backend import Handler, RecordingBackend

UNAUTHORIZED = {"message": "Unauthorized"}
FAILED = {"error": {"json": {"message": "Failed query: SELECT 1\nparams: ", "code": -32603}}}
WELL = {"result": {"data": {"json": {"status": "ok"}}}}


def second(path: str) -> dict[str, Any]:
    """The answer to a key that passes the first check and fails the second."""
    data = {"code": "UNAUTHORIZED", "httpStatus": 401, "path": path, "zodError": None}
    return {"message": "UNAUTHORIZED", "code": "UNAUTHORIZED", "data": data}


@dataclass
class Guard:
    """Sits in front of a backend.

    Attributes:
        database: whether it is available; while it is not, every key is refused.
        refuses: keys that are disabled.
        twice: procedures at which the key fails its second verification.
        refused: the number of refused requests with a key.
    """

    database: bool = True
    refuses: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    refused: int = 0

    def stand_before(self, backend: RecordingBackend) -> "Guard":
        inside = backend.answer

        async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
            if backend.away:
                return await inside(request, handler)
            path = request.path.removeprefix("/api/")
            if path == "health":
                return web.json_response({"ok": True})
            if path == WITNESS:
                said, status = (WELL, 200) if self.database else (FAILED, 500)
                return web.json_response(said, status=status)
            if not self.database or request.headers.get("x-api-key") in self.refuses:
                self.refused += 1
                return web.json_response(UNAUTHORIZED, status=401)
            if path in self.twice:
                self.refused += 1
                return web.json_response(second(path), status=401)
            return await inside(request, handler)

        backend.answer = answer  # type: ignore[method-assign]
        return self
