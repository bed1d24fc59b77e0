"""Serve the API: check the key, read the input, run the procedure, write the answer.

A procedure has the address `/api/<name>`. Queries can also be sent in the form of Dokploy's own
dashboard, `/api/trpc/<name>,<name>`, several at a time. Logs are followed
over a WebSocket, `/listen-deployment`.
"""

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

from bridge.embedded.http import applications, inputs, projects, serving
from bridge.embedded.http.inputs import Input, Nothing
from bridge.embedded.http.procedure import (
    Empty,
    Failure,
    InvalidInput,
    Parts,
    Procedure,
    mutation,
    parse,
    query,
    zod_error,
)
from bridge.embedded.storage.paths import put_away
from bridge.embedded.storage.records import Record
from bridge.listening.arriving import Crowded, body_of

VERSION = "v0.30.2"
"""The version of Dokploy whose API this is; clients depend on it."""


async def version(_parts: Parts, _input: Nothing) -> str:
    """`settings.getDokployVersion`."""
    return VERSION


async def release_tag(_parts: Parts, _input: Nothing) -> str:
    """`settings.getReleaseTag`."""
    return "latest"


async def health(_parts: Parts, _input: Nothing) -> dict[str, str]:
    """`settings.health`."""
    return {"status": "ok"}


PROCEDURES: dict[str, Procedure] = {
    "application.create": mutation(applications.create),
    "application.one": query(applications.one),
    "application.update": mutation(applications.update, inputs.ApplicationUpdate),
    "application.move": mutation(applications.move),
    "application.delete": mutation(applications.delete),
    "application.search": query(applications.search),
    "application.refreshToken": mutation(applications.refresh_token),
    "application.saveGithubProvider": mutation(applications.save_github),
    "application.saveGitlabProvider": mutation(applications.save_gitlab),
    "application.saveGiteaProvider": mutation(applications.save_gitea),
    "application.saveGitProvider": mutation(applications.save_git),
    "application.saveDockerProvider": mutation(applications.save_docker),
    "application.disconnectGitProvider": mutation(applications.disconnect),
    "application.saveBuildType": mutation(applications.save_build_type),
    "application.saveEnvironment": mutation(applications.save_environment),
    "application.deploy": mutation(applications.deploy),
    "application.redeploy": mutation(applications.redeploy),
    "application.cancelDeployment": mutation(applications.cancel),
    "application.cleanQueues": mutation(applications.clean_queues),
    "application.killBuild": mutation(applications.kill_build),
    "application.clearDeployments": mutation(applications.clear_deployments),
    "deployment.all": query(applications.all_of),
    "deployment.allByType": query(applications.all_by_type),
    "deployment.allCentralized": query(applications.all_centralized),
    "deployment.queueList": query(applications.queue_list),
    "deployment.readLogs": query(applications.read_logs),
    "deployment.killProcess": mutation(applications.kill_process),
    "deployment.removeDeployment": mutation(applications.remove_deployment),
    "rollback.rollback": mutation(serving.roll_back),
    "docker.getContainers": query(serving.all_containers),
    "docker.getContainersByAppNameMatch": query(serving.containers_named),
    "docker.getConfig": query(serving.inspect),
    "application.readLogs": query(serving.read_output),
    "overview.services": query(projects.services),
    "project.all": query(projects.all_),
    "project.one": query(projects.one),
    "project.create": mutation(projects.create),
    "project.remove": mutation(projects.remove),
    "previewDeployment.all": query(applications.previews_of),
    "previewDeployment.one": query(applications.preview),
    "domain.byApplicationId": query(serving.domains_of),
    "domain.create": mutation(serving.domain_create),
    "domain.delete": mutation(serving.domain_delete),
    "domain.generateDomain": mutation(serving.domain_suggest),
    "project.search": query(projects.search),
    "environment.one": query(projects.environment_one),
    "environment.byProjectId": query(projects.environments_of),
    "environment.create": mutation(projects.environment_create),
    "environment.update": mutation(projects.environment_update),
    "environment.remove": mutation(projects.environment_remove),
    "environment.search": query(projects.environment_search),
    "gitProvider.getAll": query(projects.get_all),
    "github.githubProviders": query(projects.github_all),
    "github.one": query(projects.github_one),
    "github.getGithubRepositories": query(projects.github_repositories),
    "github.getGithubBranches": query(projects.github_branches),
    "gitlab.gitlabProviders": query(projects.gitlab_all),
    "gitlab.one": query(projects.gitlab_one),
    "gitlab.getGitlabRepositories": query(projects.gitlab_repositories),
    "gitlab.getGitlabBranches": query(projects.gitlab_branches),
    "gitea.giteaProviders": query(projects.gitea_all),
    "gitlab.create": mutation(projects.gitlab_create),
    "settings.getDokployVersion": query(version),
    "settings.getReleaseTag": query(release_tag),
    "settings.health": query(health),
}
"""The procedures by name: `GET` or `POST /api/<name>`."""


