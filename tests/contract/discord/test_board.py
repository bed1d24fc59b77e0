"""One message a deployment, over real HTTP: posted once, edited, and never posted twice."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any

import pytest

from bridge.chats.discord.api import DiscordClient
from bridge.chats.discord.posts import Webhooks, plans_for
from bridge.chats.discord.settings import Webhook
from bridge.core.errors import Refused, Rejected, Unanswered, Unreachable
from bridge.core.lifecycle import Change, Deployment, State
from bridge.messages.cursor import MessageCursor
from bridge.messages.plans import Channels
from bridge.messages.writer import POSTED_ANEW, Target
from bridge.ports.feedback import Occasion, Snapshot
from bridge.ports.outcomes import LINK, Audited, Outcome, Subscription
from tests.fakes.discord import GUILD, TOKEN, FakeDiscord
from tests.fakes.journey import app, deployment, live_now, push
from tests.scenes.shop import LINKS
from tests.worlds.messages import in_discord

W, A, R, D, F = State.WAITING, State.ASKED, State.RUNNING, State.DONE, State.FAILED
HOOK = "600000000000000001"
HERE = Channels(default="default")


class Stage:
    """A board on Discord, and what its subscription's cursor holds."""

    def __init__(self, discord: FakeDiscord) -> None:
        self.discord = discord
        self.cursor: dict[str, Any] = {}
        self.saved: list[dict[str, Any]] = []
        self.id = HOOK
        self.pauses: list[float] = []
        self.clients: list[DiscordClient] = []
        self.opened()

    def opened(self) -> None:
        """Start anew, as after a restart: only the cursor is still known."""
        self.webhooks = {"default": Webhook("default", self.id, TOKEN)}
        self.client = DiscordClient(self.discord.url, sleep=self._sleep)
        self.clients.append(self.client)
        self.channel = Webhooks(self.client, self.webhooks, self._turn)
        publishers = in_discord(self.channel, HERE, LINKS, self._tail)
        self.board, self.notes = publishers["discord.card"], publishers["discord.change"]
        self.plans = plans_for(HERE, self.webhooks)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _turn(self, _lane: str) -> None:
        """A turn without a limit."""

    async def _tail(self, _deployment: Deployment) -> str:
        return "npm error: the end of the log"

    async def _save(self, cursor: Any) -> None:
        self.cursor = json.loads(json.dumps(dict(cursor)))
        self.saved.append(self.cursor)

    async def publish(self, *states: State, **others: Any) -> None:
        one = deployment(1, state=states[-1], **others)
        history = tuple(Change(float(n), state, f"note {n}") for n, state in enumerate(states))
        snapshot = Snapshot(
            deployments=(one,),
            history={one.id: history},
            apps={one.app_id: app()},
            fates=live_now(one),
        )
        await self.board.publish(self.planned(one), snapshot, self.cursor, self._save)

    def planned(self, one: Deployment) -> Subscription:
        occasion = Occasion(push(), None, Outcome(1, "d1", (), (one,)), {})
        (found,) = self.plans.cards(occasion)
        return found

    async def change(self, note: Audited, *others: Audited) -> Sequence[Subscription]:
        (planned,) = self.plans.of_change(note)
        snapshot = Snapshot(audited=(note, *others))
        return await self.notes.publish(planned, snapshot, self.cursor, self._save)


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeDiscord().running() as discord:
        discord.webhook(HOOK)
        made = Stage(discord)
        yield made
        for client in made.clients:
            await client.close()
    assert discord.wrong == []


def titles(discord: FakeDiscord) -> list[str]:
    return [one.title for one in discord.shown(HOOK)]


# ── posted once, then edited ─────────────────────────────────────────────────


async def test_a_deployment_has_one_message_that_is_edited_in_place(stage: Stage) -> None:
    """Announce a failure once, in a separate message, and retry a lost edit."""
    for states in ((W,), (W, A), (W, A, R)):
        await stage.publish(*states)
    asked = len(stage.discord.asked)
    stage.opened()
    await stage.publish(W, A, R)
    assert len(stage.discord.asked) == asked, "what is shown already is not sent again"
    stage.discord.answers.append((502, {}, ""))
    with pytest.raises(Unanswered):
        await stage.publish(W, A, R, F)
    for _ in range(3):
        await stage.publish(W, A, R, F)
        stage.opened()

    card, failure = stage.discord.shown(HOOK)
    assert "failed" in card.title
    assert len(card.edits) == 3
    assert stage.cursor[LINK] == f"https://discord.com/channels/{GUILD}/{card.channel}/{card.id}"
    assert "failed" in failure.title
    assert "the end of the log" in failure.embed["description"]


