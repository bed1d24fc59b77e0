"""A Discord in memory, over HTTP: webhooks, their messages, forums, and rate limits.

It refuses what breaks Discord's contract, answers as the contract has it, and remembers what it
was asked. Its rate limit counts for each webhook, as Discord's does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.fakes.serving import served
from tests.oracles.descriptions import misasked
from tests.oracles.discord_contract import EDIT, POST, faults
from tests.oracles.openapi import Sent

TOKEN = "a-token-that-nobody-may-see-0123456789"
GUILD = "700000000000000001"


@dataclass
class Hook:
    """A webhook of a channel; `forum`: each message there is a post of its own."""

    id: str
    forum: bool = False
    deleted: bool = False
    needs_tag: bool = False
    archived: set[str] = field(default_factory=set)
    """Posts that nobody has written to for long: their messages can't be edited."""
    used: list[float] = field(default_factory=list)

    @property
    def channel(self) -> str:
        return f"8{self.id[1:]}"


@dataclass
class Posted:
    """A message."""

    id: str
    hook: str
    channel: str
    body: dict[str, Any]
    post: str | None
    edits: list[dict[str, Any]] = field(default_factory=list)
    deleted: bool = False

    @property
    def embed(self) -> dict[str, Any]:
        (embed,) = (self.edits[-1] if self.edits else self.body)["embeds"]
        return dict(embed)

    @property
    def title(self) -> str:
        return str(self.embed["title"])


@dataclass
class Asked:
    """A request."""

    method: str
    hook: str
    path: str
    status: int