# ── Requests and answers ────────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)

BODY_LIMIT = 2 * 1024**2
"""The most bytes of a body, which the largest field, an icon, may have."""

BODY_SECONDS = 30.0
"""Seconds within which a body arrives."""

_JSON = "application/json"  # of procedures; as in Dokploy, a 401 also names the charset
_HEALTH = "settings.health"

MOST_IN_A_BATCH = 100
"""The most queries in one request."""

Authorised = Callable[[web.BaseRequest], bool]


class BadJson(Exception):
    """The body is not JSON."""


def checks_key(api_key: str) -> Authorised:
    """Return a check of the key: in `x-api-key` or, as in Dokploy's document, `Bearer`."""
    wanted = api_key.encode()

    def authorised(request: web.BaseRequest) -> bool:
        given = request.headers.get("x-api-key")
        if given is None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else ""
        return hmac.compare_digest(given.encode(errors="replace"), wanted)

    return authorised


class Api:
    """Answer requests for `/api/…`."""

    def __init__(self, parts: Parts, authorised: Authorised) -> None:
        self._parts = parts
        self._authorised = authorised

    def routes(self) -> list[web.RouteDef]:
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
        """Run a procedure; turn an unusable disk into a Failure.

        Each piece of work on the records is one transaction, so nothing has changed then.
        """
        try:
            return await procedure.run(self._parts, input_)
        except (sqlite3.Error, OSError) as error:  # usually a full disk
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
    # A refusal may quote a header of the request that is not valid text.
    body = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return web.Response(body=body, status=status, content_type=_JSON)


def invalid_response(error: InvalidInput, path: str) -> web.Response:
    """Return a 400 with every fault (docs/dokploy.md, "Errors")."""
    failure = Failure("BAD_REQUEST", "Input validation failed")
    body = _error_body(failure, path, zod_error(error.issues)) | {"issues": error.issues}
    return _json_answer(body, 400)


def failure_response(failure: Failure, path: str | None) -> web.Response:
    """Return a refusal; `path` is the name of the procedure, None if it is unknown."""
    answer = _json_answer(_error_body(failure, path, None), failure.status)
    if failure.status == HTTPStatus.SERVICE_UNAVAILABLE:
        # Tells clients that nothing was done, so they may retry.
        answer.headers["Retry-After"] = "1"  # second
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
            # Dokploy leaves out the closing quote.
            words = f'Unsupported content-type "{given[:100]}'
        raise Failure("UNSUPPORTED_MEDIA_TYPE", words)
    try:
        raw = await body_of(request, BODY_SECONDS, BODY_LIMIT)
    except web.HTTPRequestEntityTooLarge as error:
        words = f"The body is larger than {BODY_LIMIT} bytes"
        raise Failure("REQUEST_ENTITY_TOO_LARGE", words) from error
    except Crowded as error:
        words = "The deploy server has too much arriving at once; try again later"
        raise Failure("SERVICE_UNAVAILABLE", words) from error
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError, TimeoutError) as error:
        raise BadJson from error  # cut off, or not encoded as in its headers
    return parse(procedure.model, _json(raw))


def _json(raw: bytes | bytearray) -> object:
    try:
        return json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadJson from error


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


# ── Following a log ─────────────────────────────────────────────────────────────────────────────

_NO_PATH = 4000  # Dokploy's code


class Streaming:
    """Stream logs: the content, then additions. As in Dokploy it stays open after a build."""

    def __init__(self, parts: Parts, authorised: Authorised) -> None:
        self._parts = parts
        self._authorised = authorised
        self._open: set[web.WebSocketResponse] = set()

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/listen-deployment", self._listen)]

    async def close(self) -> None:
        for socket in list(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server shutdown")

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(heartbeat=30.0)
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
        # Only the log of a deployment is read, so a path can't name another file.
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
            async for _ in socket:  # messages are ignored; this ends when the client leaves
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
