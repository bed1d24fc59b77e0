"""Pull requests with previews in Discord: one message, whatever is not confirmed."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.discord.posts import plans_for
from bridge.core.errors import Rejected, Unanswered
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.messages.plans import Channels
from bridge.messages.publisher import MOST_POSTS
from bridge.messages.writer import POSTED_ANEW, Body, Posted, Target
from bridge.ports.feedback import Snapshot
from tests.scenes.pulls import preview
from tests.scenes.shop import LINKS, WEB, deployment
from tests.worlds.amended import DiscordChannel
from tests.worlds.messages import in_discord

CHANNELS = Channels((), "default")


class Written(DiscordChannel):
    """A channel that may not confirm what is posted."""

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[Any] = []
        self.edited: list[Any] = []
        self.answers = True

    async def post(self, body: Body, to: Target) -> Posted:
        self.posted += body["embeds"]
        if not self.answers:
            raise Unanswered("discord", "gone")
        return await super().post(body, to)

    async def edit(self, body: Body, to: Target) -> None:
        self.edited += body["embeds"]
        await super().edit(body, to)


class Stage:
    """A board, and what its subscription remembers."""

    def __init__(self) -> None:
        self.channel = Written()
        self.cursor: dict[str, Any] = {}
        self.board = in_discord(self.channel, CHANNELS, LINKS)["discord.pull"]

    async def publish(self, one: Preview, state: State | None = None) -> None:
        (subscription,) = plans_for(CHANNELS, {}).of_preview(one, None)
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
