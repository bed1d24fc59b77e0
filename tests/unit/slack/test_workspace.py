"""What Slack sends, read; what goes on after an answer; and that a double click is one wish."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.chats.slack import workspace
from bridge.chats.slack.door import payload_of
from bridge.chats.slack.workspace import Background, Clicks, names_of, place_of
from bridge.core.errors import MalformedPayload, Unreachable
from bridge.ports.chats import Place
from bridge.ports.inbox import Delivery, DeliveryState
from tests.worlds.rows import each_row


async def test_what_takes_longer_than_slack_waits_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "ACK_WITHIN", 0.01)
    background, gate = Background(), asyncio.Event()

    slow = await background.in_time(gate.wait(), "slow")
    quick = await background.in_time(asyncio.sleep(0, "told"), "quick")

    assert (slow.done(), quick.result()) == (False, "told")
    gate.set()
    assert await slow is True


async def test_when_the_bridge_stops_what_goes_on_may_finish_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workspace, "GRACE", 0.05)
    background, never = Background(), asyncio.Event()
    ends = background.start(asyncio.sleep(0.01, "done"), "ends")
    hangs = background.start(never.wait(), "hangs")

    await background.stop()

    assert ends.result() == "done"
    assert hangs.cancelled()


@pytest.mark.parametrize(
    ("error", "level"), [(Unreachable("slack", "gone"), "WARNING"), (KeyError("a bug"), "ERROR")]
)
async def test_what_fails_after_an_answer_is_in_the_log(
    error: Exception, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise error

    background = Background()
    with caplog.at_level(logging.WARNING):
        background.start(fails(), "a card")
        await background.stop()

    ((record),) = [one for one in caplog.records if one.name == workspace.__name__]
    assert (record.levelname, record.what) == (level, "a card")  # type: ignore[attr-defined]


COMMAND = {"channel_id": "C1", "channel_name": "shop"}
CLICK = {
    "channel": {"id": "C1", "name": "shop"},
    "container": {"channel_id": "C1", "thread_ts": "1.2"},
}
IN_A_VIEW: dict[str, Any] = {"container": {"type": "view", "view_id": "V1"}, "view": {"id": "V1"}}


@each_row(
    ("body", "place", "names"),
    [
        (COMMAND, Place("C1"), {"C1", "#shop"}),
        (CLICK, Place("C1", "1.2"), {"C1", "#shop"}),
        ({"container": {"channel_id": "C1"}}, Place("C1"), {"C1"}),
        ({"channel": {"id": "C1"}, "message": {"thread_ts": "1.2"}}, Place("C1", "1.2"), {"C1"}),
        (IN_A_VIEW, Place(), set()),
        ({"channel": None}, Place(), set()),
    ],
)
def test_a_request_comes_from_a_channel_maybe_from_a_thread(
    body: dict[str, Any], place: Place, names: set[str]
) -> None:
    assert place_of(body) == place
    assert names_of(body) == names


# ── a double click is one wish, also around a restart ──────────────────────────


class Kept:
    """An inbox that has kept some ids."""

    def __init__(self, *ids: str, at: float = 0.0) -> None:
        self._ids, self._at = ids, at

    async def find(self, host: str, id_: str) -> Delivery | None:
        if id_ not in self._ids:
            return None
        return Delivery(1, host, id_, "deploy", {}, self._at, DeliveryState.KEPT)


def click_at(at: float, *, user: str = "U1", value: str = "d1", ts: str = "1.1") -> dict[str, Any]:
    return {
        "user": {"id": user},
        "container": {"message_ts": ts},
        "actions": [{"action_id": "deployment.redeploy", "value": value, "action_ts": f"{at}"}],
    }


def clicks(inbox: Kept | None = None, now: float = 1000.0) -> Clicks:
    return Clicks(inbox or Kept(), lambda: now)  # type: ignore[arg-type]


async def test_clicks_of_a_moment_are_one_wherever_the_moment_lies() -> None:
    for first in (1000.0, 1009.9, 1004.4):
        one = clicks()
        assert await one.id_of(click_at(first)) == await one.id_of(click_at(first + 0.4))


async def test_a_later_click_and_another_person_button_or_message_are_other_wishes() -> None:
    one = clicks()
    ids = [
        await one.id_of(click_at(1000.0)),
        await one.id_of(click_at(1021.0)),
        await one.id_of(click_at(1000.0, user="U2")),
        await one.id_of(click_at(1000.0, value="d2")),
        await one.id_of(click_at(1000.0, ts="2.2")),
    ]

    assert len(set(ids)) == 5


async def test_another_process_knows_the_first_click_from_the_inbox_also_minutes_later() -> None:
    first = await clicks().id_of(click_at(1009.9))

    assert await clicks(Kept(first, at=1009.9), 1010.2).id_of(click_at(1010.2)) == first
    assert await clicks(Kept(first, at=1009.9), 1019.95).id_of(click_at(1019.95)) != first
    # What Slack has signed is good for minutes, whoever sends it again.
    assert await clicks(Kept(first, at=1009.9), 1200.0).id_of(click_at(1010.2)) == first


async def test_a_click_without_a_time_has_ours() -> None:
    odd = click_at(0.0)
    odd["actions"][0]["action_ts"] = "soon"

    assert await clicks().id_of(odd) == await clicks().id_of(click_at(1000.0))


# ── the bytes that Slack sends, read ───────────────────────────────────────────


FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@each_row(
    ("kind", "body", "words"),
    [
        (FORM, b"\xff", "the body is not UTF-8"),
        (FORM, b"payload={", "the body is not JSON"),
        (FORM, b"payload=[]", "the body must be an object, and is an empty list"),
        (FORM, b"payload=null", "the body must be an object, and is null"),
        (
            FORM,
            b"&".join(b"a%d=1" % n for n in range(101)),
            "the body is not a form as Slack sends it",
        ),
        (JSON, b"7", "the body must be an object, and is a number"),
        (JSON, b"[" * 100_000, "the body is not JSON"),
        (JSON, b'{"actions": []}', "actions must be a list of objects, and is an empty list"),
        (JSON, b'{"actions": null}', "actions must be a list of objects, and is null"),
        (JSON, b'{"actions": [null]}', "actions must hold objects, and holds null"),
        (JSON, b'{"view": "V1"}', "view must be an object, and is a text"),
        (JSON, b'{"message": null}', "message must be an object, and is null"),
    ],
)
def test_what_slack_would_not_send_is_refused(kind: str, body: bytes, words: str) -> None:
    with pytest.raises(MalformedPayload) as refused:
        payload_of(kind, body)

    assert str(refused.value) == words


@settings(max_examples=50)
@given(st.sampled_from([FORM, JSON, ""]), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(kind: str, body: bytes) -> None:
    with contextlib.suppress(MalformedPayload):
        assert isinstance(payload_of(kind, body), dict)
