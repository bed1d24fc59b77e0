"""Slack's door: who gets in, and that nothing which comes through it breaks it."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.chats.slack.api import SlackClient, answer_origins
from bridge.chats.slack.blocks import actions, button
from bridge.core.errors import Refused, Rejected, Unanswered, Unreachable
from tests.fakes.slack.hands import ADA, signed
from tests.fakes.slack.methods import BOT_TOKEN, TEAM
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import FORM, Door, granted, open_door, post

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


async def test_a_flood_of_strangers_writes_few_lines(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(150):
        assert (await post(door, b"x=y", X_Slack_Signature="v0=" + "0" * 64))[0] == 401
    refused = [one for one in caplog.records if one.message == "request refused"]
    assert 1 <= len(refused) < 100


async def test_what_is_signed_is_answered(door: Door) -> None:
    status, said = await post(door, urlencode(HELP).encode())

    assert status == 200
    assert "/dokploy deploy" in said


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Slack_Signature": None},
        {"X_Slack_Request_Timestamp": None},
        {"X_Slack_Signature": ""},
        {"X_Slack_Signature": "v0=" + "0" * 64},
        {"X_Slack_Signature": "v1=" + "0" * 64},
        {"X_Slack_Signature": "v0=abc"},
        {"X_Slack_Signature": "v0=" + "é" * 64},
        {"X_Slack_Signature": b"v0=" + b"\xff" * 64},
        {"X_Slack_Request_Timestamp": "soon"},
        {"X_Slack_Request_Timestamp": "²"},
        {"X_Slack_Request_Timestamp": "1e9"},
        {"X_Slack_Request_Timestamp": "-1"},
        {"X_Slack_Request_Timestamp": "9" * 400},
        {"X_Slack_Request_Timestamp": "nan"},
    ],
)
async def test_absurd_headers_are_401_and_not_500(door: Door, headers: dict[str, Any]) -> None:
    status, said = await post(door, urlencode(HELP).encode(), **headers)

    assert status == 401
    assert set(json.loads(said)) == {"error"}


@pytest.mark.parametrize(("age", "status"), [(290, 200), (310, 401), (-290, 200), (-310, 401)])
async def test_a_replay_is_refused_after_five_minutes(door: Door, age: int, status: int) -> None:
    body = urlencode(HELP).encode()
    headers = {k.replace("-", "_"): v for k, v in signed(body, at=time.time() - age).items()}

    assert (await post(door, body, **headers))[0] == status


async def test_a_changed_body_and_another_secret_are_refused(door: Door) -> None:
    body = urlencode(HELP).encode()
    other = {k.replace("-", "_"): v for k, v in signed(body, secret="another").items()}
    proof = {k.replace("-", "_"): v for k, v in signed(body).items()}

    assert (await post(door, body, **other))[0] == 401
    assert (await post(door, body + b"&x=1", **proof))[0] == 401


async def test_size_and_method_are_checked_before_the_body(door: Door) -> None:
    assert (await post(door, b"x" * (3 * 2**20)))[0] == 413
    assert (await door.web.get("/slack/events")).status_code == 405


@pytest.mark.parametrize("team", ["T0ELSE", "", "t0team"])
async def test_another_workspace_gets_nothing(door: Door, team: str) -> None:
    answered = await door.hands.type("deploy web", team=team)

    assert "another Slack workspace" in answered.text
    assert await door.asked() == []


async def test_while_the_workspace_is_not_known_nobody_gets_in(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, granted(), team="T0SET") as door:
        refused = await door.hands.type("deploy web")
        door.parts.parts.workspace.team = ""
        unknown = await door.hands.type("deploy web", team="")

        assert "another Slack workspace" in refused.text
        assert "does not know its Slack workspace yet" in unknown.text
        assert await door.asked() == []


# ── what comes through it ────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "block_actions", "actions": [{"action_id": "unknown", "type": "button"}]},
        {
            "type": "view_submission",
            "view": {"callback_id": "unknown", "id": "V1", "type": "modal"},
        },
        {
            "type": "view_closed",
            "view": {"callback_id": "operation.view", "id": "V1", "type": "modal"},
        },
        {"type": "shortcut", "callback_id": "unknown"},
        {"type": "message_action", "callback_id": "unknown"},
        {"type": "block_suggestion", "action_id": "unknown", "value": ""},
        {"type": "something_new"},
    ],
)
async def test_what_nobody_handles_is_taken_all_the_same(
    door: Door, payload: dict[str, Any]
) -> None:
    whole = {"team": {"id": TEAM}, "user": {"id": ADA, "team_id": TEAM}, "trigger_id": "1.2"}
    whole |= {"channel": {"id": "C0SHOP"}, "message": {"ts": "1.2"}} | payload
    body = urlencode({"payload": json.dumps(whole)}).encode()

    assert await post(door, body) == (200, "")


async def test_the_address_is_proved_to_slack(door: Door) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "prove-it", "token": "x"}).encode()
    status, said = await post(door, body, Content_Type="application/json")

    assert status == 200
    assert json.loads(said)["challenge"] == "prove-it"


KEYS = st.sampled_from(
    ["type", "team", "id", "user", "actions", "action_id", "view", "callback_id", "event", "value",
     "channel", "container", "message", "state", "trigger_id", "team_id", "command", "text"]
)  # fmt: skip
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=12,
)
PAYLOADS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["block_actions", "view_submission", "block_suggestion", "shortcut", "message_action",
             "event_callback", "view_closed", "url_verification", ""]
        ),
        "team": st.sampled_from([{"id": TEAM}, TEAM, None]),
        "actions": st.just([{"action_id": "deployment.cancel", "type": "button"}]) | ODD,
        "view": st.just({"callback_id": "operation.view", "id": "V1", "type": "modal"}) | ODD,
    },
    optional={"user": ODD, "event": ODD, "callback_id": ODD, "channel": ODD, "message": ODD},
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PAYLOADS | ODD, st.booleans())
async def test_signed_nonsense_is_refused_or_taken_and_kept_nowhere(
    door: Door, payload: Any, as_json: bool
) -> None:
    raw = json.dumps(payload)
    body = raw.encode() if as_json else urlencode({"payload": raw}).encode()
    kind = "application/json" if as_json else FORM["Content-Type"]
    status, _ = await post(door, body, Content_Type=kind)

    assert status in (200, 400)
    assert await door.asked() == []


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"payload=%7B", b"payload=%FF", b"{", b"[]"])
@pytest.mark.parametrize("kind", ["application/json", FORM["Content-Type"], "text/plain", "x"])
async def test_signed_bytes_of_any_kind_are_no_500(door: Door, body: bytes, kind: str) -> None:
    status, _ = await post(door, body, Content_Type=kind)

    assert status in (200, 400)


# ── what goes out ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/x", "https://hooks.slack.com.evil.example/x",
        "https://evil.example/?https://hooks.slack.com/", "file:///etc/passwd", "",
    ],
)  # fmt: skip
async def test_only_slacks_own_response_urls_are_answered(url: str) -> None:
    client = SlackClient(BOT_TOKEN)
    try:
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
        with pytest.raises(Unanswered):
            await client.call("auth.test")
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


async def test_nothing_listens_is_unreachable() -> None:
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    client = SlackClient("xoxb-secret", f"http://127.0.0.1:{port}/api/")
    try:
        with pytest.raises(Unreachable) as error:
            await client.call("auth.test")
    finally:
        await client.close()
    assert "xoxb-secret" not in str(error.value)


# ── triggers ─────────────────────────────────────────────────────────────────

TRY_AGAIN = "Slack gave up waiting for the dialog. Please try again."


@pytest.mark.parametrize("code", ["invalid_trigger_id", "expired_trigger_id"])
@pytest.mark.parametrize("command", ["/deploy", "/provider", "/redeploy"])
async def test_who_types_is_told_to_try_again_where_the_dialog_comes_too_late(
    door: Door, slack: FakeSlack, command: str, code: str
) -> None:
    slack.next("views.open", error=code)

    told = await door.hands.type("web" if command == "/provider" else "", command=command)

    assert TRY_AGAIN in told.body["text"]
    assert told.body["response_type"] == "ephemeral"
    assert code not in str(told.body)


@pytest.mark.parametrize("code", ["invalid_trigger_id", "expired_trigger_id"])
async def test_who_clicks_is_told_to_try_again_where_the_dialog_comes_too_late(
    door: Door, slack: FakeSlack, code: str
) -> None:
    message = {"ts": "1.0", "blocks": [actions(button("Log", "deployment.log", "d-1"))]}
    slack.next("views.open", error=code)

    clicked = await door.hands.click(message, "deployment.log")

    told = await clicked.later()
    assert TRY_AGAIN in told["text"]
    assert (told["response_type"], told["replace_original"]) == ("ephemeral", False)


@pytest.mark.parametrize("shortcut", ["deploy_app", "redeploy_this"])
async def test_who_uses_a_shortcut_is_told_to_try_again_where_the_dialog_comes_too_late(
    door: Door, slack: FakeSlack, shortcut: str
) -> None:
    slack.next("views.open", error="expired_trigger_id")
    message: dict[str, Any] = {"message": {"ts": "1.0", "blocks": []}, "channel": "C0SHOP"}
    others = message if shortcut == "redeploy_this" else {}

    used = await door.hands.shortcut(shortcut, **others)

    if others:
        assert TRY_AGAIN in (await used.later())["text"]
        return
    told = await slack.until(lambda: [one for one in slack.channels.values() if one.id[0] == "D"])
    assert TRY_AGAIN in told[0].messages[0]["text"]
