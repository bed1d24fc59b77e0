"""Who may do what in Slack, and what the others are told; over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.core.access import Access, Grant, Right
from bridge.core.errors import Unreachable
from bridge.core.lifecycle import State
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import deployment
from tests.fakes.slack.hands import words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import APPS, Door, granted, open_door

pytestmark = pytest.mark.journey

MAY_SEE = Access(
    [
        Grant(("U0ADA",), frozenset({Right.DEPLOY}), ("shop/web",)),
        Grant(("everyone",), frozenset({Right.VIEW}), ("shop/*",)),
    ]
)


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as running:
        running.person("U0BOB", "Bob")
        yield running


@pytest.fixture
async def door(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(slack, tmp_path, MAY_SEE) as opened:
        yield opened


async def test_who_may_only_see_is_told_which_right_is_missing(door: Door) -> None:
    answered = await door.hands.type("deploy web", user="U0BOB")

    assert answered.body["response_type"] == "ephemeral"
    assert "You may not deploy shop/web" in answered.text
    granted = yaml.safe_load(_code_of(answered.body))["access"][0]
    assert granted == {"who": ["U0BOB"], "may": ["deploy"], "apps": ["shop/web"]}
    assert await door.asked() == []
    for _ in range(3):  # the same refusal fills no log
        await door.hands.type("deploy web", user="U0BOB")
    (note, *others) = await door.audit()
    assert others == []
    assert (str(note.by), note.what) == ("slack: Bob (U0BOB)", "deploy")
    assert note.outcome == "refused: no right to deploy"


async def test_members_of_a_group_have_its_rights(slack: FakeSlack, tmp_path: Path) -> None:
    slack.groups = {"S0DEV": ["U0ADA"], "S0OPS": ["U0BOB"]}
    for number, (who, may) in enumerate({"S0DEV": True, "S0OPS": False}.items(), 1):
        async with open_door(slack, tmp_path / who, granted(who)) as door:
            await door.hands.type("deploy web")
            await door.hands.type("deploy web")

            assert bool(await door.asked()) is may
        assert slack.count("usergroups.users.list") == number
        assert slack.count("users.info") == number


async def test_who_can_not_be_looked_up_is_refused_and_waits_unless_they_are_gone(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, granted("everyone")) as door:
        slack.next("users.info", error="internal_error")
        refused = await door.hands.type("deploy web")
        assert "internal_error" not in refused.text
        assert await door.asked() == []
        slack.next("users.info", error="internal_error")
        with pytest.raises(Unreachable):
            await door.parts.permits("U0ADA", APPS[0], "C0SHOP")
        await door.hands.type("deploy web")
        assert len(await door.asked()) == 1

        assert await door.parts.permits("U0BOB", APPS[0], "C0SHOP") is None
        gone = await door.parts.permits("U0GONE", APPS[0], "")
        assert "You may not configure shop/web" in str(gone)


async def test_rights_are_checked_when_clicked_or_picked_not_when_shown(
    door: Door, slack: FakeSlack
) -> None:
    said = await door.hands.type("status web")
    clicked = await door.hands.click(said.body, "app.deploy", user="U0BOB")
    assert "You may not deploy shop/web" in (await clicked.later())["text"]

    await door.hands.type("", command="/deploy")
    (view,) = slack.views.values()
    offered = await door.hands.search(view, "")
    refused = await door.hands.pick(view, "app-api")
    unseen = await door.hands.pick(view, "app-vault")

    assert offered == ["app-web"]
    assert refused.body["response_action"] == "errors"
    assert "may: [deploy]" in refused.body["errors"]["app"]
    assert "gone, or you may not see it" in unseen.body["errors"]["app"]
    assert await door.asked() == []


async def test_an_unseen_app_or_deployment_and_none_are_answered_alike(door: Door) -> None:
    unseen = await door.hands.type("deploy vault")
    absent = await door.hands.type("deploy fault")
    assert unseen.text.replace("vault", "x") == absent.text.replace("fault", "x")

    ended = deployment(1, "app-vault", state=State.FAILED)
    await door.journal.record([Outcome(1, "d-1", (), (ended,))], window=0)
    told = []
    for id_ in (ended.id, "none"):
        message = _with_button("deployment.cancel", id_)
        clicked = await door.hands.click(message, "deployment.cancel", user="U0BOB")
        told.append((await clicked.later())["text"])

    assert "gone, or you may not see it" in told[0]
    assert told[0] == told[1]


ANSWERS = {
    "help": "/dokploy deploy",
    "help why": "explain why an app was deployed, or why it was not",
    "whoami": "Ada",
    "apps": "shop/web",
    "apps web": "shop/web",
    "status": "2 apps",
    "status web": "never deployed",
    "history web": "never deployed",
    "why web": "Nothing has come in for it yet",
    "why web main": "'main' is no commit",
    "logs web": "can't be asked from here",
    "cancel web": "You may not cancel shop/web",
    "nonsense": "There is no command",
    "deploy web@dev": "deploys the head of main",
}


async def test_what_only_asks_or_can_not_be_is_answered_to_who_asked(door: Door) -> None:
    for typed, said in ANSWERS.items():
        answered = await door.hands.type(typed)
        assert answered.body["response_type"] == "ephemeral"
        assert said in words_of(answered.body)
        assert answered.text
    same = await door.hands.type("deploy web@main")
    assert same.body["response_type"] == "in_channel"


async def test_an_answer_that_takes_long_follows(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(slack, tmp_path, granted()) as door:
        nothing = await door.hands.type("cancel web")
        assert "Nothing waits or runs" in nothing.text
        assert await door.asked() == []
        monkeypatch.setattr("bridge.chats.slack.workspace.ACK_WITHIN", 0.1)
        slack.delay = 0.5
        answered = await door.hands.type("deploy web", user="U0BOB")
        followed = await answered.later()

        assert answered.text == "Still working on it; the answer follows."
        assert followed["response_type"] == "in_channel"
        assert len(await door.asked()) == 1


def _code_of(message: dict[str, Any]) -> str:
    """What stands between fences."""
    texts = [block.get("text", {}).get("text", "") for block in message["blocks"]]
    (code,) = [text for text in texts if text.startswith("```")]
    return str(code).strip("`")


def _with_button(action_id: str, value: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "Press"}
    button = {"type": "button", "text": text, "action_id": action_id, "value": value}
    return {"ts": "1.1", "text": "", "blocks": [{"type": "actions", "elements": [button]}]}
