"""The HTTP API: authentication, reading, the procedure, and errors in the server's form."""

import asyncio
import contextlib
import hmac
import json
import logging
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.embedded.http.inputs import Input, Nothing
from bridge.embedded.http.procedure import Empty, health
from bridge.embedded.http.procedures import PROCEDURES, Procedure
from bridge.embedded.http.validation import Failure, InvalidInput, parse, zod_error
from bridge.embedded.parts import Parts
from bridge.embedded.places import put_away
from bridge.embedded.records.database import Record

log = logging.getLogger(__name__)

BODY_LIMIT = 2 * 1024**2
"""Bytes; an icon, the largest field there is, may have that many."""

_JSON = "application/json"  # what procedures answer with; a closed door names the charset, too
_HEALTH = "settings.health"
_RETRY_AFTER = "1"  # seconds

MOST_IN_A_BATCH = 100
"""Queries that one request may hold."""

Authorised = Callable[[web.BaseRequest], bool]


class BadJson(Exception):
    """The body is no JSON."""


def checks_key(api_key: str) -> Authorised:
    """Whether a request brings the key: as `x-api-key`, or as the document says, `Bearer`."""
    wanted = api_key.encode()

    def authorised(request: web.BaseRequest) -> bool:
        given = request.headers.get("x-api-key")
        if given is None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else ""
        return hmac.compare_digest(given.encode(errors="replace"), wanted)

    return authorised


class Api:
    """Answers `/api/…`."""

    def __init__(self, parts: Parts, authorised: Authorised) -> None:
        self._parts = parts
        self._authorised = authorised

    def routes(self) -> list[web.RouteDef]:
        """The API's routes."""
        return [
            web.get("/api/health", self._health),
            web.get("/api/trpc/{names}", self._answer_dashboard),
            web.route("*", "/api/{name:.*}", self._answer),
        ]

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return web.json_response({"message": "Unauthorized"}, status=401)
        name = request.match_info["name"]
        procedure = PROCEDURES.get(name)
        method = "GET" if request.method == "HEAD" else request.method
        if procedure is None or procedure.method != method:
            return failure_response(Failure("NOT_FOUND", "Not found"), None)
        try:
            answer = await self._run(name, procedure, await _read(procedure, request))
        except BadJson:
            return web.Response(status=400, text="Invalid JSON")
        except InvalidInput as error:
            return invalid_response(error, name)
        except Failure as error:
            return failure_response(error, name)
        if isinstance(answer, Empty):
            return web.Response(body=b"", content_type=_JSON)
        return _json_answer(answer)

    async def _run(self, name: str, procedure: Procedure, input_: Input) -> object:
        """Run a procedure; a disk that can't be used becomes a Failure.

        Each piece of work on the records is one transaction, so nothing has happened then.
        """
        try:
            return await procedure.run(self._parts, input_)
        except (sqlite3.Error, OSError) as error:  # a full disk, most of all
            log.warning("the disk can't be used", extra={"why": str(error), "procedure": name})
            words = "The deploy server can't use its own disk now; try again later"
            raise Failure("SERVICE_UNAVAILABLE", words) from error

    async def _answer_dashboard(self, request: web.Request) -> web.Response:
        """Answer queries in the form that Dokploy's own dashboard uses, several at a time."""
        names = request.match_info["names"].split(",")
        if names == [_HEALTH]:  # needs no key, as on the real server
            return _json_answer({"result": _enveloped(await health(self._parts, Nothing()))})
        if not self._authorised(request):
            return web.json_response({"message": "Unauthorized"}, status=401)
        if request.query.get("batch") != "1" or len(names) > MOST_IN_A_BATCH:
            return failure_response(Failure("NOT_FOUND", "Not found"), None)
        try:
            inputs = _json(request.query.get("input", "{}").encode())
        except BadJson:
            return web.Response(status=400, text="Invalid JSON")
        given = inputs if isinstance(inputs, dict) else {}
        answers = [await self._query(name, given.get(str(at))) for at, name in enumerate(names)]
        statuses = {status for status, _ in answers}
        status = statuses.pop() if len(statuses) == 1 else int(HTTPStatus.MULTI_STATUS)
        return _json_answer([answer for _, answer in answers], status)

    async def _query(self, name: str, given: object) -> tuple[int, Record]:
        """Answer one query of a batch: its status, and its part of the answer."""
        procedure = PROCEDURES.get(name)
        if procedure is None or procedure.method != "GET":
            return _refused(Failure("NOT_FOUND", "Not found"), name)
        data = given.get("json") if isinstance(given, dict) else None
        try:
            input_ = parse(procedure.model, {} if data is None else data)
            return 200, {"result": _enveloped(await self._run(name, procedure, input_))}
        except InvalidInput as error:
            failure = Failure("BAD_REQUEST", "Input validation failed")
            return _refused(failure, name, zod_error(error.issues))
        except Failure as failure:
            return _refused(failure, name)