@dataclass
class FakeDiscord:
    """The server.

    Attributes:
        allowed, per: so many requests of a webhook in so many seconds.
        then: done after a post or edit was carried out, before it is answered.
        answers: given instead of carrying out the next requests: status, headers, body.
        wrong: what broke the contract.
    """

    allowed: int = 10_000
    per: float = 1.0
    url: str = ""
    hooks: dict[str, Hook] = field(default_factory=dict)
    messages: list[Posted] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    then: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def webhook(self, id_: str = "600000000000000001", *, forum: bool = False) -> str:
        """Add a webhook; its address as Discord gives it to people."""
        self.hooks[id_] = Hook(id_, forum)
        return f"https://discord.com/api/webhooks/{id_}/{TOKEN}"

    def shown(self, id_: str = "600000000000000001") -> list[Posted]:
        """The messages by a webhook that are there, oldest first."""
        return [one for one in self.messages if one.hook == id_ and not one.deleted]

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeDiscord"]:
        app = web.Application()
        app.router.add_route("*", "/api/webhooks/{id}/{token}", self._asked)
        app.router.add_route("*", "/api/webhooks/{id}/{token}/messages/{message}", self._asked)
        async with served(app) as url:
            self.url = f"{url}/api"
            yield self
        self.wrong += misasked("discord", self.sent)
        assert not self.wrong, "\n".join(self.wrong)

    async def _asked(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        answer = await self._answered(request)
        self.sent.append(Sent(request.method, request.path_qs[len("/api") :], body))
        path = request.path.partition(TOKEN)[2]
        self.asked.append(Asked(request.method, request.match_info["id"], path, answer.status))
        if request.method in ("POST", "PATCH") and answer.status == 200 and self.then:
            await self.then.pop(0)()
        self.changed.set()
        return answer

    async def _answered(self, request: web.Request) -> web.Response:
        if self.answers:
            status, headers, said = self.answers.pop(0)
            if isinstance(said, str):
                return web.Response(status=status, headers=headers, text=said)
            return web.json_response(said, status=status, headers=headers)
        hook = self.hooks.get(request.match_info["id"])
        if hook is None or hook.deleted:
            return _error(404, 10015, "Unknown Webhook")
        if request.match_info["token"] != TOKEN:
            return _error(401, 50027, "Invalid Webhook Token")
        if (wait := self._must_wait(hook)) is not None:
            said = {"message": "You are being rate limited.", "retry_after": wait, "global": False}
            return web.json_response(said, status=429, headers={"Retry-After": str(wait)})
        made = await self._carried_out(request, hook)
        left = self.allowed - len(hook.used)
        made.headers["X-RateLimit-Remaining"] = str(left)
        made.headers["X-RateLimit-Reset-After"] = f"{self._resets_after(hook):.3f}"
        return made

    def _must_wait(self, hook: Hook) -> float | None:
        now = time.monotonic()
        hook.used = [at for at in hook.used if at > now - self.per]
        if len(hook.used) >= self.allowed:
            return round(self._resets_after(hook), 3)
        hook.used.append(now)
        return None

    def _resets_after(self, hook: Hook) -> float:
        return max(0.0, hook.used[0] + self.per - time.monotonic()) if hook.used else 0.0

    async def _carried_out(self, request: web.Request, hook: Hook) -> web.Response:
        if request.method == "GET" and "message" not in request.match_info:
            about = {"id": hook.id, "type": 1, "name": "Bridge", "avatar": None}
            about |= {"application_id": None, "channel_id": hook.channel, "guild_id": GUILD}
            return web.json_response(about)
        if request.method == "POST":
            return self._post(request, hook, await request.json())
        found = self._message(request, hook)
        if isinstance(found, web.Response):
            return found
        if request.method == "PATCH":
            if found.channel in hook.archived:
                return _error(400, 50083, "Thread is archived")
            body = await request.json()
            if broken := self._checked(EDIT, body):
                return _error(400, 50035, "Invalid Form Body", broken)
            found.edits.append(body)
        return web.json_response(_as_told(found))

    def _post(self, request: web.Request, hook: Hook, body: dict[str, Any]) -> web.Response:
        thread = request.query.get("thread_id")
        if broken := self._checked(POST, body):
            return _error(400, 50035, "Invalid Form Body", broken)
        if hook.forum and not thread and not body.get("thread_name"):
            words = "Webhooks posted to forum channels must have a thread_name or thread_id"
            return _error(400, 220001, words)
        if hook.forum and not thread and hook.needs_tag:
            words = "A tag is required to create a forum post in this channel"
            return _error(400, 40067, words)
        if not hook.forum and body.get("thread_name"):
            return _error(400, 220003, "Webhooks can only create threads in forum channels")
        if thread and thread not in {one.channel for one in self.messages if not one.deleted}:
            return _error(404, 10003, "Unknown Channel")
        id_ = str(900000000000000000 + len(self.messages))
        channel = thread or (id_ if hook.forum else hook.channel)
        hook.archived.discard(channel)
        made = Posted(id_, hook.id, channel, body, body.get("thread_name"))
        self.messages.append(made)
        if request.query.get("wait") != "true":
            self.wrong.append("a post does not wait for its message")
        return web.json_response(_as_told(made))

    def _message(self, request: web.Request, hook: Hook) -> "Posted | web.Response":
        thread = request.query.get("thread_id") or hook.channel
        for one in self.messages:
            here = one.hook == hook.id and one.channel == thread and not one.deleted
            if here and one.id == request.match_info["message"]:
                return one
        return _error(404, 10008, "Unknown Message")

    def _checked(self, schema: str, body: dict[str, Any]) -> list[str]:
        found = faults(schema, body)
        if body.get("allowed_mentions") != {"parse": []}:
            found.append("it may mention somebody")
        self.wrong += found
        return found


def _error(status: int, code: int, words: str, errors: Any = None) -> web.Response:
    more = {"errors": {"_errors": [{"code": "BAD", "message": str(errors)}]}} if errors else {}
    return web.json_response({"message": words, "code": code, **more}, status=status)


def _as_told(one: Posted) -> dict[str, Any]:
    """A message as Discord answers it."""
    author = {
        "id": one.hook, "username": "Bridge", "avatar": None, "discriminator": "0000",
        "public_flags": 0, "flags": 0, "global_name": None, "primary_guild": None, "bot": True,
    }  # fmt: skip
    return {
        "id": one.id, "channel_id": one.channel, "webhook_id": one.hook, "type": 0,
        "content": "", "mentions": [], "mention_roles": [], "attachments": [], "embeds": [],
        "timestamp": "2026-05-28T12:00:00+00:00", "edited_timestamp": None, "flags": 0,
        "components": [], "author": author, "pinned": False, "mention_everyone": False,
        "tts": False,
    }  # fmt: skip
