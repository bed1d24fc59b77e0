"""Slack's door: who gets in, and that nothing which comes through it breaks it."""

import copy
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.chats.slack import names
from bridge.chats.slack.api import SlackClient, answer_origins
from bridge.chats.slack.blocks import actions, button
from bridge.core.errors import Refused, Rejected, Unanswered, Unreachable
from tests.fakes.slack.hands import ADA, signed
from tests.fakes.slack.methods import BOT, BOT_TOKEN, TEAM
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import FORM, Door, granted, open_door, post

pytestmark = pytest.mark.journey

HELP = {
    "command": "/dokploy",
    "text": "help",
    "user_id": ADA,
    "team_id": TEAM,
    "channel_id": "C0SHOP",
}


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as running:
        yield running


@pytest.fixture
async def door(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(slack, tmp_path, granted()) as opened:
        yield opened


# ── who gets in ──────────────────────────────────────────────────────────────

ABSURD: list[dict[str, Any]] = [
    {"X_Slack_Signature": None},
    {"X_Slack_Request_Timestamp": None},
    {"X_Slack_Signature": ""},
    {"X_Slack_Signature": "v0=" + "0" * 64},
    {"X_Slack_Signature": "v1=" + "0" * 64},
    {"X_Slack_Signature": "v0=" + "é" * 64},
    {"X_Slack_Signature": b"v0=" + b"\xff" * 64},
    {"X_Slack_Request_Timestamp": "²"},
    {"X_Slack_Request_Timestamp": "-1"},
    {"X_Slack_Request_Timestamp": "9" * 400},
    {"X_Slack_Request_Timestamp": "nan"},
]


async def test_only_what_slack_has_signed_in_the_last_five_minutes_gets_in(door: Door) -> None:
    body = urlencode(HELP).encode()

    def proof(**how: Any) -> dict[str, Any]:
        return {name.replace("-", "_"): value for name, value in signed(body, **how).items()}

    status, said = await post(door, body)
    assert status == 200
    assert "/dokploy deploy" in said
    for age, status in ((290, 200), (310, 401), (-290, 200), (-310, 401)):
        assert (await post(door, body, **proof(at=time.time() - age)))[0] == status
    for headers in ABSURD:
        status, said = await post(door, body, **headers)
        assert (status, set(json.loads(said))) == (401, {"error"}), headers
    assert (await post(door, body, **proof(secret="another")))[0] == 401
    assert (await post(door, body + b"&x=1", **proof()))[0] == 401
    assert (await post(door, b"x" * (3 * 2**20)))[0] == 413
    assert (await door.web.get("/slack/events")).status_code == 405


async def test_a_flood_of_strangers_writes_few_lines(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(150):
        assert (await post(door, b"x=y", X_Slack_Signature="v0=" + "0" * 64))[0] == 401
    refused = [one for one in caplog.records if one.message == "request refused"]
    assert 1 <= len(refused) < 100


async def test_another_workspace_gets_nothing_nor_anybody_while_ours_is_not_known(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, granted(), team="T0SET") as door:
        for team in ("T0ELSE", TEAM, "", "t0set"):
            answered = await door.hands.type("deploy web", team=team)
            assert "another Slack workspace" in answered.text
        door.parts.parts.workspace.team = ""
        unknown = await door.hands.type("deploy web", team="")

        assert "does not know its Slack workspace yet" in unknown.text
        assert await door.asked() == []


# ── what comes through it ────────────────────────────────────────────────────


async def test_the_address_is_proved_to_slack(door: Door) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "prove-it", "token": "x"}).encode()
    status, said = await post(door, body, Content_Type="application/json")

    assert status == 200
    assert json.loads(said)["challenge"] == "prove-it"


async def test_signed_bytes_of_any_kind_are_no_500(door: Door) -> None:
    for body in (b"", b"\xff\xfe", b"payload=%7B", b"payload=%FF", b"{", b"[]"):
        for kind in ("application/json", FORM["Content-Type"], "text/plain", "x"):
            status, _ = await post(door, body, Content_Type=kind)
            assert status in (200, 400), (body, kind)


# ── what Slack has signed, with one place of it of another type ──────────────

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


# ── what goes out ────────────────────────────────────────────────────────────


async def test_only_slacks_own_response_urls_are_answered() -> None:
    client = SlackClient(BOT_TOKEN)
    try:
        for url in (
            "http://hooks.slack.com/x", "https://hooks.slack.com.evil.example/x",
            "https://evil.example/?https://hooks.slack.com/", "file:///etc/passwd", "",
        ):  # fmt: skip
            with pytest.raises(Rejected):
                await client.answer(url, {"text": "x"})
    finally:
        await client.close()
    assert answer_origins("https://slack.com/api/") == ("https://hooks.slack.com/",)


async def test_slacks_refusals_are_told_by_what_to_do_next(slack: FakeSlack) -> None:
    client = SlackClient(BOT_TOKEN, f"{slack.url}/api/")
    slack.next("auth.test", status=429, after=7)
    slack.next("auth.test", error="internal_error")
    slack.next("auth.test", status=503)
    slack.next("auth.test", error="account_inactive")
    try:
        with pytest.raises(Unreachable) as much:
            await client.call("auth.test")
        for _ in range(2):
            with pytest.raises(Unanswered):
                await client.call("auth.test")
        with pytest.raises(Refused, match="install it again"):
            await client.call("auth.test")
        slack.channel("C0OUT", "out", joined=False)
        with pytest.raises(Refused, match="invite the bridge's app"):
            await client.call("chat.postMessage", channel="C0OUT", text="x")
        slack.away = True
        with pytest.raises((Unreachable, Unanswered)):
            await client.call("auth.test")
    finally:
        await client.close()
    assert much.value.retry_after == 7


async def test_whoever_asks_is_told_to_try_again_where_the_dialog_comes_too_late(
    door: Door, slack: FakeSlack
) -> None:
    again = "Slack gave up waiting for the dialog. Please try again."
    message = {"ts": "1.0", "blocks": [actions(button("Log", "deployment.log", "d-1"))]}

    for code in ("invalid_trigger_id", "expired_trigger_id"):
        for command, words in (("/deploy", ""), ("/provider", "web")):
            slack.next("views.open", error=code)
            told = (await door.hands.type(words, command=command)).body
            assert again in told["text"]
            assert told["response_type"] == "ephemeral"
            assert code not in str(told)
    slack.next("views.open", error="expired_trigger_id")
    told = await (await door.hands.click(message, "deployment.log")).later()
    assert again in told["text"]
    assert (told["response_type"], told["replace_original"]) == ("ephemeral", False)
    slack.next("views.open", error="expired_trigger_id")
    shown: dict[str, Any] = {"message": {"ts": "1.0", "blocks": []}, "channel": "C0SHOP"}
    told = await (await door.hands.shortcut("redeploy_this", **shown)).later()
    assert again in told["text"]
    slack.next("views.open", error="expired_trigger_id")
    await door.hands.shortcut("deploy_app")
    (alone, *_) = await slack.until(
        lambda: [one for one in slack.channels.values() if one.id[0] == "D"]
    )
    assert again in alone.messages[0]["text"]
