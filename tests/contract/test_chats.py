"""One promise, several chats: each keeps to the port (`ports.chats`), over real HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from aiohttp import web

from bridge.chats import CHATS
from bridge.core.access import Access
from bridge.core.configuration.difference import Changed
from bridge.core.errors import Unanswered, Unreachable
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.people import Actor
from bridge.ports.chats import Chat, ChatParts
from bridge.ports.feedback import LockNews, Occasion, Snapshot, Turn
from bridge.ports.outcomes import DONE, Audited, Outcome, Subscription, about_deployment
from bridge.ports.providers import ChatProvider
from bridge.settings import read_settings
from bridge.views.links import NO_CONSOLE
from tests.fakes.discord import FakeDiscord
from tests.fakes.journey import app, deployment, live_now, push
from tests.fakes.pager import PAGER, PagerSettings
from tests.fakes.serving import served
from tests.fakes.slack.methods import BOT_TOKEN
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.fakes.toy_chat import WALKIE, WalkieSettings
from tests.scenes.pulls import preview
from tests.scenes.shop import WEB
from tests.scenes.shop import deployment as shop
from tests.scenes.slack_gates import LOCKED

W, A, R, D, F = State.WAITING, State.ASKED, State.RUNNING, State.DONE, State.FAILED


@dataclass
class Service:
    """The other side of a chat.

    Attributes:
        cards: returns what stands there of deployments: the text of each card.
        writes: returns how often something was written there.
        texts: returns all that stands there, as text.
    """

    provider: ChatProvider
    settings: Any
    cards: Callable[[], list[str]]
    writes: Callable[[], int]
    texts: Callable[[], list[str]] = list


async def of_slack(stack: AsyncExitStack) -> Service:
    slack: FakeSlack = await stack.enter_async_context(running_slack())
    slack.channel()
    settings = read_settings(
        None,
        {
            "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
            "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
            "BRIDGE_SLACK_CHANNEL": "C0SHOP",
        },
    ).slack  # type: ignore[attr-defined]
    channel = slack.channels["C0SHOP"]
    return Service(
        CHATS["slack"],
        settings,
        lambda: [one["text"] for one in channel.messages if "thread_ts" not in one],
        lambda: slack.count("chat.postMessage", "chat.update"),
    )


async def of_discord(stack: AsyncExitStack) -> Service:
    discord = await stack.enter_async_context(FakeDiscord().running())
    given = {
        "BRIDGE_DISCORD_WEBHOOK": discord.webhook(),
        "BRIDGE_DISCORD_API_URL": discord.url,
    }
    settings = read_settings(None, given).discord  # type: ignore[attr-defined]

    def writes() -> int:
        return sum(one.method in ("POST", "PATCH") for one in discord.asked)

    return Service(
        CHATS["discord"],
        settings,
        lambda: [one.title for one in discord.shown() if "failed after" not in one.title],
        writes,
        lambda: [str(one.embed).replace("**", "") for one in discord.shown()],
    )


async def of_walkie(stack: AsyncExitStack) -> Service:
    said: list[dict[str, str]] = []

    async def spoken(request: web.Request) -> web.Response:
        said.append(await request.json())
        return web.json_response({})

    walkie = web.Application()
    walkie.router.add_post("/cards", spoken)
    address = await stack.enter_async_context(served(walkie))
    settings = WalkieSettings.model_validate({"password": "over", "address": address})
    words = {"waiting": "waits", "done": "is live"}

    def cards() -> list[str]:
        newest = {one["id"]: one for one in said}
        return [f"{one['app']} {words.get(one['state'], '')}" for one in newest.values()]

    return Service(WALKIE, settings, cards, lambda: len(said))


async def of_pager(stack: AsyncExitStack) -> Service:
    texts: dict[str, str] = {}
    written: list[str] = []

    async def posted(request: web.Request) -> web.Response:
        number = request.match_info.get("number") or str(len(texts) + 1)
        texts[number] = (await request.json())["text"]
        written.append(number)
        return web.json_response(number)

    pager = web.Application()
    pager.router.add_post("/all", posted)
    pager.router.add_put("/all/{number}", posted)
    address = await stack.enter_async_context(served(pager))
    settings = PagerSettings.model_validate({"address": address})

    def shown() -> list[str]:
        return [*texts.values()]

    return Service(PAGER, settings, shown, lambda: len(written), shown)


SERVICES = {"slack": of_slack, "discord": of_discord, "walkie": of_walkie, "pager": of_pager}
WRITTEN_TO = ("discord", "pager")


def within(_limits: Any) -> Turn:
    async def turn(_lane: str) -> None:
        """A turn without a limit."""

    return turn


async def nothing(_deployment: Deployment) -> str:
    return ""


class Nobody:
    """Stands for what no card needs."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not for cards")


def parts() -> ChatParts:
    nobody = cast("Any", Nobody())
    return ChatParts(
        commands=nobody,
        access=Access([]),
        journal=nobody,
        inbox=nobody,
        drafts=nobody,
        book=(),
        preview_book=(),
        pages={},
        titles={},
        console=NO_CONSOLE,
        hears=False,
        within=within,
        tail=nothing,
        email_of=nothing,
        clock=time.time,
    )


