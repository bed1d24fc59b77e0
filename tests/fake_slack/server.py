"""A Slack workspace for tests: a Web API with a memory, over real HTTP and a real WebSocket.

It answers as docs.slack.dev says: `ok: false` with the documented codes and status 200, 429 with
`Retry-After` for too many messages, triggers that are good once and for three seconds. Each
request and answer is checked against Slack's contract (`contract.py`).
"""

import asyncio
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.fake_slack.contract import Contract
from tests.slack_rules import faults

BOT_TOKEN = "xoxb-of-the-tests"
APP_TOKEN = "xapp-of-the-tests"
SECRET = "a signing secret of the tests"
TEAM = "T0TEAM"
BOT = "U0BRIDGE"
TRIGGER_SECONDS = 3.0


class SlackError(Exception):
    """`ok: false` with a code."""


@dataclass(frozen=True)
class Call:
    """One call of a method."""

    method: str
    args: dict[str, Any]
    at: float
    answer: dict[str, Any]
    status: int = 200


@dataclass
class Channel:
    """A channel; the bridge is in it where `joined`."""

    id: str
    name: str
    joined: bool = True
    private: bool = False
    archived: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)

    def roots(self) -> list[dict[str, Any]]:
        """What stands in the channel itself, oldest first."""
        return [one for one in self.messages if "thread_ts" not in one]

    def thread(self, ts: str) -> list[dict[str, Any]]:
        """The replies to a message."""
        return [one for one in self.messages if one.get("thread_ts") == ts]

    def message(self, ts: str) -> dict[str, Any]:
        """One message."""
        return next(one for one in self.messages if one["ts"] == ts)


