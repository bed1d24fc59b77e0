"""Who may do what in Slack, and what the others are told; over real HTTP."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.access import Access, Grant, Right
from bridge.core.apps import Rules
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Unreachable
from bridge.core.lifecycle import State
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import app, delivery, deployment
from tests.fakes.slack.hands import words_of
from tests.fakes.slack.methods import BOT, TEAM
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


async def test_without_grants_everything_is_refused_with_the_lines_that_grant_it(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path, Access()) as door:
        answered = await door.hands.type("deploy web")

        assert answered.body["response_type"] == "ephemeral"
        lines = _code_of(answered.body)
        assert yaml.safe_load(lines)["access"][0] == {
            "who": ["U0ADA"], "may": ["deploy"], "apps": ["web"],
        }  # fmt: skip
        assert await door.asked() == []


async def test_who_may_only_see_is_told_which_right_is_missing(door: Door) -> None:
    answered = await door.hands.type("deploy web", user="U0BOB")

    assert answered.body["response_type"] == "ephemeral"
    assert "You may not deploy shop/web" in answered.text
    granted = yaml.safe_load(_code_of(answered.body))["access"][0]
    assert granted == {"who": ["U0BOB"], "may": ["deploy"], "apps": ["shop/web"]}
    assert await door.asked() == []
    (note, *others) = await door.audit()
    assert others == []
    assert (str(note.by), note.what) == ("slack: Bob (U0BOB)", "deploy")
    assert note.outcome == "refused: no right to deploy"


async def test_what_is_done_is_kept_with_who_did_it(door: Door) -> None:
    answered = await door.hands.type("deploy web")

    assert answered.body["response_type"] == "in_channel"
    (asked,) = await door.asked()
    assert (asked.target, str(asked.actor), asked.person) == ("app-web", "slack: Ada", "U0ADA")
    assert asked.channel == "C0SHOP"
    assert await door.audit() == []  # it is written with the decision


async def test_the_same_refusal_fills_no_log(door: Door) -> None:
    for _ in range(5):
        await door.hands.type("deploy web", user="U0BOB")

    assert len(await door.audit()) == 1


@pytest.mark.parametrize(
    ("what", "others"),
    [
        ("a guest", {"is_restricted": True}),
        ("a single-channel guest", {"is_ultra_restricted": True}),
        ("of another workspace", {"team_id": "T0ELSE"}),
        ("gone", {"deleted": True}),
    ],
)
async def test_strangers_are_refused_unless_named(
    slack: FakeSlack, tmp_path: Path, what: str, others: dict[str, Any]
) -> None:
    slack.person("U0EVE", "Eve", **others)
    async with open_door(slack, tmp_path / "all", granted("everyone")) as door:
        refused = await door.hands.type("deploy web", user="U0EVE")
        assert await door.asked() == []
    async with open_door(slack, tmp_path / "named", granted("U0EVE")) as door:
        named = await door.hands.type("deploy web", user="U0EVE")

    assert refused.body["response_type"] == "ephemeral", what
    assert named.body["response_type"] == "in_channel"


@pytest.mark.parametrize(("who", "may"), [("U0EXT", True), ("everyone", False)])
async def test_people_of_a_connected_workspace_click_only_where_they_are_named(
    slack: FakeSlack, tmp_path: Path, who: str, may: bool
) -> None:
    slack.person("U0EXT", "Ext", team_id="T0ELSE")
    card = _with_button("app.deploy", "app-web") | {"user": BOT, "team": TEAM}
    async with open_door(slack, tmp_path, granted(who)) as door:
        await door.hands.click(card, "app.deploy", user="U0EXT")
        await door.parts.parts.background.stop()

        assert bool(await door.asked()) is may


async def test_a_click_from_another_workspace_is_told_so(door: Door, slack: FakeSlack) -> None:
    slack.person("U0EXT", "Ext", team_id="T0ELSE")
    card = _with_button("app.deploy", "app-web") | {"user": "U0SOMEBODY", "team": TEAM}
    told = await (await door.hands.click(card, "app.deploy", user="U0EXT")).later()

    assert "another Slack workspace" in told["text"]
    assert await door.asked() == []


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


async def test_an_email_domain_is_a_right_where_slack_tells_the_address(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with open_door(slack, tmp_path / "told", granted("@example.com")) as door:
        told = await door.hands.type("deploy web")
    slack.scopes.clear()
    async with open_door(slack, tmp_path / "not", granted("@example.com")) as door:
        untold = await door.hands.type("deploy web")

    assert told.body["response_type"] == "in_channel"
    assert untold.body["response_type"] == "ephemeral"


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


async def test_a_channel_may_be_the_only_place_for_a_right(
    slack: FakeSlack, tmp_path: Path
) -> None:
    only_there = Access([Grant(("everyone",), frozenset(Right), ("*",), ("C0OPS",))])
    slack.channel("C0OPS", "ops")
    async with open_door(slack, tmp_path, only_there) as door:
        here = await door.hands.type("deploy web")
        there = await door.hands.type("deploy web", channel="C0OPS")

    assert here.body["response_type"] == "ephemeral"
    assert there.body["response_type"] == "in_channel"


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

COMMANDS = ["deploy", "redeploy", "cancel", "status", "history", "why", "provider", "apps"]
NAMES = st.sampled_from(
    ["vault", "secret/vault", "secret", "app-vault", "vaul", "SECRET/VAULT", "valut", "web", ""]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([*COMMANDS, "help", "whoami", "depoly"]), st.one_of(NAMES, st.text()))
async def test_nothing_typed_reaches_or_names_an_app_that_one_may_not_see(
    door: Door, command: str, name: str
) -> None:
    answered = await door.hands.type(f"{command} {name}", user="U0BOB")

    assert answered.status == 200
    said = words_of(answered.body)
    assert "app-vault" not in said.replace(name, "")
    assert "secret/vault" not in said.replace(name, "")
    assert all(asked.target != "app-vault" for asked in await door.asked())


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


async def test_a_click_on_an_unseen_deployment_or_app_tells_nothing(door: Door) -> None:
    for action_id in ("app.deploy", "app.redeploy", "deployment.why", "deployment.redeploy"):
        message = _with_button(action_id, "app-vault")
        answered = await door.hands.click(message, action_id, user="U0BOB")
        told = await answered.later()
        assert "vault" not in words_of(told)

    assert await door.asked() == []


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


@pytest.mark.parametrize(
    ("opened_in", "told_in"), [("C0SHOP", None), ("C0ELSE", "C0ELSE"), ("", "D0ADA")]
)
async def test_who_picks_is_told_where_no_card_shows_it(
    door: Door, opened_in: str, told_in: str | None
) -> None:
    door.slack.channel("C0ELSE", "else")
    if opened_in:
        await door.hands.type("", command="/deploy", channel=opened_in)
    else:
        await door.hands.shortcut("deploy_app")
    view = await door.slack.until(lambda: [*door.slack.views.values()])
    picked = await door.hands.pick(view[0], "app-web")
    await door.parts.parts.background.stop()

    assert (picked.status, picked.body) == (200, {})
    alone = [(one["channel"], one["text"]) for one in door.slack.ephemerals]
    alone += [(c.id, one["text"]) for c in door.slack.channels.values() for one in c.messages]
    assert alone == ([(told_in, "Deploying *shop/web*")] if told_in else [])


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


@pytest.mark.parametrize("typed", ["history old", "history shop/old", "why old"])
async def test_the_history_of_a_deleted_app_is_found(door: Door, typed: str) -> None:
    ended = deployment(1, "app-old", app="shop/old", state=State.FAILED, note="no rule")
    decision = Decision("app-old", "shop/old", Reason.PATH_HIT, "a matches **")
    await door.journal.record([Outcome(1, "d-1", (decision,), (ended,))], window=0)
    await door.journal.renew_apps([app("app-old", name="old", project="shop")])
    await door.journal.renew_apps([], gone=["app-old"])

    answered = await door.hands.type(typed)

    said = words_of(answered.body)
    assert "shop/old" in said
    assert "gone from the backends; " in said
    assert "history" in said
    assert "Now it" not in said


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


async def test_what_is_not_decided_yet_can_be_cancelled_and_stays_whoevers_it_is(
    slack: FakeSlack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_door(slack, tmp_path, granted()) as door:
        await door.inbox.keep(delivery())
        monkeypatch.setattr(door.inbox, "due", None)  # on Postgres that would claim it

        answered = await door.hands.type("cancel web")

        assert answered.body["response_type"] == "in_channel"


async def test_a_card_of_an_app_with_rules_of_ours_can_be_redeployed_from_its_menu(
    slack: FakeSlack, tmp_path: Path
) -> None:
    ruled = replace(APPS[0], rules=Rules(skip_directives=False))
    async with open_door(slack, tmp_path, granted(), apps=[ruled]) as door:
        await door.journal.save_apps("dokploy", [APPS[0]])  # as the backend has it
        going = deployment(1, "app-web")
        await door.journal.record([Outcome(1, "d-1", (), (going,))], window=0)
        card = _with_button("deployment.redeploy", going.id)

        await door.hands.shortcut("redeploy_this", message=card, channel="C0SHOP")
        await slack.until(lambda: slack.views)

        (view,) = slack.views.values()
        assert view["title"]["text"] == "Redeploy"


async def test_an_answer_that_takes_long_follows(slack: FakeSlack, tmp_path: Path) -> None:
    async with open_door(slack, tmp_path, granted()) as door:
        slack.delay = 2.3
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
