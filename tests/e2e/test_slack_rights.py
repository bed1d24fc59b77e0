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
from tests.fakes.journey import app, deployment
from tests.fakes.slack.hands import words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.slack_door import APPS, Door, granted, open_door

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


# ── refused ──────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize(("who", "may"), [("S0DEV", True), ("S0OPS", False)])
async def test_members_of_a_group_have_its_rights(
    slack: FakeSlack, tmp_path: Path, who: str, may: bool
) -> None:
    slack.groups = {"S0DEV": ["U0ADA"], "S0OPS": ["U0BOB"]}
    async with open_door(slack, tmp_path, granted(who)) as door:
        await door.hands.type("deploy web")
        await door.hands.type("deploy web")

        assert bool(await door.asked()) is may
    assert slack.count("usergroups.users.list") == 1
    assert slack.count("users.info") == 1


async def test_who_can_not_be_looked_up_is_refused_and_told_why(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, granted("everyone")) as door:
        slack.next("users.info", error="internal_error")
        refused = await door.hands.type("deploy web")

        assert "internal_error" not in refused.text
        assert await door.asked() == []
        await door.hands.type("deploy web")
        assert len(await door.asked()) == 1


async def test_who_is_gone_waits_for_nothing_and_who_can_not_be_asked_about_does(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, granted("everyone")) as door:
        permits = door.parts.permits
        assert await permits("U0BOB", APPS[0], "C0SHOP") is None

        assert "You may not configure shop/web" in str(await permits("U0GONE", APPS[0], ""))
        slack.next("users.info", error="internal_error")
        with pytest.raises(Unreachable):
            await permits("U0ADA", APPS[0], "C0SHOP")


async def test_rights_are_checked_when_clicked_not_when_shown(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, MAY_SEE) as door:
        said = await door.hands.type("status web")
        clicked = await door.hands.click(said.body, "app.deploy", user="U0BOB")
        told = await clicked.later()

        assert "You may not deploy shop/web" in told["text"]
        assert await door.asked() == []


async def test_a_picked_app_that_one_may_not_deploy_is_refused_in_the_dialog(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, MAY_SEE) as door:
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


# ── nothing is named that may not be seen ────────────────────────────────────


async def test_an_unseen_app_and_none_are_answered_alike(door: Door) -> None:
    unseen = await door.hands.type("deploy vault")
    absent = await door.hands.type("deploy fault")

    assert unseen.text.replace("vault", "x") == absent.text.replace("fault", "x")


async def test_an_unseen_deployment_and_none_are_answered_alike(door: Door) -> None:
    ended = deployment(1, "app-vault", state=State.FAILED)
    await door.journal.record([Outcome(1, "d-1", (), (ended,))], window=0)

    told = []
    for id_ in (ended.id, "none"):
        message = _with_button("deployment.cancel", id_)
        clicked = await door.hands.click(message, "deployment.cancel", user="U0BOB")
        told.append((await clicked.later())["text"])

    assert "gone, or you may not see it" in told[0]
    assert told[0] == told[1]


# ── commands ─────────────────────────────────────────────────────────────────


async def test_a_near_miss_is_a_click_away(door: Door) -> None:
    missed = await door.hands.type("deploy wbe")
    clicked = await door.hands.click(missed.body, "suggest.run")
    told = await clicked.later()
    gone = await clicked.later(2)

    assert missed.text == "There is no app 'wbe'. Did you mean deploy shop/web?"
    assert told["response_type"] == "in_channel"
    assert gone == {"delete_original": True}
    assert [asked.target for asked in await door.asked()] == ["app-web"]


async def test_who_clicks_is_told_where_no_card_shows_it(door: Door) -> None:
    here = (await door.hands.type("status web")).body
    there = await door.hands.click(here, "app.deploy", channel="C0ELSE", at=1e9)
    told = await there.later()
    same = await door.hands.click(here, "app.deploy", at=2e9)
    await door.parts.parts.background.stop()

    assert (told["response_type"], told["replace_original"]) == ("ephemeral", False)
    assert "Deploying *shop/web*; see <#C0SHOP>" in words_of(told)
    assert door.slack.responses[same.token] == []


async def test_another_branch_is_refused_with_the_reason(door: Door) -> None:
    other = await door.hands.type("deploy web@dev")
    same = await door.hands.type("deploy web@main")

    assert "deploys the head of main" in other.text
    assert same.body["response_type"] == "in_channel"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("help", "/dokploy deploy"),
        ("help why", "explain why an app was deployed, or why it was not"),
        ("whoami", "Ada"),
        ("apps", "shop/web"),
        ("apps web", "shop/web"),
        ("status", "2 apps"),
        ("status web", "never deployed"),
        ("history web", "never deployed"),
        ("why web", "Nothing has come in for it yet"),
        ("why web main", "'main' is no commit"),
        ("logs web", "can't be asked from here"),
        ("cancel web", "You may not cancel shop/web"),
        ("nonsense", "There is no command"),
    ],
)
async def test_what_only_asks_is_answered_to_who_asked(door: Door, typed: str, said: str) -> None:
    answered = await door.hands.type(typed)

    assert answered.body["response_type"] == "ephemeral"
    assert said in words_of(answered.body)
    assert answered.text


async def test_a_deleted_app_that_one_may_not_see_is_not_named(door: Door) -> None:
    await door.journal.renew_apps([app("app-gone", name="gone", project="secret")])
    await door.journal.renew_apps([], gone=["app-gone"])

    for verb in ("history", "why"):
        unseen = await door.hands.type(f"{verb} gone")
        absent = await door.hands.type(f"{verb} lost")
        assert unseen.text.replace("gone", "x") == absent.text.replace("lost", "x")


async def test_there_is_nothing_to_cancel(slack: FakeSlack, tmp_path: Path) -> None:
    async with open_door(slack, tmp_path, granted()) as door:
        answered = await door.hands.type("cancel web")

        assert "Nothing waits or runs" in answered.text
        assert await door.asked() == []


async def test_an_answer_that_takes_long_follows(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.chats.slack.workspace.ACK_WITHIN", 0.1)
    async with open_door(slack, tmp_path, granted()) as door:
        slack.delay = 0.5
        answered = await door.hands.type("deploy web")
        followed = await answered.later()

        assert answered.seconds < 3
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