async def test_in_a_forum_each_deployment_is_a_post_and_its_failure_stands_in_it(
    stage: Stage,
) -> None:
    """A forum may archive a post after an hour; then its messages can't be edited any more."""
    stage.discord.hooks[HOOK].forum = stage.discord.hooks[HOOK].needs_tag = True
    with pytest.raises(Refused, match="webhooks here set no tag: in the forum's settings"):
        await stage.publish(W)
    stage.discord.hooks[HOOK].needs_tag = False
    await stage.publish(W, A)
    (old,) = stage.discord.shown(HOOK)
    assert str(old.post).startswith("shop/web")
    assert old.channel == old.id
    stage.discord.hooks[HOOK].archived.add(old.channel)
    stage.opened()

    for _ in range(2):
        await stage.publish(W, A, R, F)

    first, card, failure = stage.discord.shown(HOOK)
    assert first.edits == []
    assert card.title.endswith("failed")
    assert card.channel == failure.channel == old.channel
    assert card.post is failure.post is None
    assert stage.cursor[LINK].endswith(card.id)


# ── nothing is posted twice where that can be known ──────────────────────────


async def test_a_message_that_was_not_confirmed_is_not_posted_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """Post the outcome in a new message that says why."""
    stage.discord.answers.append((502, {}, "<html>bad gateway</html>"))
    with pytest.raises(Unanswered):
        await stage.publish(W)
    stage.opened()
    with caplog.at_level(logging.WARNING):
        await stage.publish(W, A)
        await stage.publish(W, A, R)
    assert stage.discord.shown(HOOK) == []
    assert [one.message for one in caplog.records if "did not confirm" in one.message] != []

    for _ in range(2):
        await stage.publish(W, A, R, D)
        stage.opened()

    (message,) = stage.discord.shown(HOOK)
    assert message.title.endswith("is live")
    assert POSTED_ANEW in message.embed["description"]


async def test_after_three_postings_that_were_not_confirmed_none_is_made(stage: Stage) -> None:
    for states in ((W,), (W, D), (W, D)):
        stage.discord.answers.append((502, {}, ""))
        with pytest.raises(Unanswered):
            await stage.publish(*states)

    with pytest.raises(Rejected, match="look in the channel"):
        await stage.publish(W, D)

    assert stage.discord.shown(HOOK) == []
    assert [one.status for one in stage.discord.asked] == [502, 502, 502]


