"""What people ask for: deployments, cancels and replays."""

import pytest

from bridge.core.errors import MalformedPayload
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.pipeline.deciding.deliveries import CANCEL_FLOW, CANCEL_ONE_FLOW
from bridge.ports.inbox import DeliveryState, NewDelivery
from tests.fakes.journey import app, deployment, push
from tests.worlds.deliveries import PATIENCE, Desk


@pytest.mark.parametrize("action", ["deploy", "redeploy"])
async def test_a_person_deploys_and_redeploys(desk: Desk, action: str) -> None:
    seq = await desk.ask(action, "app-web")
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "asked"}
    (new,) = await desk.journal.deployments(limit=10)
    assert (new.action, new.trigger, new.commit) == (Action(action), "cli: ada", None)
    assert new.ref == "refs/heads/main"
    (found,) = (await desk.journal.decisions([seq]))[seq]
    assert found.evidence == f"cli: ada asked to {action}"


async def test_a_persons_cancel_starts_its_flow_and_no_deployment(desk: Desk) -> None:
    seq = await desk.ask("cancel", "app-web")
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "cancel_asked"}
    assert desk.flows.started == [(CANCEL_FLOW, deployment(seq).id, "app-web")]


async def test_a_cancel_of_one_deployment_starts_a_flow_for_that_one(desk: Desk) -> None:
    one = deployment(7)
    asked = Asked(
        Action.CANCEL, "app-web", Actor("slack", "Ada"), person="U0ADA", deployment=one.id
    )
    new = NewDelivery(COMMAND_HOST, "cli-1", "cancel", {}, write_command(asked), desk.clock.now)
    seq = (await desk.inbox.keep(new)).seq
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "cancel_one_asked"}
    assert desk.flows.started == [(CANCEL_ONE_FLOW, f"{seq:016d}.{one.id}", "app-web")]


async def test_a_command_for_an_app_that_is_not_there_fails_with_words(desk: Desk) -> None:
    seq = await desk.ask("deploy", "app-none")
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.error) == (
        DeliveryState.FAILED,
        "there is no app app-none (any more)",
    )


@pytest.mark.parametrize(
    ("action", "body"),
    [("deploy", b"[]"), ("deploy", b"{}"), ("explode", b'{"target": "a", "actor": "b"}'),
     ("deploy", b"\xff"), ("deploy", b"")],
)  # fmt: skip
async def test_a_command_that_can_not_be_read_fails_at_once(
    desk: Desk, action: str, body: bytes
) -> None:
    seq = await desk.ask(action, "x", body=body)
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.attempts) == (DeliveryState.FAILED, 0)
    assert f"command '{action}' can't be read" in (found.error or "")


async def test_a_replay_deploys_the_same_push_again(desk: Desk) -> None:
    first = await desk.keep("one", push())
    await desk.drain()
    await desk.journal.move(deployment(first).id, State.DONE)

    seq = await desk.ask("replay", str(first))
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "no_watch_paths"}
    assert await desk.states() == {first: "done", seq: "waiting"}
    new = await desk.journal.deployment(deployment(seq).id)
    assert new is not None
    assert (new.trigger, new.commit) == ("push, replayed by cli: ada", "b" * 40)


async def test_a_replay_does_not_concern_an_app_that_was_made_after_the_push(desk: Desk) -> None:
    first = await desk.keep("one", push())
    await desk.drain()
    desk.clock.now += 30
    desk.backend.found.append(app("app-new", made_at=desk.clock.now))
    await desk.catalog.refresh()

    replayed = await desk.ask("replay", str(first))
    asked = await desk.ask("deploy", "app-new")
    await desk.drain()

    assert await desk.reasons(replayed) == {"app-web": "no_watch_paths", "app-new": "made_later"}
    (new,) = (one for one in await desk.decided(replayed) if one.app_id == "app-new")
    assert new.evidence == (
        "it was made at 2023-11-14T22:14:00+00:00, after this push;"
        " to deploy it, ask for it by name"
    )
    assert await desk.reasons(asked) == {"app-new": "asked"}


@pytest.mark.parametrize(
    ("moment", "reason"),
    [("1700000000", "made_later"), ("1700000090", "no_watch_paths"), ("", "no_watch_paths")],
)
async def test_a_webhook_that_comes_late_does_not_concern_an_app_that_was_made_after_the_push(
    desk: Desk, moment: str, reason: str
) -> None:
    """The host's own time says so; clocks may be a minute apart."""
    desk.clock.now += 3600
    desk.backend.found[:] = [app(made_at=1_700_000_100.0)]
    await desk.catalog.refresh()
    seq = await desk.keep("one", push(moment=moment))
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": reason}


@pytest.mark.parametrize("ahead", [3600.0, None])
async def test_no_push_is_lost_to_a_backend_whose_clock_is_ahead_or_unknown(
    desk: Desk, ahead: float | None
) -> None:
    """The app was made before the push, and its backend's clock dates it an hour after."""
    pushed, desk.backend.ahead = 1_700_000_000.0, ahead
    desk.clock.now = pushed
    desk.backend.found[:] = [app(made_at=pushed - 60 + 3600)]
    await desk.catalog.refresh()
    seq = await desk.keep("one", push(moment=f"{pushed:.0f}"))
    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "no_watch_paths"}


async def test_a_push_that_comes_again_later_concerns_no_app_that_has_joined_since(
    desk: Desk,
) -> None:
    """It is known by push, also where another app deploys from its repository by now."""
    await desk.keep("one", push(moment="1700000000"))
    await desk.drain()
    desk.clock.now += PATIENCE.window + 1
    desk.backend.found.append(app("app-moved"))
    await desk.catalog.refresh()

    again = await desk.keep("two", push(moment="1700000000"))
    await desk.drain()

    assert set((await desk.reasons(again)).values()) == {"duplicate_push"}
    assert len(await desk.states()) == 1


@pytest.mark.parametrize(
    "target", ["0", "999", "-1", "one", "", "²", "٣٣٣", "1.5", "9" * 30, "9" * 6000]
)
async def test_a_replay_of_what_is_not_there_fails_at_once(desk: Desk, target: str) -> None:
    seq = await desk.ask("replay", target)
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.attempts) == (DeliveryState.FAILED, 0)
    assert found.error == f"there is no delivery {target} to replay"


async def test_a_replay_of_a_command_or_of_nonsense_fails_with_words(desk: Desk) -> None:
    command = await desk.ask("deploy", "app-web")
    nonsense = await desk.keep("two", MalformedPayload("ref: missing"))
    await desk.drain()
    first, second = await desk.ask("replay", str(command)), await desk.ask("replay", str(nonsense))
    await desk.drain()

    assert "is a command; give the command again" in ((await desk.one(first)).error or "")
    assert (await desk.one(second)).error == "delivery two can't be replayed: ref: missing"
