"""Pull requests with previews in Discord: one message, whatever is not confirmed."""

from dataclasses import replace
from typing import Any, cast

import pytest

from bridge.chats.discord.posts import MOST_POSTS, Channel, MessageCursor
from bridge.chats.discord.pulls import POSTED_ANEW, PullBoard, pull_plans
from bridge.chats.facts.card import Channels
from bridge.core.errors import Rejected, Unanswered
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.ports.feedback import SaveCursor, Snapshot
from bridge.ports.outcomes import Subscription
from tests.scenes.pulls import preview
from tests.scenes.shop import LINKS, WEB, deployment

CHANNELS = Channels((), "default")


class Written:
    """A channel that may not confirm what is posted."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.edited: list[Any] = []
        self.answers = True

    async def shown(
        self, _where: Subscription, known: MessageCursor, message: Any, save_cursor: SaveCursor
    ) -> MessageCursor:
        if known.shows == message.hash:
            return known
        if known.message:
            self.edited.append(message.embed)
        else:
            await save_cursor(replace(known, posting=True).cursor())
            self.posted.append(message.embed)
            if not self.answers:
                raise Unanswered("discord", "gone")
        known = replace(known, message="1", posting=False, shows=message.hash)
        await save_cursor(known.cursor())
        return known


class Stage:
    """A board, and what its subscription remembers."""

    def __init__(self) -> None:
        self.channel = Written()
        self.cursor: dict[str, Any] = {}
        self.board = PullBoard(cast("Channel", self.channel), LINKS, CHANNELS)

    async def publish(self, one: Preview, state: State | None = None) -> None:
        (subscription,) = pull_plans(CHANNELS, {}).of_preview(one, None)
        deployed = () if state is None else (replace(deployment(state), app_id=one.made or ""),)
        snapshot = Snapshot(deployments=deployed, previews=(one,))
        await self.board.publish(subscription, snapshot, self.cursor, self._remember)

    async def _remember(self, cursor: Any) -> None:
        self.cursor = dict(cursor)


async def test_it_is_posted_once_and_edited() -> None:
    stage = Stage()
    await stage.publish(preview(WEB, PreviewState.MAKING))
    for state in (State.RUNNING, State.DONE, State.DONE, State.FAILED):
        await stage.publish(preview(WEB), state)
    await stage.publish(preview(WEB, PreviewState.ENDED))

    assert (len(stage.channel.posted), len(stage.channel.edited)) == (1, 4)


async def test_what_is_not_confirmed_is_posted_anew_once_all_is_at_rest() -> None:
    stage = Stage()
    stage.channel.answers = False
    with pytest.raises(Unanswered):
        await stage.publish(preview(WEB, PreviewState.MAKING))
    stage.channel.answers = True

    await stage.publish(preview(WEB), State.RUNNING)
    assert len(stage.channel.posted) == 1
    await stage.publish(preview(WEB), State.DONE)
    assert len(stage.channel.posted) == 2
    assert POSTED_ANEW in stage.channel.posted[1]["description"]


async def test_a_channel_is_not_filled() -> None:
    stage = Stage()
    stage.channel.answers = False
    for _ in range(MOST_POSTS):
        with pytest.raises(Unanswered):
            await stage.publish(preview(WEB), State.DONE)
    with pytest.raises(Rejected):
        await stage.publish(preview(WEB), State.DONE)

    assert len(stage.channel.posted) == MOST_POSTS
