"""One message for each pull request with previews: what is posted, edited, and said how often."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bridge.chats.slack.payloads import Answer
from bridge.chats.slack.plans import plans_of
from bridge.core.apps import App
from bridge.core.errors import Unanswered
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.messages.plans import Channels
from bridge.ports.feedback import Publisher, Snapshot
from bridge.views.pull_requests import FEW
from tests.fakes.journey import Death, Lifetime
from tests.oracles.slack_rules import faults
from tests.scenes.pulls import FORK, WAITS, preview
from tests.scenes.shop import API, HOSTILE, LINKS, WEB, deployment
from tests.unit.slack.test_board import Client
from tests.worlds.messages import in_slack

HELD, ENDING, ENDED = PreviewState.HELD, PreviewState.ENDING, PreviewState.ENDED
HERE = Channels((), "C1")
APPROVAL: dict[str, Any] = {"reason": Why.APPROVAL, "note": WAITS, "pull": FORK}


class Stage:
    """A board, and what its subscription remembers."""

    def __init__(self, channels: Channels = HERE) -> None:
        self.client = Client()
        self.cursor: dict[str, Any] = {}
        self.channels = channels
        self.life = Lifetime()
        self.board = self.remade(self.client)

    def remade(self, client: Any) -> Publisher:
        """The board, as after a start."""
        _, publishers = in_slack(client, self.channels, links=LINKS)
        return publishers["slack.pull"]

    async def _remember(self, cursor: Any) -> None:
        self.life.passes()
        self.cursor = dict(cursor)
        self.life.passes()

    async def publish(self, *those: Preview, deployed: Sequence[Deployment] = ()) -> None:
        (subscription,) = plans_of(self.channels).of_preview(those[0], None)
        snapshot = Snapshot(deployments=tuple(deployed), previews=those)
        await self.board.publish(subscription, snapshot, self.cursor, self._remember)

    @property
    def counted(self) -> tuple[int, int, int]:
        """How many messages were posted, edited, and said in the thread."""
        said = len(self.client.said())
        methods = [method for method, _ in self.client.calls]
        posted = methods.count("chat.postMessage") - said
        return posted, methods.count("chat.update"), said


@pytest.fixture
def stage() -> Stage:
    return Stage()


def of(app: App, state: State, seq: int = 1, **facts: Any) -> Deployment:
    """A deployment of the app that previews another one."""
    return replace(deployment(state, app, seq, **facts), app_id=f"pr-{app.id}")


def pushed(one: Preview) -> Preview:
    """The same after another push, which is not asked for yet."""
    pull = replace(one.pull, head_sha="cd" * 20)
    return replace(one, pull=pull, version=one.version + 1)


async def test_from_its_opening_to_its_end_it_is_one_message(stage: Stage) -> None:
    one = preview(WEB)
    await stage.publish(preview(WEB, PreviewState.NEW))
    await stage.publish(preview(WEB, PreviewState.MAKING))
    await stage.publish(one)
    await stage.publish(one, deployed=[of(WEB, State.RUNNING)])
    await stage.publish(one, deployed=[of(WEB, State.DONE)])
    for seq in (2, 3, 4):  # further pushes go live, too
        again = pushed(one)
        await stage.publish(again, deployed=[of(WEB, State.DONE)])
        again = replace(again, asked=again.pull.head_sha)
        await stage.publish(again, deployed=[of(WEB, State.RUNNING, seq)])
        await stage.publish(again, deployed=[of(WEB, State.DONE, seq)])
    await stage.publish(one, deployed=[of(WEB, State.FAILED, 5)])
    await stage.publish(preview(WEB, ENDING), deployed=[of(WEB, State.FAILED, 5)])
    await stage.publish(preview(WEB, ENDED, pull={"open": False, "merge_sha": "a" * 40}))

    posted, edited, said = stage.counted
    assert (posted, said) == (1, 3)
    assert edited <= 16
    assert ["is ready" in line or "failed" in line or "ended" in line for line in
            stage.client.said()] == [True] * 3  # fmt: skip
    assert not any(args.get("reply_broadcast") for _, args in stage.client.calls)


async def test_a_commit_that_waits_is_said_once_until_it_changes(stage: Stage) -> None:
    waits = preview(WEB, HELD, **APPROVAL)
    await stage.publish(waits)
    await stage.publish(pushed(waits))
    assert stage.counted == (1, 1, 1)

    (_, line) = next(call for call in stage.client.calls if "thread_ts" in call[1])
    (button,) = [b for block in line["blocks"] for b in block.get("elements", ()) if "value" in b]
    assert button["action_id"] == "preview.approve"
    assert button["value"] == f"{waits.id} {FORK['head_sha']}"
    root = stage.client.calls[-1][1]["blocks"]
    values = [b["value"] for block in root for b in block.get("elements", ()) if "value" in b]
    assert set(values) == {f"{waits.id} {'cd' * 20}"}


async def test_outcomes_of_many_apps_are_said_together(stage: Stage) -> None:
    apps = [replace(WEB, id=f"app{n:02}", name=f"app-{n:02}") for n in range(50)]
    those = [preview(app) for app in apps]
    for done in range(0, 51, 5):
        deployed = [of(app, State.DONE) for app in apps[:done]]
        deployed += [of(app, State.RUNNING) for app in apps[done:]]
        await stage.publish(*those, deployed=deployed)

    assert stage.counted == (1, 10, 1)
    ended = [replace(one, state=ENDED, made=None) for one in those]
    await stage.publish(*[replace(one, state=ENDING) for one in those])
    await stage.publish(*ended[: 50 - FEW], *[replace(one, state=ENDING) for one in those[-FEW:]])
    await stage.publish(*ended)
    assert stage.counted[2] == 3
    assert all(len(args.get("blocks", ())) <= 50 for _, args in stage.client.calls)


async def test_an_older_deployment_is_no_outcome_of_a_newer_push(stage: Stage) -> None:
    one = pushed(preview(WEB))
    await stage.publish(one, deployed=[of(WEB, State.DONE)])
    assert stage.counted[2] == 0

    asked = replace(one, asked=one.pull.head_sha)
    (subscription,) = plans_of(HERE).of_preview(asked, 7)
    snapshot = Snapshot(deployments=(of(WEB, State.DONE),), previews=(asked,))
    await stage.board.publish(subscription, snapshot, stage.cursor, stage._remember)
    assert stage.counted[2] == 0  # delivery 7 asks for it, and is not decided yet


# ── death, refusals ──────────────────────────────────────────────────────────


class Remembering(Client):
    """Slack with a channel whose messages can be looked for."""

    async def call(self, method: str, **arguments: Any) -> Answer:
        answer = await super().call(method, **arguments)
        if method == "chat.postMessage":
            posted = {"ts": answer.text("ts"), "metadata": arguments["metadata"]}
            self.there.append(posted)
        return answer


async def test_death_at_any_moment_repeats_nothing() -> None:
    moment, died = 0, True
    while died:
        moment, died = moment + 1, False
        stage, life = Stage(), Lifetime(moment)
        stage.client = Remembering()
        alive = stage.board = stage.remade(stage.client)
        stage.board = stage.remade(life.mortal(stage.client))
        stage.life = life
        try:
            await stage.publish(preview(WEB), deployed=[of(WEB, State.DONE)])
        except Death:
            died = True
        stage.board, stage.life = alive, Lifetime()
        await stage.publish(preview(WEB), deployed=[of(WEB, State.DONE)])
        assert stage.counted[::2] == (1, 1), moment
    assert moment > 10


@pytest.mark.parametrize("found", [True, False])
@pytest.mark.parametrize("at", [1, 2], ids=["message", "line"])
async def test_what_was_not_answered_is_looked_for(stage: Stage, at: int, found: bool) -> None:
    one, deployed = preview(WEB), [of(WEB, State.DONE)]
    stage.client.failing = {at: Unanswered("slack", "gone")}
    with pytest.raises(Unanswered):
        await stage.publish(one, deployed=deployed)
    metadata = stage.client.calls[at - 1][1]["metadata"]
    stage.client.there = [{"ts": "9.9", "metadata": metadata}] if found else [{"ts": "1.0"}]
    await stage.publish(one, deployed=deployed)
    await stage.publish(one, deployed=deployed)

    again = 0 if found else 1
    assert stage.counted[::2] == ((1 + again, 1) if at == 1 else (1, 1 + again))


# ── where, and which ─────────────────────────────────────────────────────────


def test_it_goes_where_the_rule_of_previews_says_else_where_the_app_is_shown() -> None:
    book = (("shop/*", ("C0SHOP",)), ("shop/quiet", ()))
    named = (("shop/*", None), ("shop/api", ("C0PR",)), ("shop/web", ()))
    channels = Channels(book, "#all", named)

    assert [channels.of_previews(f"shop/{name}") for name in ("web", "api", "docs", "quiet")] == [
        (), ("C0PR",), ("C0SHOP",), (),
    ]  # fmt: skip
    assert channels.of_previews("blog/web") == ("#all",)
    assert plans_of(channels).of_preview(preview(WEB), None) == []


async def test_a_channel_sees_the_previews_of_its_own_apps() -> None:
    stage = Stage(Channels((("*/web", ("C1",)), ("**/api", ("C2",)))))
    await stage.publish(preview(WEB), preview(API))

    assert API.label not in str(stage.client.calls)


async def test_apps_that_are_not_concerned_are_not_named(stage: Stage) -> None:
    aside = preview(API, PreviewState.SKIPPED, reason=Why.NO_PATH_HIT)
    await stage.publish(preview(WEB), aside)
    assert API.label not in str(stage.client.calls)

    only = Stage()
    await only.publish(aside)
    assert only.client.calls == []


async def test_nothing_that_others_wrote_calls_anybody(stage: Stage) -> None:
    said = {"title": HOSTILE, "head": HOSTILE, "author": HOSTILE}
    held = preview(WEB, HELD, note=HOSTILE, reason=Why.APPROVAL, pull=said | {"own": False})
    await stage.publish(held, preview(API, PreviewState.MAKING, failures=2, note=HOSTILE))

    sent = [{"text": args["text"], "blocks": args["blocks"]} for _, args in stage.client.calls]
    assert len(sent) == 2
    assert [fault for one in sent for fault in faults(one)] == []
