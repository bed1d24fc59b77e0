"""As long as the process lives: what is kept is decided, and what came to a stop goes on."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import Unreachable
from bridge.core.events import Ignored
from bridge.pipeline.deciding.deliveries import DEPLOYMENT_FLOW
from bridge.ports.inbox import Delivery, DeliveryState
from tests.fakes.journey import NO_GATES, FakeFlows, deployment, push
from tests.worlds.deliveries import PATIENCE, Desk
from tests.worlds.embedded import until


async def ended(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()


async def test_what_did_not_end_is_started_again_and_what_is_kept_is_decided_at_once(
    desk: Desk,
) -> None:
    first = await desk.keep("one", push())
    await desk.drain()
    desk.flows = FakeFlows()
    deliveries = desk.deliveries()
    desk.inbox.woken = deliveries.wake
    running = asyncio.create_task(deliveries.run())

    second = await desk.keep("two", push(before="c" * 40))
    await until(desk.states, lambda states: second in states)
    await ended(running)

    assert deployment(first).id in desk.flows.ids(DEPLOYMENT_FLOW)
    assert deployment(second).id in desk.flows.ids(DEPLOYMENT_FLOW)


async def test_what_no_flow_takes_up_any_more_ends_and_says_so(desk: Desk) -> None:
    may_run = deployment(await desk.keep("one", push())).id
    await desk.drain()
    await desk.journal.intend(may_run, [], NO_GATES)
    never_asked = deployment(await desk.keep("two", push(before="c" * 40))).id
    await desk.drain()
    desk.flows.given_up = [may_run, never_asked]

    await desk.deliveries().resume()

    ended = [await desk.journal.deployment(id_) for id_ in desk.flows.given_up]
    assert [str(one.state) for one in ended if one] == ["unknown", "failed"]
    assert all("which is a bug" in one.note for one in ended if one)


async def test_until_there_is_something_to_decide_by_deliveries_wait(desk: Desk) -> None:
    desk.catalog.ready.clear()
    running = asyncio.create_task(desk.deliveries().run())
    seq = await desk.keep("one", push())
    await asyncio.sleep(0.02)
    assert (await desk.one(seq)).state is DeliveryState.KEPT

    desk.catalog.ready.set()
    await until(lambda: desk.one(seq), lambda found: found.state is DeliveryState.DECIDED)
    await ended(running)


@pytest.mark.parametrize("store", ["open_deployments", "record"])
async def test_stores_that_are_away_for_a_while_do_not_end_it(desk: Desk, store: str) -> None:
    desk.timing = replace(PATIENCE, retry=Backoff(0.01, 600.0))
    working, failures = getattr(desk.journal, store), [1, 2]

    async def failing(*args: Any, **others: Any) -> Any:
        if failures:
            failures.pop()
            raise Unreachable("the journal", "disk full")
        return await working(*args, **others)

    setattr(desk.journal, store, failing)
    seq = await desk.keep("one", push())
    running = asyncio.create_task(desk.deliveries().run())

    await until(lambda: desk.one(seq), lambda found: found.state is DeliveryState.DECIDED)
    await ended(running)


async def test_what_came_to_a_stop_goes_on_though_ever_more_is_to_decide(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.timing = replace(PATIENCE, resume=0.01)
    due, asked, looks = desk.inbox.due, 0, asyncio.Semaphore(0)
    going = desk.journal.open_deployments

    async def never_nothing(now: float, limit: int) -> list[Delivery]:
        nonlocal asked
        asked += 1
        await desk.keep(f"noise {asked}", Ignored("nothing of ours"))
        return await due(now, limit)

    async def watched(**how: Any) -> list[Any]:
        looks.release()
        return await going(**how)

    monkeypatch.setattr(desk.inbox, "due", never_nothing)
    monkeypatch.setattr(desk.journal, "open_deployments", watched)
    running = asyncio.create_task(desk.deliveries().run())

    async with asyncio.timeout(10):
        for _ in range(3):
            await looks.acquire()
    await ended(running)
    assert asked > 1


async def test_a_cancel_that_comes_together_with_a_wake_ends_it(desk: Desk) -> None:
    deliveries = desk.deliveries()
    running = asyncio.create_task(deliveries.run())
    seq = await desk.keep("one", push())
    deliveries.wake()
    await until(lambda: desk.one(seq), lambda found: found.state is DeliveryState.DECIDED)
    await asyncio.sleep(0.02)  # until it waits for its next wake

    deliveries.wake()
    await ended(running)
