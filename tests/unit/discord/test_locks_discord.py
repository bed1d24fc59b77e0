"""What is told of locks in Discord, and that it is told once."""

from typing import Any

import pytest

from bridge.chats.discord.posts import plans_for
from bridge.messages.plans import Channels
from bridge.ports.feedback import LockNews, Snapshot
from tests.fakes.journey import ManualClock
from tests.scenes.slack_gates import LOCKED
from tests.worlds.amended import DiscordChannel
from tests.worlds.messages import in_discord

CHANNELS = Channels((("shop/*", ("shop", "all")), ("shop/api", ("all",))))
PLANS = plans_for(CHANNELS, {})


def news(*apps: str, **facts: Any) -> LockNews:
    return LockNews(LOCKED, apps, "day 1", "lock project/shop", **facts)


def test_one_channel_is_told() -> None:
    (one,) = PLANS.of_lock(news("shop/web", "shop/api"))

    assert (one.id, one.kind, one.follows) == (
        "discord.lock day 1 all",
        "discord.lock",
        ("lock project/shop",),
    )
    assert PLANS.of_lock(news("site/docs")) == []


@pytest.mark.parametrize(
    ("cursor", "now", "posted"),
    [
        ({}, 100.0, ["🔒 Still locked by Grace Hopper: project shop"]),
        ({}, 100.5, []),  # too late
        ({"posting": True}, 0.0, []),  # it may be there
        ({"message": "1"}, 0.0, []),
    ],
)
async def test_a_reminder_is_posted_once_and_in_time(
    cursor: dict[str, Any], now: float, posted: list[str]
) -> None:
    channel, clock = DiscordChannel(), ManualClock()
    publisher = in_discord(channel, CHANNELS, clock=clock)["discord.lock"]
    clock.now = now
    (one,) = PLANS.of_lock(news("shop/web", latest=100.0))
    kept = dict(cursor)

    async def save(new: Any) -> None:
        kept.update(new)

    for _ in range(2):
        await publisher.publish(one, Snapshot(), kept, save)

    assert [embed["title"] for embed in channel.cards.values()] == posted
