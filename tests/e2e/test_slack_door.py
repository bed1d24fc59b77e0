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

UNKNOWN: list[dict[str, Any]] = [
    {"type": "block_actions", "actions": [{"action_id": "unknown", "type": "button"}]},
    {"type": "view_submission", "view": {"callback_id": "unknown", "id": "V1", "type": "modal"}},
    {"type": "view_closed", "view": {"callback_id": "operation.view", "id": "V1", "type": "modal"}},
    {"type": "shortcut", "callback_id": "unknown"},
    {"type": "message_action", "callback_id": "unknown"},
    {"type": "block_suggestion", "action_id": "unknown", "value": ""},
    {"type": "something_new"},
]


async def test_what_nobody_handles_is_taken_all_the_same(door: Door) -> None:
    common = {"team": {"id": TEAM}, "user": {"id": ADA, "team_id": TEAM}, "trigger_id": "1.2"}
    common |= {"channel": {"id": "C0SHOP"}, "message": {"ts": "1.2"}}
    for payload in UNKNOWN:
        body = urlencode({"payload": json.dumps(common | payload)}).encode()
        assert await post(door, body) == (200, ""), payload


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
