"""What Slack has signed, with one place of it of another type: a clean answer, no traceback."""

import copy
import json
import logging
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.chats.slack import names
from tests.fakes.slack.hands import ADA
from tests.fakes.slack.methods import BOT, TEAM
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import FORM, Door, granted, open_door, post

NAMES = sorted(
    value
    for name, value in vars(names).items()
    if name.isupper() and isinstance(value, str) and "." in value
)
USER = {"id": ADA, "username": "ada", "name": "ada", "team_id": TEAM}
COMMON = {"user": USER, "team": {"id": TEAM, "domain": "test"}, "api_app_id": "A0", "token": "x"}
URL = "http://127.0.0.1:9/none"
MESSAGE = {"type": "message", "ts": "1.2", "user": BOT, "text": "shop/web", "blocks": []}
METADATA = {"event_type": "bridge_card", "event_payload": {"deployment": "1.app-web", "lines": 0}}
STATE = {
    "values": {
        name: {name: {"type": "external_select", "selected_option": {"value": "app-web"}}}
        for name in ("app", "app.search")
    }
}


def view(name: str) -> dict[str, Any]:
    return {
        "id": "V1", "type": "modal", "callback_id": name, "hash": "1.h", "blocks": [],
        "private_metadata": json.dumps({"app": "app-web", "channel": "C0SHOP"}), "state": STATE,
        "root_view_id": "V1", "app_installed_team_id": TEAM, "team_id": TEAM,
    }  # fmt: skip


def action(name: str) -> dict[str, Any]:
    return {
        "type": "button", "action_id": name, "block_id": "b", "value": "app-web",
        "action_ts": "1.2", "selected_option": {"value": "app-web", "text": {"text": "a"}},
    }  # fmt: skip


def clicked(name: str) -> dict[str, Any]:
    return COMMON | {
        "type": "block_actions", "trigger_id": "1.2.x", "response_url": URL,
        "container": {"type": "message", "message_ts": "1.2", "channel_id": "C0SHOP"},
        "channel": {"id": "C0SHOP", "name": "shop"}, "actions": [action(name)],
        "message": MESSAGE | {"metadata": METADATA},
    }  # fmt: skip


def in_view(name: str) -> dict[str, Any]:
    return COMMON | {
        "type": "block_actions", "trigger_id": "1.2.x", "actions": [action(name)],
        "container": {"type": "view", "view_id": "V1"}, "view": view(name),
    }  # fmt: skip


def submitted(name: str) -> dict[str, Any]:
    return COMMON | {"type": "view_submission", "trigger_id": "1.2.x", "view": view(name)}


def suggested(name: str) -> dict[str, Any]:
    return COMMON | {
        "type": "block_suggestion", "action_id": name, "block_id": "b", "value": "sh",
        "container": {"type": "view", "view_id": "V1"}, "view": view(name),
    }  # fmt: skip


def shortcut(name: str) -> dict[str, Any]:
    return COMMON | {"type": "shortcut", "callback_id": name, "trigger_id": "1.2.x"}


def on_message(name: str) -> dict[str, Any]:
    return COMMON | {
        "type": "message_action", "callback_id": name, "trigger_id": "1.2.x",
        "response_url": URL, "channel": {"id": "C0SHOP", "name": "shop"}, "message_ts": "1.2",
        "message": MESSAGE | {"metadata": METADATA},
    }  # fmt: skip


def at_home(_: str) -> dict[str, Any]:
    return {
        "type": "event_callback", "team_id": TEAM, "event_id": "Ev1", "api_app_id": "A0",
        "event": {
            "type": "app_home_opened", "user": ADA, "tab": "home", "channel": "D1",
            "view": view("home"),
        },
    }  # fmt: skip


KINDS = (clicked, in_view, submitted, suggested, shortcut, on_message, at_home)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 1e308, "", "x", "x" * 4000, "\0", "{", "[]", [], [None], [[]], {}, {"a": 1},
     {"value": None}, {"values": []}, {"id": {}}, "\ud800", "a\udfffb", 10**40, math.nan]
)  # fmt: skip


def places(payload: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths to all that is in a payload."""
    inner = payload.items() if isinstance(payload, dict) else enumerate(payload)
    for name, value in inner:
        yield (*before, name)
        if isinstance(value, dict | list):
            yield from places(value, (*before, name))


@st.composite
def odd_payloads(draw: st.DrawFn) -> dict[str, Any]:
    payload: dict[str, Any] = copy.deepcopy(
        draw(st.sampled_from(KINDS))(draw(st.sampled_from(NAMES)))
    )
    for _ in range(draw(st.integers(1, 2))):
        *way, last = draw(st.sampled_from(list(places(payload))))
        place: Any = payload
        for name in way:
            place = place[name]
        if draw(st.booleans()) or isinstance(place, list):
            place[last] = copy.deepcopy(draw(ODD))
        else:
            del place[last]
    return payload


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as running:
        yield running


@pytest.fixture
async def door(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(slack, tmp_path, granted()) as opened:
        yield opened


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd_payloads())
async def test_a_signed_payload_that_is_odd_in_a_place_gets_a_clean_answer(
    door: Door, caplog: pytest.LogCaptureFixture, payload: dict[str, Any]
) -> None:
    caplog.clear()
    caplog.set_level(logging.DEBUG, "bridge")
    raw = json.dumps(payload)
    is_event = payload.get("type") == "event_callback"
    body = raw.encode() if is_event else urlencode({"payload": raw}).encode()
    kind = "application/json" if is_event else FORM["Content-Type"]

    status, _ = await post(door, body, Content_Type=kind)
    await door.parts.parts.background.stop()

    assert status in (200, 400)
    assert [one for one in caplog.records if one.exc_info] == []