@dataclass
class Stage:
    """A chat, and the cursors of its subscriptions."""

    service: Service
    stack: AsyncExitStack
    cursors: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chat = self.opened()

    def opened(self) -> Chat:
        """The chat, as after a start."""
        self.chat = self.service.provider.open(self.service.settings, parts())
        self.stack.push_async_callback(self.chat.stop)
        return self.chat

    def planned(self, one: Deployment) -> list[Subscription]:
        occasion = Occasion(push(), None, Outcome(1, "d1", (), (one,)), {one.app_id: app()})
        return [found for planner in self.chat.planners for found in planner(occasion)]

    async def publish(self, *states: State) -> None:
        one = deployment(1, state=states[-1])
        history = tuple(Change(float(n), state, f"note {n}") for n, state in enumerate(states))
        snapshot = Snapshot(
            deployments=(one,),
            history={one.id: history},
            apps={one.app_id: app()},
            fates=live_now(one),
        )
        for planned in self.planned(one):
            await self.shown(planned, snapshot)

    async def shown(self, planned: Subscription, snapshot: Snapshot) -> None:
        async def save(cursor: Mapping[str, Any]) -> None:
            self.cursors[planned.id] = json.loads(json.dumps(dict(cursor)))

        cursor = self.cursors.get(planned.id, {})
        await self.chat.publishers[planned.kind].publish(planned, snapshot, cursor, save)


@pytest.fixture(params=SERVICES)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(await SERVICES[request.param](stack), stack)


async def test_however_many_changes_there_were_one_card_shows_the_newest(stage: Stage) -> None:
    """Once for each place, and after a restart as well."""
    assert CHATS.keys() <= SERVICES.keys()
    one = deployment(1)
    first, second = stage.planned(one), stage.planned(one)
    assert first == second != []
    assert len({planned.id for planned in first}) == len(first)
    for planned in first:
        assert planned.kind in stage.chat.publishers
        assert planned.kind.startswith(f"{stage.service.provider.key}.")
        assert planned.lane
        assert planned.follows == (about_deployment(one.id),)
        assert json.loads(json.dumps(planned.place)) == planned.place

    await stage.publish(W)
    written = stage.service.writes()
    assert written > 0
    stage.opened()
    await stage.publish(W)
    assert stage.service.writes() == written, "what is shown is not written again"
    for states in ((W, A), (W, A, R), (W, A, R, D)):
        await stage.publish(*states)
    (card,) = stage.service.cards()
    assert "is live" in card


async def test_a_service_that_is_away_is_an_error_after_which_it_goes_on(stage: Stage) -> None:
    settings = stage.service.settings
    address = next(one for one in ("api_url", "address") if hasattr(settings, one))
    stage.service.settings = settings.model_copy(update={address: "http://127.0.0.1:9/api/"})
    stage.opened()
    with pytest.raises((Unreachable, Unanswered)):
        await stage.publish(W)
    stage.service.settings = settings
    stage.opened()

    await stage.publish(W)

    assert len(stage.service.cards()) == 1


async def test_where_changes_from_elsewhere_are_told_somebody_tells_them(stage: Stage) -> None:
    note = Audited(
        at=1.0,
        by=Actor("cli", "ada"),
        what="provider set",
        app_id="app-web",
        app="shop/web",
        difference=(Changed("branch", "main", "dev"),),
        result=DONE,
        number=7,
    )
    told = stage.service.provider.tells(stage.service.settings, (), note)
    written = stage.service.writes()

    for planned in told:
        await stage.shown(planned, Snapshot(audited=(note,)))
        await stage.shown(planned, Snapshot(audited=(note,)))

    assert stage.service.writes() == written + len(told)


@pytest.mark.parametrize("name", WRITTEN_TO)
async def test_cards_locks_previews_and_pull_requests_are_shown(name: str) -> None:
    """Whatever a chat is: what is shown there is said in one place."""
    async with AsyncExitStack() as stack:
        stage = Stage(await SERVICES[name](stack), stack)
        await stage.publish(W)
        await stage.publish(W, A, F)
        news = LockNews(LOCKED, ("shop/web",), "day 1", "lock project/shop", held=3)
        for planned in stage.chat.of_lock(news):
            await stage.shown(planned, Snapshot())
        up = preview(WEB)
        for state in (R, D):
            built = replace(shop(state, WEB), app_id=up.made or "")
            for planned in stage.chat.of_preview(up, None):
                await stage.shown(planned, Snapshot(deployments=(built,), previews=(up,)))

        texts = stage.service.texts()
        card, failed, lock, pull = texts
        assert "shop/web failed" in card
        assert "shop/web failed" in failed
        assert "Still locked by Grace Hopper: project shop" in lock
        assert "dokploy-bridge unlock project:shop" in lock
        assert "#12 Open the shop on Sundays" in pull
        assert "shop/web" in pull
        assert " is up" in pull
        assert "pr-12-web.preview.example.com" in pull


async def test_a_chat_in_which_nobody_is_heard_says_so(stage: Stage) -> None:
    provider = stage.service.provider

    if not provider.to_be_heard:
        assert not stage.chat.hears
        assert stage.chat.door is None
        assert provider.heard_by(stage.service.settings) == ()
        assert await stage.chat.permits("U1", app(), "C1")


async def test_rules_choose_the_channels(stage: Stage) -> None:
    provider, settings = stage.service.provider, stage.service.settings
    known = provider.channel_names(settings)

    assert provider.channels(settings, ())("shop/web", "")
    if known is not None:
        channel = next(iter(known))
        book = [("shop/*", (channel,)), ("shop/quiet", ())]
        assert provider.channels(settings, book)("shop/web", "") == (channel,)
        assert provider.channels(settings, book)("shop/quiet", "") == ()


async def test_it_ends_when_it_is_told_to(stage: Stage) -> None:
    running = asyncio.create_task(cast("Any", stage.chat.run()))
    await asyncio.sleep(0)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    await stage.chat.stop()
    await stage.chat.stop()

    assert stage.chat.trouble == {}
