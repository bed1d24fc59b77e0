"""What goes on after an answer, and where a request comes from."""

import asyncio
import logging
from typing import Any

import pytest

from bridge.chats.slack import workspace
from bridge.chats.slack.workspace import Background, names_of, place_of
from bridge.core.errors import Unreachable
from bridge.ports.chats import Place
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
