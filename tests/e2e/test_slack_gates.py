"""Gates in Slack over real HTTP: cards that hold, buttons, the dialog that asks why, rights."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Access, Grant, Right
from bridge.core.apps import Rules
from bridge.core.gates.locks import Lock
from bridge.core.holds import Proposal
from bridge.core.lifecycle import Deployment
from bridge.ports.gates import CommitAt, Judging
from tests.fakes.journey import HEAD, deployment
from tests.fakes.slack.hands import buttons_of, words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.scenes.shop import HOSTILE, LINKS
from tests.worlds.bridge import Origin
from tests.worlds.journal import outcome, record
from tests.worlds.messages import render_card
from tests.worlds.slack import slack_world
from tests.worlds.slack_door import APPS, Door, open_door

pytestmark = pytest.mark.journey

WEB = replace(APPS[0], rules=Rules(approvals=1))
AT = CommitAt("github", "my-org/mono", HEAD, "main")
OTHER = "d" * 40

MAY = Access(
    [
        Grant(("U0ADA",), frozenset(Right)),
        Grant(("everyone",), frozenset({Right.DEPLOY}), ("shop/*",)),
    ]
)


async def test_a_lock_holds_until_its_card_unlocks_it_or_a_reason_lets_it_pass(
    tmp_path: Path, origin: Origin
) -> None:
    everything = [{"who": ["everyone"], "may": [str(right) for right in Right]}]
    async with slack_world(tmp_path / "bridge", everything) as both:
        both.slack.person("U0BOB", "Bob")
        await both.app(origin)
        locked = await both.hands.type("lock shop for 2h moving the orders", user="U0BOB")
        assert locked.body["response_type"] == "in_channel"
        assert "Locked by Bob: *project shop*" in words_of(locked.body)

        await both.hands.type("deploy web")
        card = await both.card_says("is held")
        assert "Project shop is locked by Bob: moving the orders" in words_of(card)
        assert set(buttons_of(card)) == {
            "gate.override", "gate.unlock", "deployment.cancel", "deployment.why",
        }  # fmt: skip
        told = await (await both.hands.click(card, "gate.unlock")).later()
        assert "Unlocked: *project shop*" in words_of(told)
        assert told["response_type"] == "ephemeral"
        live = await both.card_says("is live")
        await both.thread_says(live, "locked by Bob")
        assert not [one for one in buttons_of(live) if one.startswith("gate.")]

        await both.hands.type("lock all an incident", user="U0BOB")
        await both.hands.type("redeploy web")
        card = await both.card_says("is held")
        await both.hands.click(card, "gate.override")
        view = await asked_why(both.slack)
        assert "All apps are locked by Bob: an incident" in words_of(view)
        submitted = await both.hands.submit(view, typed("it mends <!channel> the incident"))
        assert (submitted.status, submitted.body) == (200, {})
        card = await both.card_says("is live")
        line = await both.thread_says(card, "lets it pass")
        assert "Ada lets it pass: it mends &lt;!channel&gt; the incident" in words_of(line)
        await both.hands.type("unlock all", user="U0BOB")

        later = await both.hands.type("deploy web at mon 03:00 Europe/Berlin")
        assert "03:00 Europe/Berlin" in words_of(later.body)
        card = await both.card_says("is held")
        assert "Asked for a later time by Ada" in words_of(card)
        await both.hands.click(card, "deployment.cancel")
        await both.card_says("was cancelled")


def typed(reason: str) -> dict[str, Any]:
    return {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}


async def asked_why(slack: FakeSlack) -> dict[str, Any]:
    """The dialog, once it asks."""

    def asks() -> dict[str, Any] | None:
        return next(
            (one for one in slack.views.values() if "'block_id': 'reason'" in str(one)), None
        )

    view: dict[str, Any] = await slack.until(asks)
    return view


# ── the door alone: rights, stale clicks, others' words ──────────────────────


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with running_slack() as running:
        running.person("U0BOB", "Bob")
        yield running


@pytest.fixture
async def door(slack: FakeSlack, tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(slack, tmp_path, MAY, apps=[WEB, *APPS[1:]]) as opened:
        yield opened


async def held(door: Door, head: str = HEAD, **facts: Any) -> tuple[Deployment, dict[str, Any]]:
    """A deployment that waits for an approval, and its card."""
    await record(door.journal, outcome(1, deployment(1, "app-web", **facts)))
    await judged(door, head)
    return await card(door)


async def judged(door: Door, head: str = HEAD) -> None:
    by = Judging(WEB, head=replace(AT, commit=head), proposal=Proposal(head, anyone=True))
    await door.journal.judge(deployment(1).id, by)


async def card(door: Door) -> tuple[Deployment, dict[str, Any]]:
    found = await door.journal.deployment(deployment(1).id)
    assert found is not None
    shown = render_card(found, WEB, links=LINKS).body()
    return found, {"ts": "1.1", **shown}


async def told(door: Door, message: dict[str, Any], action: str, **who: Any) -> str:
    """What a click is answered with."""
    return words_of(await (await door.hands.click(message, action, **who)).later())


async def test_an_approval_is_a_click_of_who_may_on_the_commit_that_is_the_head(
    door: Door,
) -> None:
    _, shown = await held(door)
    assert "Needs 1 approval of ccccccc, has 0" in words_of(shown)
    assert "You may not approve shop/web" in await told(door, shown, "gate.approve", user="U0BOB")
    await judged(door, OTHER)
    assert "is now ddddddd, not ccccccc: look again" in await told(door, shown, "gate.approve")
    assert await door.journal.approvals("app-web") == []
    await judged(door)

    granted = await told(door, shown, "gate.approve", at=1e9)

    assert "You approved `ccccccc` of *shop/web*" in granted
    assert [one.name for one in await door.journal.approvals("app-web", HEAD)] == ["Ada"]
    audited = [(str(one.by), one.what, one.outcome) for one in await door.audit()]
    assert ("slack: Ada (U0ADA)", "approve", "commit ccccccc") in audited
    (by_bob,) = [one for one in audited if one[0] == "slack: Bob (U0BOB)"]
    assert by_bob[1:] == ("approve", "refused: no right to approve")

    await judged(door)
    out_of_date = await told(door, shown, "gate.approve", at=2e9)
    assert "It is not held any more: it is waiting" in out_of_date
    await door.hands.click(shown, "gate.override")
    await door.slack.until(lambda: "It is not held any more" in str(door.slack.views))


async def test_what_is_approved_is_what_is_shown(door: Door) -> None:
    """The branch has moved on since: the head is shown, and the head is approved."""
    await record(door.journal, outcome(1, deployment(1, "app-web", message="feat: pushed")))
    files = ("web/a", "web/b")
    proposal = Proposal(OTHER, "fix: the <head>", "Eve", "9" * 40, 2, files, anyone=True)
    by = Judging(WEB, head=replace(AT, commit=OTHER), proposal=proposal)
    await door.journal.judge(deployment(1).id, by)

    _, on_card = await card(door)
    typed = (await door.hands.type("approve web")).body
    for shown in (on_card, typed):
        words = words_of(shown).replace("|`", "`")
        for said in ("`ddddddd`", "fix: the &lt;head&gt;", "by Eve", "2 files", "`web/a`"):
            assert said in words
        assert "since `9999999`" in words
        assert "feat: pushed" not in words
    assert f"/compare/{'9' * 40}...{OTHER}|2 files>" in words_of(on_card)
    assert await door.journal.approvals("app-web") == []

    assert "You approved `ddddddd`" in await told(door, typed, "operation.run")
    again = await told(door, on_card, "gate.approve")
    assert "You had approved `ddddddd` of *shop/web* already: nothing changed" in again
    assert ":white_check_mark:" not in again
    (given,) = await door.journal.approvals("app-web")
    assert (given.commit, given.name) == (OTHER, "Ada")


async def test_the_dialog_asks_who_may_for_a_reason_and_again_if_more_holds_by_then(
    door: Door,
) -> None:
    _, shown = await held(door)
    await door.hands.click(shown, "gate.override", user="U0BOB")
    await door.slack.until(lambda: "You may not override shop/web" in str(door.slack.views))
    assert "block_id" not in str(door.slack.views)
    await door.hands.click(shown, "gate.override")
    view = await asked_why(door.slack)

    refused = await door.hands.submit(view, typed("it burns"), user="U0BOB")
    empty = await door.hands.submit(view, typed("  "))
    forged = await door.hands.submit(view | {"private_metadata": "]["}, typed("it burns"))

    assert "You may not override" in refused.body["errors"]["reason"]
    assert "say why" in empty.body["errors"]["reason"]
    assert "does not work any more" in forged.body["errors"]["reason"]
    assert (await card(door))[0].lifts == ()

    lock = Lock("all", "all apps", "slack:U0BOB", "Bob", "an incident", 1.7e9)
    await door.journal.take_lock(lock, None, steal=False)
    await judged(door)
    again = await door.hands.submit(view, typed("it burns"))
    assert again.body["response_action"] == "update"
    newer = again.body["view"]
    assert "Something else holds it by now" in words_of(newer)
    assert "All apps are locked by Bob" in words_of(newer)
    done = await door.hands.submit({"id": view["id"], **newer}, typed("it burns"))
    assert done.body == {}
    (lift,) = (await card(door))[0].lifts
    assert (lift.by, lift.reason) == ("Ada", "it burns")


async def test_others_words_call_nobody(door: Door) -> None:
    typed_ = await door.hands.type(f"lock shop for 2h {HOSTILE}")
    lock = Lock("all", "all apps", "slack:U0BOB", HOSTILE, HOSTILE, 1.7e9)
    await door.journal.take_lock(lock, None, steal=False)
    _, shown = await held(door)
    answers = [await door.hands.type(one) for one in ("locks", "status web", "lock all mine")]
    await door.hands.click(shown, "gate.override")
    view = await asked_why(door.slack)

    for message in (typed_.body, shown, view, *(one.body for one in answers)):
        assert "gnp.exe" in words_of(message)
        assert "<!channel>" not in words_of(message)
        assert "<@U0123ABC>" not in words_of(message)
        assert "<https://evil" not in words_of(message)


async def test_a_lock_is_taken_over_or_unlocked_by_a_click_of_who_may(
    door: Door, slack: FakeSlack
) -> None:
    slack.person("U0EVE", "Eve")
    lock = Lock("project/shop", "project shop", "slack:U0EVE", "Eve", "a release", 1.7e9)
    await door.journal.take_lock(lock, ["app-web", "app-api"], steal=False)
    busy = await door.hands.type("lock shop for 2h an incident")
    clicked = await (await door.hands.click(busy.body, "suggest.run")).later()
    assert busy.body["response_type"] == "ephemeral"
    assert "Locked already by Eve: *project shop*" in words_of(busy.body)
    assert "Taken over. Eve had locked it since" in words_of(clicked)
    assert [one.name for one in await door.journal.locks()] == ["Ada"]

    _, shown = await held(door)
    refused = await told(door, shown, "gate.unlock", user="U0BOB")
    assert "You may not lock project shop" in refused
    assert "Unlocked: *project shop*" in await told(door, shown, "gate.unlock")
    assert "That lock is gone already" in await told(door, shown, "gate.unlock", at=1e9)