def _enveloped(answer: object) -> Record:
    return {"data": {"json": answer}}


def _refused(failure: Failure, name: str, zod: object = None) -> tuple[int, Record]:
    body = _error_body(failure, name, zod)
    return failure.status, {"error": {"json": {key: body[key] for key in ("message", "data")}}}


def _json_answer(answer: object, status: int = 200) -> web.Response:
    # A header of the request may hold bytes that are no text, and a refusal may quote it.
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return web.Response(body=body, status=status, content_type=_JSON)


def invalid_response(error: InvalidInput, path: str) -> web.Response:
    """400 with every fault (facts.md, "Errors")."""
    failure = Failure("BAD_REQUEST", "Input validation failed")
    body = _error_body(failure, path, zod_error(error.issues)) | {"issues": error.issues}
    return _json_answer(body, 400)


def failure_response(failure: Failure, path: str | None) -> web.Response:
    """A refusal; `path` is the procedure's name, None where there is none of that name."""
    answer = _json_answer(_error_body(failure, path, None), failure.status)
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Tells clients that nothing was done, so that they may ask again.
        answer.headers["Retry-After"] = _RETRY_AFTER
    return answer


def _error_body(failure: Failure, path: str | None, zod: object) -> dict[str, Any]:
    data: dict[str, Any] = {"code": failure.code, "httpStatus": failure.status}
    if path is not None:
        data["path"] = path
    return {"message": failure.message, "code": failure.code, "data": data | {"zodError": zod}}


async def _read(procedure: Procedure, request: web.Request) -> Input:
    if procedure.method == "GET":
        return parse(procedure.model, dict(request.query))
    if request.content_type != _JSON:
        given = request.headers.get("Content-Type")
        words = "Missing content-type header"
        if given:
            # The real server leaves out the closing quote.
            words = f'Unsupported content-type "{given[:100]}'
        raise Failure("UNSUPPORTED_MEDIA_TYPE", words)
    try:
        raw = await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        words = f"The body is larger than {BODY_LIMIT} bytes"
        raise Failure("REQUEST_ENTITY_TOO_LARGE", words) from error
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
        raise BadJson from error  # it was cut off, or is not encoded as its headers say
    return parse(procedure.model, _json(raw))


def _json(raw: bytes) -> object:
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadJson from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


# ── `/listen-deployment`: a deployment's log over a WebSocket: what is there, then what comes ───

_NO_PATH = 4000  # the real server's code for it
_HEARTBEAT_SECONDS = 30.0


class Streaming:
    """Follows logs; does not close when a build ends, as the real server does not either."""

    def __init__(self, parts: Parts, authorised: Authorised) -> None:
        self._parts = parts
        self._authorised = authorised
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        """The one route."""
        return [web.get("/listen-deployment", self._listen)]

    async def close(self) -> None:
        """Say good-bye to all who listen."""
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server shutdown")

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS)
        if not socket.can_prepare(request).ok:
            return web.json_response({"message": "WebSocket expected"}, status=426)
        await socket.prepare(request)
        if not self._authorised(request):
            await socket.close()
            return socket
        log_path = request.query.get("logPath")
        if not log_path:
            await socket.close(code=_NO_PATH, message=b"logPath no provided")
            return socket
        # Only logs that a deployment owns are read, so no path leads to other files.
        if await self._parts.history.by_log(log_path) is None:
            await socket.close(code=_NO_PATH, message=b"no deployment has this log")
            return socket
        self._open.add(socket)
        try:
            await self._follow(socket, Path(log_path))
        finally:
            self._open.discard(socket)
        return socket

    async def _follow(self, socket: web.WebSocketResponse, path: Path) -> None:
        sender = asyncio.create_task(self._send(socket, path))
        try:
            async for _ in socket:  # what listeners say means nothing; their leaving does
                pass
        finally:
            await put_away(sender)

    async def _send(self, socket: web.WebSocketResponse, path: Path) -> None:
        async with contextlib.aclosing(self._parts.growth.follow(path)) as chunks:
            async for chunk in chunks:
                try:
                    await socket.send_str(chunk)
                except ConnectionError:
                    return
