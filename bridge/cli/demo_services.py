"""The demo's GitHub and Slack: stand-ins on this machine that keep what the bridge sends them."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from aiohttp import web

TOKEN = "xoxb-demo"  # noqa: S105 - of a stand-in
CHANNEL = "C0DEPLOYS"
LOGIN = "bridge"


@dataclass(slots=True)
class Services:
    """What people would see there.

    Attributes:
        url: of both stand-ins.
        merged: the commit of the pull request that is to be commented on; "" for none.
        comments: texts of its comments, by id.
        card: the newest message in the channel.
        thread: the texts below it.
    """

    url: str = ""
    merged: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    cards: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    thread: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def shown(self, fits: Callable[["Services"], bool]) -> None:
        """Wait until what people see fits."""
        while not fits(self):
            self.changed.clear()
            await self.changed.wait()

    # ── GitHub: https://docs.github.com/en/rest ──────────────────────────────────────────────────

    async def github(self, request: "web.Request") -> "web.Response":
        """Answer a request of GitHub's API."""
        from aiohttp import web

        place = f"{request.method} {request.path.rpartition('/api/v3')[2]}"
        body = await request.json() if request.can_read_body else {}
        if place == "GET /user":
            return web.json_response({"login": LOGIN})
        if found := re.fullmatch(r"GET /repos/[^/]+/[^/]+/commits/(\w+)/pulls", place):
            return web.json_response([self._pull()] if found[1] == self.merged else [])
        if re.fullmatch(r"GET /repos/[^/]+/[^/]+/issues/1/comments", place):
            return web.json_response([_comment(*one) for one in self.comments.items()])
        if re.fullmatch(r"POST /repos/[^/]+/[^/]+/issues/1/comments", place):
            return web.json_response(self._written(str(len(self.comments) + 1), body), status=201)
        if found := re.fullmatch(r"PATCH /repos/[^/]+/[^/]+/issues/comments/(\d+)", place):
            return web.json_response(self._written(found[1], body))
        return web.json_response({"message": "Not Found"}, status=404)

    def _pull(self) -> dict[str, Any]:
        branch = {"ref": "opening", "sha": self.merged, "repo": {"id": 4711}}
        return {
            "number": 1,
            "state": "closed",
            "merged_at": "2026-01-01T00:00:00Z",
            "merge_commit_sha": self.merged,
            "head": branch,
            "base": branch | {"ref": "main"},
        }

    def _written(self, id_: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.comments[id_] = str(body["body"])
        self.changed.set()
        return _comment(id_, self.comments[id_])

    # ── Slack: https://docs.slack.dev/reference/methods ──────────────────────────────────────────

    async def slack(self, request: "web.Request") -> "web.Response":
        """Answer a method of Slack's Web API."""
        from aiohttp import web

        method = request.path.rpartition("/")[2]
        said = await _arguments(request)
        answer: dict[str, Any] = {"ok": True}
        if method == "auth.test":
            answer |= {"team": "Demo", "team_id": "T0DEMO", "user": LOGIN, "user_id": "U0BRIDGE"}
        elif method in ("chat.postMessage", "chat.update"):
            ts = str(said.get("ts") or f"{len(self.cards) + len(self.thread) + 1}.000001")
            if said.get("thread_ts"):
                self.thread.append(str(said.get("text", "")))
            else:
                self.cards[ts] = said
            self.changed.set()
            answer |= {"channel": CHANNEL, "ts": ts, "message": {"ts": ts}}
        elif method == "chat.getPermalink":
            ts = str(said.get("message_ts", "")).replace(".", "")
            answer |= {"permalink": f"https://demo.slack.com/archives/{CHANNEL}/p{ts}"}
        else:
            answer = {"ok": False, "error": "unknown_method"}
        return web.json_response(answer)


def _comment(id_: str, body: str) -> dict[str, Any]:
    return {"id": int(id_), "body": body, "user": {"login": LOGIN}}


async def _arguments(request: "web.Request") -> Mapping[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        found: Mapping[str, Any] = await request.json()
        return found
    return dict(parse_qsl(await request.text()))


@asynccontextmanager
async def running_services() -> AsyncIterator[Services]:
    """Run both stand-ins on a free port of this machine."""
    from aiohttp import web

    from bridge.listening.listener import close_all

    services = Services()
    app = web.Application()
    app.router.add_route("*", "/api/v3/{path:.*}", services.github)
    app.router.add_route("*", "/api/{method}", services.slack)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    listener = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    services.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield services
    finally:
        await close_all([listener])
        await runner.cleanup()


# ── in a terminal ────────────────────────────────────────────────────────────────────────────────

_LINK = re.compile(r"<(?:[^|>]*)\|([^>]*)>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_EMOJI = {":white_check_mark:": "✅", ":x:": "❌", ":hourglass_flowing_sand:": "⏳"}


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """Return the lines of a Slack message, as Slack shows its blocks."""
    lines: list[str] = []
    for block in card["blocks"]:
        if block["type"] == "section":
            lines += _plain(block["text"]["text"]).split("\n")
        elif block["type"] == "context":
            lines.append(" ".join(_plain(one["text"]) for one in block["elements"]))
        elif block["type"] == "actions":
            lines.append("  ".join(f"[{one['text']['text']}]" for one in block["elements"]))
    return lines


def _plain(text: str) -> str:
    """Return Slack's markup as text: links by their words, entities as what they stand for."""
    text = _LINK.sub(r"\1", text).replace("*", "").replace("`", "")
    for sign, meant in {**_EMOJI, **_ENTITIES}.items():
        text = text.replace(sign, meant)
    return text


def comment_lines(body: str) -> list[str]:
    """Return the lines of a comment, without its invisible marker."""
    return [line for line in body.splitlines() if not line.startswith("<!--")]
