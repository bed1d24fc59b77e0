"""The methods of the fake workspace's Web API: what each does to it, and what it answers."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

BOT_TOKEN = "xoxb-of-the-tests"
APP_TOKEN = "xapp-of-the-tests"
SECRET = "a signing secret of the tests"
TEAM = "T0TEAM"
BOT = "U0BRIDGE"


class SlackError(Exception):
    """`ok: false` with a code."""


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


class Methods:
    """By name: `chat.postMessage` is `_chat_post_message`."""

    users: dict[str, dict[str, Any]]
    groups: dict[str, list[str]]
    channels: dict[str, Channel]
    views: dict[str, dict[str, Any]]
    homes: dict[str, dict[str, Any]]
    ephemerals: list[dict[str, Any]]
    triggers: dict[str, float]
    scopes: set[str]
    url: str
    _numbers: Iterator[int]

    def ts(self) -> str:
        """The time of a message, which is its id."""
        return f"{time.time():.0f}.{next(self._numbers):06d}"

    def _auth_test(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": "https://test.slack.com/",
            "team": "Test",
            "user": "bridge",
            "team_id": TEAM,
            "user_id": BOT,
        }

    def _conversations_list(self, _args: dict[str, Any]) -> dict[str, Any]:
        if "channels:read" not in self.scopes:
            raise SlackError("missing_scope")
        found = [
            {"id": one.id, "name": one.name, "is_channel": True, "is_member": one.joined}
            for one in self.channels.values()
            if not (one.private or one.archived or one.id.startswith("D"))
        ]
        return {"channels": found, "response_metadata": {"next_cursor": ""}}

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
        self._needs("channels:read")
        channel = self.channels.get(str(args["channel"]))
        if channel is None or (channel.private and not channel.joined):
            raise SlackError("channel_not_found")
        shown = {"id": channel.id, "name": channel.name, "is_archived": channel.archived}
        return {"channel": shown | {"is_member": channel.joined}}

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
        view = {**as_json(args["view"]), "id": id_, "team_id": TEAM, "hash": self.ts()}
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
        view.update({**as_json(args["view"]), "hash": self.ts()})
        return {"view": view}

    def _views_publish(self, args: dict[str, Any]) -> dict[str, Any]:
        id_ = f"V{next(self._numbers):06d}"
        view = {**as_json(args["view"]), "id": id_, "team_id": TEAM, "hash": self.ts()}
        self.homes[str(args["user_id"])] = view
        return {"view": view}

    def _apps_connections_open(self, _args: dict[str, Any]) -> dict[str, Any]:
        return {"url": self.url.replace("http", "ws", 1) + "/link"}

    def _needs(self, scope: str) -> None:
        if scope not in self.scopes:
            raise SlackError("missing_scope")


def _said(args: dict[str, Any]) -> dict[str, Any]:
    """What a message says; Slack's limits that a message may break."""
    blocks = as_json(args.get("blocks") or [])
    if not args.get("text") and not blocks:
        raise SlackError("no_text")
    if len(blocks) > 50:
        raise SlackError("invalid_blocks")
    found = {"text": args.get("text", ""), "blocks": blocks}
    if metadata := args.get("metadata"):
        found["metadata"] = as_json(metadata)
    return found


def as_json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
