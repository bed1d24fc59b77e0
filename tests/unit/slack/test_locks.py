"""Who is told of a lock in Slack, and that nobody is told twice."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.slack.plans import plans_of
from bridge.core.errors import Refused, TooEarly, Unanswered
from bridge.core.gates.locks import Lock, PullRef
from bridge.messages.plans import Channels
from bridge.ports.feedback import LockNews, Snapshot
from bridge.ports.outcomes import Subscription
from tests.fakes.journey import ManualClock
from tests.unit.slack.test_board import Client
from tests.worlds.messages import in_slack

PULL = PullRef("github", "acme/shop", 12)
TAKEN = Lock("project/shop", "project shop", "slack:U1", "Ada", "a migration", 1000.0)
HERE = replace(TAKEN, channel="C0HERE", merge=PULL)
BY_CLI = replace(TAKEN, owner="cli:ada")
BOOK = (("shop/*", ("C0SHOP", "C0ALL")), ("shop/admin", ("C0ALL",)))
APPS = ("shop/web", "shop/api", "shop/admin")


def news(lock: Lock = TAKEN, **facts: Any) -> LockNews:
    return LockNews(lock, APPS, "day 1", "lock project/shop", **facts)


def planned(told: LockNews, default: str = "") -> list[str]:
    found = plans_of(Channels(BOOK, default)).of_lock(told)
    assert [one.follows for one in found] == [("lock project/shop",)] * len(found)
    return [str(one.place["channel"]) for one in found]


def test_who_locked_on_the_command_line_is_reminded_where_most_cards_are() -> None:
    assert planned(news(BY_CLI)) == ["C0ALL"]
    assert planned(replace(news(BY_CLI), apps=("shop/web",))) == ["C0ALL"]  # by name, of two
    assert planned(replace(news(BY_CLI), apps=("other/web",)), "C0DEFAULT") == ["C0DEFAULT"]
    assert planned(replace(news(BY_CLI), apps=("other/web",))) == []


def test_a_release_is_told_where_the_lock_was_taken() -> None:
    ended = f"{PULL} is merged"

    assert planned(news(HERE, ended=ended)) == ["C0HERE"]
    assert planned(news(TAKEN, ended=ended)) == ["U1"]
    assert planned(news(BY_CLI, ended=ended)) == ["C0ALL"]


class Stage:
    """A publisher, and what its target remembers."""

    def __init__(self, told: LockNews) -> None:
        self.client, self.clock = Client(), ManualClock()
        self.clock.now = 2000.0
        self.early = False
        self.cursor: dict[str, Any] = {}
        channels = Channels(BOOK)
        plans, publishers = in_slack(self.client, channels, turn=self._turn, clock=self.clock)
        (self.subscription,) = plans.of_lock(told)
        self.notes = publishers["slack.lock"]

    async def _turn(self, lane: str) -> None:
        if self.early:
            raise TooEarly(lane, "written as often as it allows", retry_after=6.0)

    async def _save(self, cursor: Any) -> None:
        self.cursor = dict(cursor)

    async def publish(self) -> list[Subscription]:
        further = await self.notes.publish(self.subscription, Snapshot(), self.cursor, self._save)
        return list(further)


async def test_a_reminder_is_posted_once_with_its_buttons() -> None:
    stage = Stage(news(held=3, latest=9000.0))

    await stage.publish()
    await stage.publish()

    ((method, said),) = stage.client.calls
    assert (method, said["channel"]) == ("chat.postMessage", "U1")
    assert "Still locked by you: *project shop*" in str(said["blocks"])
    assert "It holds 3 deployments." in str(said["blocks"])
    buttons = said["blocks"][-1]["elements"]
    assert [(one["action_id"], one["value"]) for one in buttons] == [
        ("lock.release", TAKEN.key),
        ("lock.keep", TAKEN.key),
    ]


async def test_a_reminder_that_slack_did_not_confirm_is_not_repeated() -> None:
    stage = Stage(news())
    stage.client.failing[1] = Unanswered("slack", "nothing came back")

    with pytest.raises(Unanswered):
        await stage.publish()
    await stage.publish()

    assert len(stage.client.calls) == 1


async def test_a_release_that_slack_did_not_confirm_is_looked_for() -> None:
    stage = Stage(news(HERE, ended=f"{PULL} is merged"))
    stage.client.failing[1] = Unanswered("slack", "nothing came back")
    with pytest.raises(Unanswered):
        await stage.publish()
    stage.client.there = [{"ts": "1.0", "metadata": stage.client.calls[0][1]["metadata"]}]

    await stage.publish()
    assert len(stage.client.calls) == 1

    stage.client.there = [{"ts": "1.0", "metadata": {}}]
    await stage.publish()
    assert len(stage.client.calls) == 2


async def test_what_was_surely_not_sent_is_sent_later_unless_it_is_too_late() -> None:
    stage = Stage(news(latest=9000.0))
    stage.early = True
    with pytest.raises(TooEarly):
        await stage.publish()
    stage.early = False
    stage.clock.now = 9000.5

    await stage.publish()
    assert stage.client.calls == []

    stage.clock.now = 9000.0
    await stage.publish()
    assert len(stage.client.calls) == 1


async def test_without_a_place_in_the_channel_the_owner_is_told_directly() -> None:
    stage = Stage(news(HERE, ended=f"{PULL} is merged"))
    stage.client.failing[1] = Refused("slack", "not_in_channel")

    (further,) = await stage.publish()

    assert (further.kind, further.place["channel"]) == ("slack.lock", "U1")
    assert further.id == "slack.lock day 1 U1"
    stage.subscription, stage.cursor = further, {}
    await stage.publish()
    assert "Unlocked, as acme/shop#12 is merged" in str(stage.client.calls[-1][1]["blocks"])