class FakeSlack:
    """The workspace.

    Attributes:
        away: requests are cut off, as if nothing listened.
        pace: messages nearer to each other than this many seconds, in a channel, are 429.
        scopes: what was granted beyond the least.
        delay: seconds that each answer takes.
        responses: what came through each `response_url`.
        triggers: trigger ids that are good, until when.
    """

    def __init__(self) -> None:
        self.contract = Contract()
        self.calls: list[Call] = []
        self.users: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {}
        self.channels: dict[str, Channel] = {}
        self.views: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, Any]] = {}
        self.ephemerals: list[dict[str, Any]] = []
        self.responses: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.triggers: dict[str, float] = {}
        self.scopes: set[str] = {"users:read.email", "usergroups:read"}
        self.away = False
        self.pace = 0.0
        self.delay = 0.0
        self.url = ""
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

    def ts(self) -> str:
        return f"{time.time():.0f}.{next(self._numbers):06d}"

    async def until(self, holds: Callable[[], Any], seconds: float = 15.0) -> Any:
        """Wait until something holds, looked at after each call that comes."""
        async with asyncio.timeout(seconds):
            while not (found := holds()):
                self._changed.clear()
                await self._changed.wait()
        return found

    # ── HTTP ──────────────────────────────────────────────────────────────

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**20)
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
        args = await _arguments(request)
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
        return web.json_response(answer)

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
        handler = getattr(self, f"_{name}", None)
        if handler is None:
            raise SlackError("unknown_method")
        return handler

    async def _respond(self, request: web.Request) -> web.Response:
        given = self.responses[request.match_info["token"]]
        if len(given) >= 5:
            return web.Response(status=404, text="used_url")
        given.append(await request.json())
        self._changed.set()
        return web.Response(text="ok")

    # ── methods ───────────────────────────────────────────────────────────

    def _auth_test(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://test.slack.com/",
            "team": "Test",
            "user": "bridge",
            "team_id": TEAM,
            "user_id": BOT,
        }

    def _place(self, name: str) -> Channel:
        """The channel of an id or #name; of a user's id the conversation with them."""
        if name in self.users:
            id_ = f"D{name[1:]}"
            return self.channels.setdefault(id_, Channel(id_, name))
        by_name = {f"#{one.name}": one for one in self.channels.values()}
        found = self.channels.get(name) or by_name.get(name)
        if found is None or (found.private and not found.joined):
            raise SlackError("channel_not_found")
        if found.archived:
            raise SlackError("is_archived")
        if not found.joined and "chat:write.public" not in self.scopes:
            raise SlackError("not_in_channel")
        return found

    def _chat_post_message(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = self._place(str(args["channel"]))
        message = {**_said(args), "ts": self.ts(), "user": BOT, "team": TEAM, "type": "message"}
        if thread := args.get("thread_ts"):
            if not any(one["ts"] == thread for one in channel.messages):
                raise SlackError("thread_not_found")
            message |= {"thread_ts": thread, "broadcast": bool(args.get("reply_broadcast"))}
        channel.messages.append(message)
        return {"channel": channel.id, "ts": message["ts"], "message": message}

    def _chat_update(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = self._place(str(args["channel"]))
        for message in channel.messages:
            if message["ts"] == args["ts"]:
                message.update(_said(args))
                text = message["text"]
                return {"channel": channel.id, "ts": args["ts"], "text": text, "message": message}
        raise SlackError("message_not_found")

    def _chat_post_ephemeral(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = self._place(str(args["channel"]))
        if args["user"] not in self.users:
            raise SlackError("user_not_in_channel")
        self.ephemerals.append({**_said(args), "channel": channel.id, "user": args["user"]})
        return {"message_ts": self.ts()}

    def _chat_get_permalink(self, args: dict[str, Any]) -> dict[str, Any]:
        channel, ts = self._place(str(args["channel"])), str(args["message_ts"])
        if not any(one["ts"] == ts for one in channel.messages):
            raise SlackError("message_not_found")
        link = f"https://test.slack.com/archives/{channel.id}/p{ts.replace('.', '')}"
        return {"channel": channel.id, "permalink": link}

    def _users_info(self, args: dict[str, Any]) -> dict[str, Any]:
        if (user := self.users.get(str(args.get("user")))) is None:
            raise SlackError("user_not_found")
        if "users:read.email" not in self.scopes:
            profile = {k: v for k, v in user["profile"].items() if k != "email"}
            user = user | {"profile": profile}
        return {"user": user}

    def _users_lookup_by_email(self, args: dict[str, Any]) -> dict[str, Any]:
        self._needs("users:read.email")
        for user in self.users.values():
            if user["profile"].get("email") == args.get("email"):
                return {"user": user}
        raise SlackError("users_not_found")

    def _usergroups_users_list(self, args: dict[str, Any]) -> dict[str, Any]:
        self._needs("usergroups:read")
        if (members := self.groups.get(str(args.get("usergroup")))) is None:
            raise SlackError("no_such_subteam")
        return {"users": members}

    def _conversations_history(self, args: dict[str, Any]) -> dict[str, Any]:
        found = self._readable(args).roots()[::-1]
        return {"messages": found[: int(args.get("limit", 100))], "has_more": False}

    def _conversations_replies(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = self._readable(args)
        return {"messages": [channel.message(args["ts"]), *channel.thread(args["ts"])]}

    def _readable(self, args: dict[str, Any]) -> Channel:
        """What is read is named by its id; only posting takes a name."""
        self._needs("channels:history")
        if args["channel"] not in self.channels:
            raise SlackError("channel_not_found")
        return self._place(str(args["channel"]))

    def _conversations_info(self, args: dict[str, Any]) -> dict[str, Any]:
        channel = self._place(str(args["channel"]))
        return {"channel": {"id": channel.id, "name": channel.name, "is_member": channel.joined}}

    def _conversations_open(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"channel": {"id": self._place(str(args["users"])).id}}

    def _views_open(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"view": self._opened(args, root=None)}

    def _views_push(self, args: dict[str, Any]) -> dict[str, Any]:
        return {"view": self._opened(args, root="pushed")}

    def _opened(self, args: dict[str, Any], root: str | None) -> dict[str, Any]:
        until = self.triggers.pop(str(args.get("trigger_id")), None)
        if until is None:
            raise SlackError("invalid_trigger_id")
        if until < time.monotonic():
            raise SlackError("expired_trigger_id")
        id_ = f"V{next(self._numbers):06d}"
        view = {**_json(args["view"]), "id": id_, "team_id": TEAM, "hash": self.ts()}
        self.views[id_] = view | {"root_view_id": root or id_, "state": {"values": {}}}
        return self.views[id_]

    def _views_update(self, args: dict[str, Any]) -> dict[str, Any]:
        named = (one for one in self.views.values() if one.get("external_id"))
        by_name = {one["external_id"]: one for one in named}
        view = self.views.get(str(args.get("view_id"))) or by_name.get(args.get("external_id"))
        if view is None:
            raise SlackError("not_found")
        if args.get("hash") not in (None, view["hash"]):
            raise SlackError("hash_conflict")
        view.update({**_json(args["view"]), "hash": self.ts()})
        return {"view": view}

    def _views_publish(self, args: dict[str, Any]) -> dict[str, Any]:
        id_ = f"V{next(self._numbers):06d}"
        view = {**_json(args["view"]), "id": id_, "team_id": TEAM, "hash": self.ts()}
        self.homes[str(args["user_id"])] = view
        return {"view": view}

    def _apps_connections_open(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.url.replace("http", "ws", 1) + "/link"}

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            raise SlackError("missing_scope")

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
    sent = {name: _json(args[name]) for name in ("view", "blocks") if args.get(name)}
    shown = sent.get("view") or sent | {"text": args.get("text", "")}
    if sent and (broken := faults(shown)):
        raise SlackError(f"invalid_blocks: {broken}")


def _said(args: dict[str, Any]) -> dict[str, Any]:
    """What a message says; Slack's limits that a message may break."""
    blocks = _json(args.get("blocks") or [])
    if not args.get("text") and not blocks:
        raise SlackError("no_text")
    if len(blocks) > 50:
        raise SlackError("invalid_blocks")
    found = {"text": args.get("text", ""), "blocks": blocks}
    if metadata := args.get("metadata"):
        found["metadata"] = _json(metadata)
    return found


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


async def _arguments(request: web.Request) -> dict[str, Any]:
    args: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        args |= await request.json()
    elif request.method == "POST":
        args |= dict(await request.post())
    return args


@asynccontextmanager
async def running_slack(slack: FakeSlack | None = None) -> AsyncIterator[FakeSlack]:
    """A workspace with Ada and a channel, on a free port of loopback.

    In the end every call and answer must have kept to the contract.
    """
    slack = slack or FakeSlack()
    slack.person()
    slack.channel()
    runner = web.AppRunner(slack.app(), shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield slack
    finally:
        await runner.cleanup()
    assert slack.contract.faults == []
