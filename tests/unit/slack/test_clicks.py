"""A double click is one wish, also around a restart; a later click is another."""

from typing import Any

from bridge.chats.slack.workspace import CHAT, Clicks, one_time
from bridge.ports.inbox import Delivery, DeliveryState


class Kept:
    """An inbox that has kept some ids."""

    def __init__(self, *ids: str, at: float = 0.0) -> None:
        self._ids, self._at = ids, at

    async def find(self, host: str, id_: str) -> Delivery | None:
        if id_ not in self._ids:
            return None
        return Delivery(1, host, id_, "deploy", {}, self._at, DeliveryState.KEPT)


def click(at: float, *, user: str = "U1", value: str = "d1", ts: str = "1.1") -> dict[str, Any]:
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
        assert await one.id_of(click(first)) == await one.id_of(click(first + 0.4))


async def test_a_later_click_is_another() -> None:
    one = clicks()

    assert await one.id_of(click(1000.0)) != await one.id_of(click(1021.0))


async def test_another_person_button_or_message_is_another_wish() -> None:
    one = clicks()
    ids = [
        await one.id_of(click(1000.0)),
        await one.id_of(click(1000.0, user="U2")),
        await one.id_of(click(1000.0, value="d2")),
        await one.id_of(click(1000.0, ts="2.2")),
    ]

    assert len(set(ids)) == 4


async def test_another_process_knows_the_first_click_from_the_inbox() -> None:
    first = await clicks().id_of(click(1009.9))

    assert await clicks(Kept(first, at=1009.9), 1010.2).id_of(click(1010.2)) == first
    assert await clicks(Kept(first, at=1009.9), 1019.95).id_of(click(1019.95)) != first


async def test_a_second_click_that_is_sent_once_more_is_still_the_first() -> None:
    """What Slack has signed is good for minutes, whoever sends it again."""
    first = await clicks().id_of(click(1009.9))

    assert await clicks(Kept(first, at=1009.9), 1200.0).id_of(click(1010.2)) == first


async def test_a_click_without_a_time_has_ours() -> None:
    odd = click(0.0)
    odd["actions"][0]["action_ts"] = "soon"

    assert await clicks().id_of(odd) == await clicks().id_of(click(1000.0))


def test_ids_are_short_and_of_their_host() -> None:
    assert one_time("a", 1).startswith(f"{CHAT}-")
    assert one_time("a", 1) != one_time("a", 2)
