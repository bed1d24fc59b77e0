"""The app's manifest for Slack, ready to paste at api.slack.com/apps. Pure.

Source: https://docs.slack.dev/reference/app-manifest, and its JSON Schema.
"""

from collections.abc import Iterable
from typing import Any

from bridge.chats.slack.commands import DEPLOY_APP, LONG, REDEPLOY_THIS
from bridge.chats.slack.help import SHORT

SCOPES = ("chat:write", "commands", "users:read")
"""The minimum: to post, to receive commands, to tell guests from members."""

MORE_SCOPES = {
    "any-channel": ("chat:write.public",),
    "channels": ("channels:read", "groups:read"),
    "emails": ("users:read.email",),
    "groups": ("usergroups:read",),
    "history": ("channels:history", "groups:history"),
}
"""Optional scopes, by their purpose; see docs/slack.md."""

PATH = "/slack/events"


def slack_manifest(url: str | None, more: Iterable[str] = (), name: str = "Bridge") -> Any:
    """Return the manifest as JSON.

    Args:
        url: where the bridge is reached, e.g. "https://bridge.example.com"; None: by Socket Mode.
        more: names of `MORE_SCOPES`.
    """
    events = f"{url.rstrip('/')}{PATH}" if url else None
    scopes = {*SCOPES, *(scope for one in more for scope in MORE_SCOPES[one])}
    return {
        "_metadata": {"major_version": 2},
        "display_information": {
            "name": name,
            "description": "A push deploys, and everybody sees what happened.",
        },
        "features": {
            "app_home": {
                "home_tab_enabled": True,
                "messages_tab_enabled": True,
                "messages_tab_read_only_enabled": True,
            },
            "bot_user": {"display_name": name, "always_online": True},
            "shortcuts": [
                _shortcut("Deploy an app", "global", DEPLOY_APP, "Pick an app and deploy it"),
                _shortcut("Redeploy this", "message", REDEPLOY_THIS, "Build this app again"),
            ],
            "slash_commands": _commands(events),
        },
        "oauth_config": {"scopes": {"bot": sorted(scopes)}},
        "settings": {
            "event_subscriptions": _at(events, "request_url", {"bot_events": ["app_home_opened"]}),
            "interactivity": _at(
                events, "request_url", _at(events, "message_menu_options_url", {"is_enabled": True})
            ),
            "org_deploy_enabled": False,
            "socket_mode_enabled": events is None,
            "token_rotation_enabled": False,
        },
    }


def _commands(events: str | None) -> list[dict[str, Any]]:
    long = {"command": LONG, "description": "Deploy, look and ask", "usage_hint": "help"}
    short = [
        {"command": f"/{name}", "description": says, "usage_hint": hint}
        for name, (hint, says) in SHORT.items()
    ]
    # Not escaped: their arguments name apps and branches, not people or channels.
    return [_at(events, "url", {**one, "should_escape": False}) for one in (long, *short)]


def _shortcut(name: str, kind: str, callback_id: str, says: str) -> dict[str, str]:
    return {"name": name, "type": kind, "callback_id": callback_id, "description": says}


def _at(events: str | None, field: str, rest: dict[str, Any]) -> dict[str, Any]:
    """Add the address, if there is one; Socket Mode has none."""
    return {field: events, **rest} if events else rest