async def test_a_process_that_dies_while_it_waits_for_its_turn_has_posted_nothing(
    stage: Stage,
) -> None:
    said = {"message": "You are being rate limited.", "retry_after": 3.0, "global": False}
    stage.discord.answers.append((429, {}, said))
    with pytest.raises(Unreachable):
        await stage.publish(W)
    began = len(stage.saved)
    waiting = asyncio.Event()

    async def hang(_seconds: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    stage.client._sleep = hang
    dying = asyncio.create_task(stage.publish(W))
    await waiting.wait()
    dying.cancel()
    with suppress(asyncio.CancelledError):
        await dying

    assert stage.saved[began:] == []
    stage.opened()
    await stage.publish(W)
    assert len(stage.discord.shown(HOOK)) == 1


async def test_a_message_that_was_surely_not_posted_is_posted_later(stage: Stage) -> None:
    for status, said in (
        (429, {"message": "slower", "retry_after": 0.2, "global": False}),
        (400, {"message": "Invalid Form Body", "code": 50035}),
        (403, {"message": "Missing Permissions", "code": 50013}),
    ):
        stage.discord.answers.append((status, {}, said))
        with pytest.raises((Unreachable, Refused)):
            await stage.publish(W)
        stage.opened()

    await stage.publish(W)

    assert len(stage.discord.shown(HOOK)) == 1


async def test_a_failure_that_was_not_confirmed_is_not_told_twice(stage: Stage) -> None:
    await stage.publish(W, A, F)
    stage.cursor["said"] = 0
    stage.discord.answers.append((502, {}, ""))
    with pytest.raises(Unanswered):
        await stage.publish(W, A, F)

    await stage.publish(W, A, F)

    assert len(titles(stage.discord)) == 2


# ── rate limits ──────────────────────────────────────────────────────────────


async def test_the_last_request_of_a_window_lets_the_next_wait_for_its_end(stage: Stage) -> None:
    stage.discord.allowed, stage.discord.per = 2, 3.0
    await stage.publish(W)  # and asks for its server, so nothing is left
    with pytest.raises(Unreachable):
        await stage.publish(W, A)

    assert stage.pauses[0] == pytest.approx(3.0, abs=1.0)


async def test_a_limit_pauses_its_webhook_and_a_global_one_pauses_all(stage: Stage) -> None:
    stage.discord.webhook("600000000000000002")
    other = Webhook("other", "600000000000000002", TOKEN)
    said: dict[str, Any] = {"message": "slower", "retry_after": 64.57, "global": False}
    stage.discord.answers.append((429, {}, said))
    for _ in range(2):
        with pytest.raises(Unreachable) as caught:
            await stage.publish(W)
        assert caught.value.retry_after == pytest.approx(64.57, abs=2)
    assert len(stage.discord.asked) == 1

    for headers, words in (
        ({}, said | {"retry_after": 30.5, "global": True}),
        ({"Retry-After": "30"}, "<html>error 1015: you are being rate limited</html>"),
    ):
        stage.opened()
        stage.discord.answers.append((429, headers, words))
        with pytest.raises(Unreachable):
            await stage.client.post(stage.webhooks["default"], {})
        asked = len(stage.discord.asked)
        with pytest.raises(Unreachable) as caught:
            await stage.client.post(other, {})
        assert caught.value.retry_after == pytest.approx(30, abs=2)
        assert len(stage.discord.asked) == asked


# ── what was deleted ─────────────────────────────────────────────────────────


@pytest.mark.parametrize("forum", [False, True])
async def test_a_deleted_message_stays_away_and_that_is_said_once(
    stage: Stage, forum: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stage.discord.hooks[HOOK].forum = forum
    await stage.publish(W)
    stage.discord.messages[0].deleted = True

    with caplog.at_level(logging.WARNING):
        await stage.publish(W, A)
        await stage.publish(W, A, F)
        await stage.publish(W, A, F)

    told = [one.title for one in stage.discord.shown(HOOK)]
    assert told == ([] if forum else ["❌ shop/web failed"])
    assert [one.message for one in caplog.records] == [
        "a message in discord was deleted: it stays away"
    ]


@pytest.mark.parametrize("why", ["deleted", "another token"])
async def test_a_webhook_that_is_gone_is_asked_once_and_named_with_the_remedy(
    stage: Stage, why: str
) -> None:
    await stage.publish(W)
    stage.discord.hooks[HOOK].deleted = why == "deleted"
    if why != "deleted":
        stage.webhooks["default"] = Webhook("default", HOOK, "another-token-of-mine")
    asked = len(stage.discord.asked)

    for states in ((W, A), (W, A, R), (W, A, R, D)):
        with pytest.raises(Refused, match="make a new one") as caught:
            await stage.publish(*states)
        assert TOKEN not in str(caught.value)
        assert HOOK not in str(caught.value)

    assert len(stage.discord.asked) == asked + 1
    assert "default" in stage.client.gone


async def test_through_a_new_webhook_nothing_is_posted_twice_either(stage: Stage) -> None:
    await stage.publish(W)
    stage.id = "600000000000000002"
    stage.discord.webhook(stage.id)
    stage.opened()
    stage.discord.answers.append((502, {}, ""))
    with pytest.raises(Unanswered):
        await stage.publish(W, A)

    await stage.publish(W, A, R)
    assert stage.discord.shown(stage.id) == []
    await stage.publish(W, A, R, D)

    (message,) = stage.discord.shown(stage.id)
    assert POSTED_ANEW in message.embed["description"]


async def test_a_process_that_dies_while_it_asks_for_the_link_knows_its_message(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(_webhook: Webhook) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(stage.channel, "learn", dies)
    with pytest.raises(asyncio.CancelledError):
        await stage.publish(W)
    stage.opened()

    await stage.publish(W, A)

    (message,) = stage.discord.shown(HOOK)
    assert len(message.edits) == 1


async def test_a_name_that_is_no_longer_set_is_told(stage: Stage) -> None:
    planned = stage.planned(deployment(1))
    stage.webhooks.clear()

    with pytest.raises(Rejected, match="no webhook called default"):
        stage.channel.by(Target(planned, MessageCursor()))


# ── no error shows an address ────────────────────────────────────────────────


async def test_no_error_shows_the_address(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    answers: list[tuple[int, dict[str, str], Any]] = [
        (404, {}, "not found"),
        (301, {"Location": f"https://elsewhere.example/{TOKEN}"}, ""),
        (200, {}, "no json"),
        (400, {}, {"message": f"bad {TOKEN}", "code": 1, "errors": {"a": 1}}),
        (500, {}, f"{TOKEN}"),
    ]
    for answer in answers:
        stage.discord.answers.append(answer)
        with pytest.raises((Refused, Unanswered)) as caught:
            await stage.client.about(stage.webhooks["default"])
        told.append(f"{caught.value!r} {caught.value} {caught.value.__cause__}")
    away = DiscordClient("http://127.0.0.1:9/api")
    with pytest.raises(Unreachable) as unreachable:
        await away.about(stage.webhooks["default"])
    await away.close()
    told.append(f"{unreachable.value!r} {unreachable.value.__cause__}")

    assert TOKEN not in " ".join([*told, caplog.text, repr(stage.webhooks)])
