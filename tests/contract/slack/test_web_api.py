"""Every call to Slack, through slack_sdk, against Slack's own contract as Prism has it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from bridge.chats.slack.api import SlackClient
from bridge.chats.slack.dialogs import dialog_of
from bridge.chats.slack.help import help_about
from bridge.chats.slack.home import render_home
from bridge.core.access import Right
from bridge.core.chat.calls import Call
from bridge.core.errors import Refused
from bridge.views.links import NO_LINKS
from bridge.views.view import Ask, Field, View
from tests.oracles.prism import mock
from tests.scenes.shop import LINKS


@pytest.fixture(scope="module")
def slack_mock() -> Iterator[str]:
    with mock("slack", "https://slack.com") as url:
        yield url


@pytest.fixture
async def client(slack_mock: str) -> AsyncIterator[SlackClient]:
    client = SlackClient("xoxb-a-token", f"{slack_mock}/api/")
    yield client
    await client.close()


APP = Field("app", "app", "Its label.", Right.DEPLOY)
ASK = Ask(Call("deploy", {}), "Deploy?", "Deploy", lacks=(APP,))
VIEW = dialog_of(View((), notes=[("Deploys.",)], asks=ASK), NO_LINKS, "C012AB3CD")
SAID = help_about().body()
METADATA = {"event_type": "bridge_card", "event_payload": {"deployment": "1", "lines": 0}}

CALLS: dict[str, Callable[[SlackClient], Awaitable[dict[str, Any]]]] = {
    "auth.test": lambda slack: slack.call("auth.test"),
    "a card": lambda slack: slack.call(
        "chat.postMessage", channel="C1", metadata=METADATA, unfurl_links=False, **SAID
    ),
    "a line": lambda slack: slack.call(
        "chat.postMessage", channel="C1", thread_ts="1.2", reply_broadcast=True, **SAID
    ),
    "an update": lambda slack: slack.call(
        "chat.update", channel="C1", ts="1.2", metadata=METADATA, **SAID
    ),
    "a word to one": lambda slack: slack.call(
        "chat.postEphemeral", channel="C1", user="U1", **SAID
    ),
    "a link": lambda slack: slack.read("chat.getPermalink", channel="C1", message_ts="1.2"),
    "a dialog": lambda slack: slack.call("views.open", trigger_id="1.2.x", view=VIEW),
    "a dialog above": lambda slack: slack.call("views.push", trigger_id="1.2.x", view=VIEW),
    "another dialog": lambda slack: slack.call("views.update", view_id="V1", view=VIEW),
    "a home": lambda slack: slack.call(
        "views.publish", user_id="U1", view=render_home([], [], links=LINKS)
    ),
    "a person": lambda slack: slack.read("users.info", user="U1"),
    "an address": lambda slack: slack.read("users.lookupByEmail", email="ada@example.com"),
}


async def test_every_call_keeps_to_the_contract(client: SlackClient) -> None:
    for name, call in CALLS.items():
        assert (await call(client))["ok"] is True, name


async def test_the_mock_would_notice_a_call_that_does_not(client: SlackClient) -> None:
    with pytest.raises(Refused):
        await client.call("views.open", trigger_id=7, view=[])
    with pytest.raises(Refused):
        await client.read("chat.getPermalink", channel="C1")
