"""A Slack workspace for tests: a Web API with a memory, over real HTTP and a real WebSocket.

It answers as docs.slack.dev says: `ok: false` with the documented codes and status 200, 429 with
`Retry-After` for too many messages, triggers that are good once and for three seconds. Each
request and answer is checked against Slack's contract (`contract.py`), and in the end each request
against the types of Slack's SDK (`tests.oracles.descriptions`).
"""

import asyncio
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from aiohttp import WSMsgType, web

from tests.fakes.identity import FakeIssuer
from tests.fakes.serving import served
from tests.fakes.slack.contract import Contract
from tests.fakes.slack.methods import (
    APP_TOKEN,
    BOT_TOKEN,
    TEAM,
    Channel,
    Methods,
    SlackError,
    as_json,
)
from tests.oracles.descriptions import misasked
from tests.oracles.openapi import Sent
from tests.oracles.slack_rules import faults

TRIGGER_SECONDS = 3.0


@dataclass(frozen=True)
class Call:
    """One call of a method."""

    method: str
    args: dict[str, Any]
    at: float
    answer: dict[str, Any]
    status: int = 200


class FakeSlack(Methods):
    """The workspace.

    Attributes:
        away: requests are cut off, as if nothing listened.
        pace: messages nearer to each other than this many seconds, in a channel, are 429.
        granted, scopes: the least scopes, and what was granted beyond.
        clock_ahead: seconds by which its clock is ahead of this machine's.
        delay: seconds that each answer takes.
        responses: what came through each `response_url`.
        triggers: trigger ids that are good, until when.
    """

    def __init__(self) -> None:
        self.contract = Contract()
        self.calls: list[Call] = []
        self.sent: list[Sent] = []
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {}
        self.channels: dict[str, Channel] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.ephemerals: list[dict[str, Any]] = []
        self.responses: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.triggers: dict[str, float] = {}
        self.scopes: set[str] = {"users:read.email", "usergroups:read"}
        self.granted: set[str] = {"chat:write", "commands", "users:read"}
        self.clock_ahead = 0.0
        self.away = False
        self.pace = 0.0
        self.delay = 0.0
        self.url = ""
        self.accounts = FakeIssuer("/openid/connect", "/api/openid.connect.token")
        """People who sign in elsewhere with Slack."""
        self.sockets: list[web.WebSocketResponse] = []
        self.connected = asyncio.Event()
        self._scripted: dict[str, deque[Callable[[], web.Response | None]]] = defaultdict(deque)
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._last: dict[str, float] = {}
        self._numbers = iter(range(1, 10**9))
        self._changed = asyncio.Event()

    # ── what tests set up and look at ─────────────────────────────────────

    def person(self, id_: str = "U0ADA", name: str = "Ada", **others: Any) -> str:
        """A member of the workspace."""
        email = others.pop("email", f"{name.lower()}@example.com")
        self.users[id_] = {
            "id": id_,
            "team_id": TEAM,
            "name": name.lower(),
            "real_name": name,
            "is_email_confirmed": True,
            "profile": {"display_name": name, "real_name": name, "email": email},
        } | others
        return id_

    def channel(self, id_: str = "C0SHOP", name: str = "shop", **others: Any) -> Channel:
        """A channel."""
        self.channels[id_] = Channel(id_, name, **others)
        return self.channels[id_]

    def next(self, method: str, *, error: str = "", status: int = 200, after: int = 0) -> None:
        """The next such call fails: with an error code, or a status (429 with `Retry-After`)."""

        def fail() -> web.Response:
            body = {"ok": False, "error": error or "ratelimited"}
            return web.json_response(body, status=status, headers={"Retry-After": str(after or 1)})

        self._scripted[method].append(fail)

    def next_arrives_unanswered(self, method: str) -> None:
        """The next such call is done, but its answer is lost."""
        self._scripted[method].append(lambda: None)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._scripted.clear()
        self.away = False

    def count(self, *methods: str) -> int:
        return len([call for call in self.calls if call.method in methods])

    def trigger(self) -> str:
        """A trigger id, as it comes with a command or a click."""
        id_ = f"{next(self._numbers)}.{next(self._numbers)}.trigger"
        self.triggers[id_] = time.monotonic() + TRIGGER_SECONDS
        return id_

    async def until(self, holds: Callable[[], Any], seconds: float = 30.0) -> Any:
        """Wait until something holds, looked at after each call that comes."""
        async with asyncio.timeout(seconds):
            while not (found := holds()):
                self._changed.clear()
                await self._changed.wait()
        return found

    # ── HTTP ──────────────────────────────────────────────────────────────

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**20)
        app.router.add_routes(self.accounts.routes())
        app.router.add_route("*", "/api/{method}", self._handle)
        app.router.add_post("/respond/{token}", self._respond)
        app.router.add_get("/link", self._link)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        method = request.match_info["method"]
        body = await _body(request)
        self.sent.append(Sent(request.method, request.path_qs, body))
        args = {**request.query, **(body or {})}
        if self.delay:
            await asyncio.sleep(self.delay)
        script = self._scripted[method].popleft() if self._scripted[method] else None
        failing = script() if script else None
        if failing is not None:
            self._note(method, args, {}, failing.status)
            return failing
        if self._too_fast(method, args):
            self._note(method, args, {"ok": False, "error": "ratelimited"}, 429)
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers={"Retry-After": "1"})
        answer = self._answer(method, args, request.headers.get("Authorization", ""))
        self.contract.check(request, method, args, answer)
        self._note(method, args, answer, 200)
        if script is not None:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(answer, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        date = formatdate(time.time() + self.clock_ahead, usegmt=True)
        return {"X-OAuth-Scopes": ",".join(sorted(self.granted | self.scopes)), "Date": date}

    def _note(self, method: str, args: dict[str, Any], answer: dict[str, Any], status: int) -> None:
        self.calls.append(Call(method, args, time.monotonic(), answer, status))
        self._changed.set()

    def _too_fast(self, method: str, args: dict[str, Any]) -> bool:
        if method not in ("chat.postMessage", "chat.update") or not self.pace:
            return False
        now, channel = time.monotonic(), str(args.get("channel"))
        if now - self._last.get(channel, -1e9) < self.pace:
            return True
        self._last[channel] = now
        return False

    def _answer(self, method: str, args: dict[str, Any], authorization: str) -> dict[str, Any]:
        try:
            _authorised(method, authorization)
            well_formed(args)
            return {"ok": True, **self._handler(method)(args)}
        except SlackError as error:
            return {"ok": False, "error": str(error)}

    def _handler(self, method: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        """`chat.postMessage` is `_chat_post_message`."""
        name = re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", method.replace(".", "_"))
        if not hasattr(self, f"_{name}"):
            raise SlackError("unknown_method")
        handler: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, f"_{name}")
        return handler

    async def _respond(self, request: web.Request) -> web.Response:
        given = self.responses[request.match_info["token"]]
        if len(given) >= 5:
            return web.Response(status=404, text="used_url")
        said = await request.json()
        self.sent.append(Sent(request.method, request.path_qs, said))
        try:
            well_formed(said)
        except SlackError as error:
            self.contract.faults.append(f"a response_url was sent {error}")
            return web.Response(status=400, text=str(error))
        given.append(said)
        self._changed.set()
        return web.Response(text="ok")

    # ── Socket Mode ───────────────────────────────────────────────────────

    async def _link(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = {"type": "hello", "num_connections": 1, "connection_info": {"app_id": "A0BRIDGE"}}
        await socket.send_json(hello)
        self.sockets.append(socket)
        self.connected.set()
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                answer = json.loads(message.data)
                ack = self._acks.pop(answer["envelope_id"], None)
                if ack is not None and not ack.done():
                    ack.set_result(answer.get("payload") or {})
        self.sockets.remove(socket)
        return socket

    async def through_socket(self, kind: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send an envelope; returns what it is acknowledged with."""
        id_ = f"envelope-{next(self._numbers)}"
        self._acks[id_] = asyncio.get_running_loop().create_future()
        envelope = {
            "envelope_id": id_,
            "type": kind,
            "payload": payload,
            "accepts_response_payload": True,
        }
        await self.sockets[-1].send_json(envelope)
        async with asyncio.timeout(5):
            return await self._acks[id_]

    async def drop_sockets(self) -> None:
        """Every connection ends, as when Slack moves it elsewhere."""
        self.connected.clear()
        for socket in list(self.sockets):
            await socket.close()


def _authorised(method: str, authorization: str) -> None:
    token = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
    if not authorization:
        raise SlackError("not_authed")
    if authorization != f"Bearer {token}":
        raise SlackError("invalid_auth")


def well_formed(args: dict[str, Any]) -> None:
    """Refuse blocks and views as Slack does; which rule they break stands in the error."""
    sent = {name: as_json(args[name]) for name in ("view", "blocks") if args.get(name)}
    shown = sent.get("view") or sent | {"text": args.get("text", "")}
    if sent and (broken := faults(shown)):
        raise SlackError(f"invalid_blocks: {broken}")


async def _body(request: web.Request) -> dict[str, Any] | None:
    if request.content_type == "application/json":
        return dict(await request.json())
    return dict(await request.post()) if request.method == "POST" else None


@asynccontextmanager
async def running_slack(slack: FakeSlack | None = None) -> AsyncIterator[FakeSlack]:
    """A workspace with Ada and a channel, on a free port of loopback.

    In the end every call and answer must have kept to the contract, and to Slack's own types.
    """
    slack = slack or FakeSlack()
    slack.person()
    slack.channel()
    async with served(slack.app()) as slack.url:
        yield slack
    wrong = slack.contract.faults + misasked("slack", slack.sent)
    assert not wrong, "\n".join(wrong)
