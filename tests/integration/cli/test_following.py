"""Following a deployment: every change once, on to its successor, until the end."""

import asyncio
from dataclasses import replace

import pytest

from bridge.app.storage import open_stores
from bridge.cli.deploy import Progress, Watchman, exit_code_for, followed, opened_with
from bridge.core.access import Right
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import PUSH
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import Outcome
from bridge.settings import read_settings
from bridge.views.deploying import Kept
from tests.worlds.cli import SHA, WEB, Cli

FIRST = Deployment(
    id="0000000000000001.app_web",
    seq=1,
    delivery="d1",
    app_id=WEB.id,
    app=WEB.label,
    action=Action.DEPLOY,
    origin=PUSH,
    state=State.WAITING,
    created_at=1.0,
    commit=SHA,
    note="waits for its turn",
)
SECOND = replace(FIRST, id="0000000000000002.app_web", seq=2, delivery="d2")


def outcome(deployment: Deployment) -> Outcome:
    decision = Decision(WEB.id, WEB.label, Reason.ASKED, "somebody asked")
    return Outcome(deployment.seq, deployment.delivery, (decision,), (deployment,))


async def test_a_superseded_deployment_is_followed_to_the_end_of_its_successor(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_stores(read_settings(None, {})) as stores:
        journal = stores.journal
        await journal.record([outcome(FIRST)], window=0)
        following = asyncio.create_task(
            followed(stores, FIRST, Progress(), Watchman(read_settings(None, {})))
        )
        await journal.record([outcome(SECOND)], window=0)
        await journal.move(SECOND.id, State.RUNNING, "builds")
        await journal.move(SECOND.id, State.DONE, "live", finished_at=2.0)
        async with asyncio.timeout(20):
            ended = await following

    assert (ended.id, ended.state) == (SECOND.id, State.DONE)
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines()]
    assert shown == ["waiting", "superseded", "waiting", "running", "done"]


async def test_a_failed_deployment_ends_with_the_end_of_its_log(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_stores(read_settings(None, {})) as stores:
        await stores.journal.record([outcome(FIRST)], window=0)
        facts = {"log_tail": "#5 [3/3] RUN make\nmake: *** no rule"}
        await stores.journal.move(FIRST.id, State.FAILED, "make: *** no rule", **facts)
        await followed(stores, FIRST, Progress(), Watchman(read_settings(None, {})))
        await followed(stores, FIRST, Progress(quiet=True), Watchman(read_settings(None, {})))

    said = capsys.readouterr()
    shown = said.out.splitlines()
    assert said.err == "the whole log: dokploy-bridge logs shop/web --deployment 1\n"
    assert shown[-4].endswith("failed     make: *** no rule")
    assert shown[-3:] == ["the end of its log:", "  #5 [3/3] RUN make", "  make: *** no rule"]


LOCK = Hold(Gate.LOCK, "lock:project/shop:1.5", "project shop is locked by Bob", Right.OVERRIDE)


@pytest.mark.parametrize(
    ("hold", "command"),
    [
        (LOCK, "unlock project:shop"),
        (replace(LOCK, key="lock:app/app_web:1.5"), "unlock shop/web"),
        (replace(LOCK, key="lock:all:1.5"), "unlock all"),
        (replace(LOCK, gate=Gate.FREEZE, key="freeze:x:1"), "override shop/web -m WHY"),
        (replace(LOCK, gate=Gate.APPROVAL, key="approval:c"), "approve shop/web"),
        (replace(LOCK, gate=Gate.CHECKS, key="checks:c"), None),
        (replace(LOCK, gate=Gate.ORDER, key="order:2"), None),
    ],
)
def test_what_a_person_has_to_open_is_named_with_its_command(
    hold: Hold, command: str | None
) -> None:
    held = replace(FIRST, state=State.HELD, holds=(hold,))

    assert opened_with(held) == ([f"`dokploy-bridge {command}`"] if command else [])


@pytest.mark.parametrize(
    ("action", "states", "code"),
    [
        (Action.DEPLOY, [State.DONE], 0),
        (Action.DEPLOY, [State.DONE, State.FAILED], 3),
        (Action.DEPLOY, [State.CANCELLED], 3),
        (Action.DEPLOY, [State.DONE, State.HELD], 5),
        (Action.DEPLOY, [State.FAILED, State.HELD], 3),
        (Action.REDEPLOY, [State.UNKNOWN], 3),
        (Action.CANCEL, [State.CANCELLED, State.CANCELLED], 0),
        (Action.CANCEL, [State.DONE], 3),
        (Action.CANCEL, [], 0),
        (Action.REPLAY, [], 0),
    ],
)
def test_the_exit_code_tells_how_it_ended(action, states, code) -> None:
    delivery = Delivery(1, "cli", "cli-1", action, {}, 1.0, DeliveryState.DECIDED)
    ended = [replace(FIRST, state=state) for state in states]

    assert exit_code_for(Kept("cli-1", action, "shop/web", "app_web"), delivery, ended) == code


@pytest.mark.parametrize("state", [DeliveryState.FAILED, DeliveryState.IGNORED])
def test_a_wish_that_was_not_granted_says_why(state, capsys) -> None:
    delivery = Delivery(1, "cli", "cli-1", "deploy", {}, 1.0, state, error="there is no app x")

    assert exit_code_for(Kept("cli-1", Action.DEPLOY, "shop/x", "x"), delivery, []) == 1
    assert "deploy of shop/x: there is no app x" in capsys.readouterr().err
