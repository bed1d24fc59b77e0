"""From a kept delivery, or what a person asks for, to its decisions and deployments."""

import asyncio
from dataclasses import replace

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.errors import MalformedPayload
from bridge.core.events import COMMAND_HOST, Action, Asked, RefKind, write_command
from bridge.core.people import Actor
from bridge.pipeline.deciding.catalog import SELDOM, TROUBLE_PAUSE
from bridge.pipeline.deciding.deliveries import CANCEL_ONE_FLOW, DEPLOYMENT_FLOW
from bridge.ports.inbox import DeliveryState, NewDelivery
from tests.fakes.journey import app, deployment, push, source
from tests.worlds.deliveries import ELSEWHERE, Desk


async def test_tags_that_only_go_up_are_decided_by_one_process_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a tag is the newest depends on what the others decide just now."""
    rules = Rules(trigger=Trigger.TAG, only_newer=True)
    await desk.journal.save_rules("app-web", rules, by="cli: ada")
    await desk.catalog.refresh()
    await desk.journal.hold("tags", "another process", 60.0)
    hold, waits = desk.journal.hold, asyncio.Event()

    async def watched(name: str, owner: str, seconds: float) -> bool:
        held = await hold(name, owner, seconds)
        waits.set()
        return held

    monkeypatch.setattr(desk.journal, "hold", watched)
    tag = await desk.keep("one", push("v2.0.0", kind=RefKind.TAG))
    deciding = asyncio.create_task(desk.drain())
    await asyncio.wait_for(waits.wait(), 10)
    assert (await desk.one(tag)).state is DeliveryState.KEPT

    await desk.journal.release("tags", "another process")
    await deciding

    assert (await desk.one(tag)).state is DeliveryState.DECIDED
    assert await desk.journal.hold("tags", "a third", 60.0)


async def test_a_push_is_decided_and_its_deployment_started(desk: Desk) -> None:
    seq = await desk.keep("one", push())

    await desk.drain()

    assert (await desk.one(seq)).state is DeliveryState.DECIDED
    assert await desk.reasons(seq) == {"app-web": "no_watch_paths"}
    (new,) = await desk.journal.deployments(limit=10)
    assert (new.seq, new.delivery, new.trigger, new.ref) == (
        seq, "one", "push", "refs/heads/main",
    )  # fmt: skip
    assert (new.commit, new.message) == ("b" * 40, "feat: something")
    assert new.token
    assert desk.flows.started == [(DEPLOYMENT_FLOW, new.id, "app-web")]


@pytest.mark.slow
async def test_pushes_of_a_repository_that_no_app_uses_do_not_have_the_apps_read_for_ever(
    desk: Desk,
) -> None:
    for second in range(300):
        desk.clock.now += 1
        await desk.keep(f"id-{second}", ELSEWHERE)
        await desk.drain()
    assert desk.backend.count("apps") < 12  # once in 3 s would be a hundred times

    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    seq = await desk.keep("after it was made", replace(ELSEWHERE, before="b" * 40, after="c" * 40))
    await desk.drain()
    desk.clock.now += SELDOM
    await desk.drain()
    assert await desk.reasons(seq) == {"app-new": "no_watch_paths"}


async def test_while_the_apps_can_not_be_read_it_waits_says_why_and_holds_up_nobody(
    desk: Desk,
) -> None:
    desk.backend.away = True
    unknown = await desk.keep("unknown", ELSEWHERE)
    known = await desk.keep("known", push())

    await desk.drain()

    assert await desk.states() == {known: "waiting"}
    found = await desk.one(unknown)
    assert found.state is DeliveryState.KEPT
    assert found.error == "dokploy can't be reached: ConnectError"

    desk.backend.away = False
    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    desk.clock.now += TROUBLE_PAUSE
    await desk.catalog.refresh()
    await desk.drain()
    assert await desk.reasons(unknown) == {"app-new": "no_watch_paths"}


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


NOWHERE = ["0", "999", "-1", "one", "", "²", "٣٣٣", "1.5", "9" * 30, "9" * 6000]


@pytest.mark.parametrize(
    ("action", "target", "body", "says"),
    [
        *(("replay", one, None, f"there is no delivery {one} to replay") for one in NOWHERE),
        *(("deploy", "x", body, "can't be read") for body in (b"[]", b"{}", b"\xff", b"")),
        ("explode", "x", b'{"target": "a", "actor": "b"}', "command 'explode' can't be read"),
        ("deploy", "app-none", None, "there is no app app-none (any more)"),
    ],
)
async def test_what_can_not_be_read_or_is_not_there_fails_at_once(
    desk: Desk, action: str, target: str, body: bytes | None, says: str
) -> None:
    seq = await desk.ask(action, target, **({} if body is None else {"body": body}))
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.attempts) == (DeliveryState.FAILED, 0)
    assert says in (found.error or "")


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


async def test_a_replay_of_a_command_or_of_nonsense_fails_with_words(desk: Desk) -> None:
    command = await desk.ask("deploy", "app-web")
    nonsense = await desk.keep("two", MalformedPayload("ref: missing"))
    await desk.drain()
    first, second = await desk.ask("replay", str(command)), await desk.ask("replay", str(nonsense))
    await desk.drain()

    assert "is a command; give the command again" in ((await desk.one(first)).error or "")
    assert (await desk.one(second)).error == "delivery two can't be replayed: ref: missing"
