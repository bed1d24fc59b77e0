"""What people do in the fake workspace: type, click, pick, submit; sent as Slack sends it."""

import hashlib
import hmac
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.fakes.slack.methods import SECRET, TEAM
from tests.fakes.slack.server import FakeSlack, well_formed

ADA = "U0ADA"
SHOP = "C0SHOP"


@dataclass(frozen=True)
class Answered:
    """What Slack was answered.

    Attributes:
        body: of the acknowledgement; {} where it was empty.
        seconds: until that came.
        token: of the `response_url`, by which more may come.
    """

    slack: FakeSlack
    status: int
    body: dict[str, Any]
    seconds: float
    token: str

    @property
    def text(self) -> str:
        return str(self.body.get("text", ""))

    async def later(self, count: int = 1) -> dict[str, Any]:
        """What comes through the `response_url`, the last of so many."""
        given = self.slack.responses[self.token]
        await self.slack.until(lambda: len(given) >= count)
        return given[count - 1]


class Hands:
    """People's hands, by HTTP with signed requests, or through the socket."""

    def __init__(self, slack: FakeSlack, web: httpx.AsyncClient, *, socket: bool = False) -> None:
        self._slack = slack
        self._web = web
        self._socket = socket

    async def type(
        self,
        text: str,
        *,
        command: str = "/dokploy",
        user: str = ADA,
        channel: str = SHOP,
        team: str = TEAM,
        trigger: str | None = None,
    ) -> Answered:
        """Type a slash command."""
        token, url = self._response_url()
        form = {
            "command": command,
            "text": text,
            "user_id": user,
            "user_name": user.lower(),
            "channel_id": channel,
            "channel_name": "shop",
            "team_id": team,
            "team_domain": "test",
            "api_app_id": "A0BRIDGE",
            "is_enterprise_install": "false",
            "response_url": url,
            "trigger_id": trigger or self._slack.trigger(),
        }
        return await self._send("slash_commands", form, token, form_encoded=True)

    async def click(
        self,
        message: dict[str, Any],
        action_id: str,
        *,
        user: str = ADA,
        channel: str = SHOP,
        at: float | None = None,
        **others: Any,
    ) -> Answered:
        """Click a button that stands on a message."""
        token, url = self._response_url()
        element = button_of(message, action_id)
        payload = {
            "type": "block_actions",
            "user": self._user(user),
            "team": {"id": self._user(user)["team_id"], "domain": "test"},
            "api_app_id": "A0BRIDGE",
            "container": {
                "type": "message",
                "message_ts": message.get("ts", "1.1"),
                "channel_id": channel,
                "is_ephemeral": "ts" not in message,
            },
            "channel": {"id": channel, "name": "shop"},
            "message": {k: v for k, v in message.items() if k != "broadcast"},
            "trigger_id": self._slack.trigger(),
            "response_url": url,
            "actions": [
                {
                    "action_id": action_id,
                    "block_id": "b",
                    "type": "button",
                    "text": element["text"],
                    "value": element.get("value", ""),
                    "action_ts": f"{at or time.time():.6f}",
                }
            ],
        }
        return await self._send("interactive", payload | others, token)

    async def search(self, view: dict[str, Any], typed: str, *, user: str = ADA) -> list[str]:
        """Type into the app picker of a dialog; the ids of the apps that are offered."""
        payload = {
            "type": "block_suggestion",
            "user": self._user(user),
            "team": {"id": TEAM, "domain": "test"},
            "api_app_id": "A0BRIDGE",
            "container": {"type": "view", "view_id": view["id"]},
            "action_id": "app.search",
            "block_id": "app",
            "value": typed,
            "view": view,
        }
        answered = await self._send("interactive", payload, "")
        groups = answered.body.get("option_groups") or [answered.body]
        return [option["value"] for group in groups for option in group["options"]]

    async def submit(
        self, view: dict[str, Any], values: dict[str, Any], *, user: str = ADA
    ) -> Answered:
        """Submit a dialog; `values` by block id, each by action id."""
        payload = {
            "type": "view_submission",
            "user": self._user(user),
            "team": {"id": TEAM, "domain": "test"},
            "api_app_id": "A0BRIDGE",
            "trigger_id": self._slack.trigger(),
            "view": view | {"state": {"values": values}},
            "response_urls": [],
        }
        return await self._send("interactive", payload, "")

    async def pick(self, view: dict[str, Any], app_id: str, *, user: str = ADA) -> Answered:
        """Pick an app and submit."""
        option = {"text": {"type": "plain_text", "text": "app"}, "value": app_id}
        chosen = {"type": "external_select", "selected_option": option}
        return await self.submit(view, {"app": {"app.search": chosen}}, user=user)

    async def shortcut(self, callback_id: str, *, user: str = ADA, **message: Any) -> Answered:
        """Use a shortcut; one of a message where `message` and `channel` are given."""
        token, url = self._response_url()
        payload: dict[str, Any] = {
            "type": "shortcut",
            "callback_id": callback_id,
            "action_ts": f"{time.time():.6f}",
            "user": self._user(user),
            "team": {"id": TEAM, "domain": "test"},
            "trigger_id": self._slack.trigger(),
        }
        if message:
            payload |= {
                "type": "message_action",
                "channel": {"id": message["channel"], "name": "shop"},
                "message": message["message"],
                "message_ts": message["message"]["ts"],
                "response_url": url,
            }
        return await self._send("interactive", payload, token)

    async def event(self, event: dict[str, Any], **others: Any) -> Answered:
        """An event, as `app_home_opened`."""
        payload = {
            "type": "event_callback",
            "team_id": TEAM,
            "api_app_id": "A0BRIDGE",
            "event": event,
            "event_id": f"Ev{uuid.uuid4().hex[:10]}",
            "event_time": int(time.time()),
        }
        return await self._send("events_api", payload | others, "", as_json=True)

    # ── sending ───────────────────────────────────────────────────────────

    def _user(self, id_: str) -> dict[str, Any]:
        team = self._slack.users.get(id_, {}).get("team_id", TEAM)
        return {"id": id_, "username": id_.lower(), "name": id_.lower(), "team_id": team}

    def _response_url(self) -> tuple[str, str]:
        token = uuid.uuid4().hex
        return token, f"{self._slack.url}/respond/{token}"

    async def _send(
        self,
        kind: str,
        payload: dict[str, Any],
        token: str,
        *,
        form_encoded: bool = False,
        as_json: bool = False,
    ) -> Answered:
        began = time.perf_counter()
        if self._socket:
            body = await self._slack.through_socket(kind, payload)
            well_formed(body)
            return Answered(self._slack, 200, body, time.perf_counter() - began, token)
        if as_json:
            raw, content_type = json.dumps(payload).encode(), "application/json"
        else:
            fields = payload if form_encoded else {"payload": json.dumps(payload)}
            raw, content_type = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        headers = signed(raw) | {"Content-Type": content_type}
        answer = await self._web.post("/slack/events", content=raw, headers=headers)
        as_text = {"text": answer.text} if answer.text else {}
        body = answer.json() if "application/json" in answer.headers["content-type"] else as_text
        well_formed(body)
        return Answered(self._slack, answer.status_code, body, time.perf_counter() - began, token)


def signed(body: bytes, *, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """Slack's two headers for a body."""
    timestamp = str(int(time.time() if at is None else at))
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def button_of(message: dict[str, Any], action_id: str) -> dict[str, Any]:
    """A button of a message."""
    for block in message["blocks"]:
        for element in [*block.get("elements", ()), block.get("accessory") or {}]:
            if element.get("action_id") == action_id:
                return dict(element)
    raise AssertionError(f"there is no {action_id} on {message['text']!r}")


def buttons_of(message: dict[str, Any]) -> list[str]:
    """The action ids of all buttons of a message."""
    return [
        element["action_id"]
        for block in message["blocks"]
        for element in [*block.get("elements", ()), block.get("accessory") or {}]
        if "action_id" in element
    ]


def words_of(message: dict[str, Any]) -> str:
    """All that a message says, its text and its blocks."""
    return json.dumps([message.get("text"), message.get("blocks")], ensure_ascii=False)
