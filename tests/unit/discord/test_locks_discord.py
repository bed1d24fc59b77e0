"""What is told of locks in Discord, and that it is told once."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.discord.locks import LOCK, LockNotes, LockPlans
from bridge.chats.discord.posts import MessageCursor
from bridge.chats.facts.card import Channels
from bridge.ports.feedback import LockNews, Snapshot
from bridge.ports.outcomes import Subscription
from tests.fakes.journey import ManualClock
from tests.scenes.slack_gates import LOCKED

PLANS = LockPlans(Channels((("shop/*", ("shop", "all")), ("shop/api", ("all",)))), {})


def news(*apps: str, **facts: Any) -> LockNews:
    return LockNews(LOCKED, apps, "day 1", "lock project/shop", **facts)


def test_one_channel_is_told() -> None:
    (one,) = PLANS.of(news("shop/web", "shop/api"))

    assert (one.id, one.kind, one.follows) == (f"{LOCK} day 1 all", LOCK, ("lock project/shop",))
    assert PLANS.of(news("site/docs")) == []


class Channel:
    """A channel that records what is posted."""

    def __init__(self) -> None:
        self.posted: list[str] = []

    async def shown(
        self, _of: Subscription, known: MessageCursor, message: Any, save_cursor: Any
    ) -> MessageCursor:
        self.posted.append(message.embed["title"])
        known = replace(known, message="1")
        await save_cursor(known.cursor())
        return known


@pytest.mark.parametrize(
    ("cursor", "now", "posted"),
    [
        ({}, 100.0, ["🔒 Still locked: project shop"]),
        ({}, 100.5, []),  # too late
        ({"posting": True}, 0.0, []),  # it may be there
        ({"message": "1"}, 0.0, []),
    ],
)
async def test_a_reminder_is_posted_once_and_in_time(
    cursor: dict[str, Any], now: float, posted: list[str]
) -> None:
    channel, clock = Channel(), ManualClock()
    clock.now = now
    (one,) = PLANS.of(news("shop/web", latest=100.0))
    kept = dict(cursor)

    async def save(new: Any) -> None:
        kept.update(new)

    for _ in range(2):
        await LockNotes(channel, clock).publish(one, Snapshot(), kept, save)  # type: ignore[arg-type]

    assert channel.posted == posted
