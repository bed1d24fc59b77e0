"""Nothing is lost, decided twice or stuck, whatever fails in between and as long as it runs."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.backoff import Backoff
from bridge.core.errors import Unreachable
from bridge.core.events import Event, Ignored
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deciding.deliveries import CANCEL_FLOW, DEPLOYMENT_FLOW
from bridge.pipeline.deciding.interpret import MOST_OF_SMALL
from bridge.ports.githosts import APART, Body
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import Outcome, Recorded
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import (
    NO_GATES,
    Death,
    FakeBackend,
    FakeFlows,
    FakeHost,
    Lifetime,
    ManualClock,
    app,
    deployment,
    push,
)
from tests.worlds.deliveries import PATIENCE, Desk
from tests.worlds.embedded import until
from tests.worlds.journal import journal_in_memory


async def test_a_poison_one_is_tried_again_ever_later_then_parked_and_blocks_nobody(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    before = await desk.keep("before", push(before="1" * 40))
    poison = await desk.keep("poison", RuntimeError("a secret of the body"))
    behind = await desk.keep("behind", push(before="2" * 40))
    pauses = []

    await desk.drain()
    assert await desk.states() == {before: "superseded", behind: "waiting"}
    while (found := await desk.one(poison)).state is DeliveryState.KEPT:
        assert found.error == "RuntimeError"
        began = desk.clock.now
        while not await desk.inbox.due(desk.clock.now, 10):
            desk.clock.now += 0.5
        pauses.append(desk.clock.now - began)
        await desk.drain()

    assert pauses == [1.0, 2.0, 4.0]
    assert (found.state, found.attempts) == (DeliveryState.FAILED, 4)
    assert found.error == "given up after 4 tries: RuntimeError"


async def test_what_can_not_be_decided_together_is_told_and_decided_one_by_one(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    seqs = [await desk.keep(f"id-{n}", push(before=f"{n}" * 40)) for n in range(3)]
    record = desk.journal.record

    async def few(outcomes: Sequence[Outcome], *, window: float) -> Recorded:
        if len(outcomes) > 1:
            raise OverflowError("too much at once")
        return await record(outcomes, window=window)

    monkeypatch.setattr(desk.journal, "record", few)
    await desk.drain()

    assert {(await desk.one(seq)).state for seq in seqs} == {DeliveryState.DECIDED}
    (told,) = [one for one in caplog.records if "together" in one.message]
    assert (told.levelname, told.__dict__["why"]) == ("WARNING", "OverflowError")


@pytest.mark.parametrize("store", ["record", "start", "drop", "finish"])
async def test_stores_that_are_away_park_nothing_and_lose_nothing(desk: Desk, store: str) -> None:
    seqs = [await desk.keep(f"id-{n}", push(before=f"{n}" * 40)) for n in range(3)]
    port = {"record": desk.journal, "finish": desk.inbox}.get(store, desk.flows)

    async def away(*_args: Any, **_others: Any) -> None:
        raise Unreachable("the store", "disk full")

    setattr(port, store, away)
    for _ in range(PATIENCE.tries + 1):
        with pytest.raises(Unreachable):
            await desk.drain()
    found = [await desk.one(seq) for seq in seqs]
    assert {(one.state, one.attempts) for one in found} == {(DeliveryState.KEPT, 0)}

    delattr(port, store)
    await desk.drain()

    assert await desk.states() == dict(
        zip(seqs, ["superseded", "superseded", "waiting"], strict=True)
    )
    assert desk.flows.ids(DEPLOYMENT_FLOW)[-1] == deployment(seqs[-1]).id


@pytest.mark.slow
async def test_death_at_any_moment_decides_and_starts_everything_once(tmp_path: Path) -> None:
    moment, died = 0, True
    while died:
        moment, died = moment + 1, False
        clock = ManualClock()
        inbox, journal = SqliteInbox(tmp_path / f"{moment}.sqlite"), journal_in_memory(clock)
        await inbox.start()
        backend = FakeBackend(clock, found=[app(), app("app-api")])
        desk = Desk(inbox, journal, clock, backend, Catalog({"dokploy": backend}, journal, clock))
        await desk.catalog.refresh()
        seq = await desk.keep("one", push())
        cancel = await desk.ask("cancel", "app-api")
        try:
            await desk.deliveries(Lifetime(moment)).drain()
        except Death:
            died = True
            await desk.drain()

        assert [found.state for found in await inbox.newest(5)] == [DeliveryState.DECIDED] * 2
        # The cancel is decided together with the push, so what it ends is never started.
        assert desk.flows.ids(DEPLOYMENT_FLOW) == [deployment(seq).id]
        assert desk.flows.ids(CANCEL_FLOW) == [deployment(cancel, "app-api").id]
        found = {one.app_id: str(one.state) for one in await journal.deployments(limit=10)}
        assert found == {"app-api": "cancelled", "app-web": "waiting"}
        await inbox.stop()
        await journal.stop()
    assert moment > 10


@dataclass
class Deadly:
    """A host at one of whose bodies the process dies."""

    host: FakeHost
    body: bytes
    read: list[bytes] = field(default_factory=list)
    name: str = "github"

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        self.read.append(bytes(body))
        if body == self.body:
            raise Death
        return self.host.parse(event, headers, bytes(body))


async def starts(desk: Desk, deadly: Deadly) -> int:
    """How often the process starts until it has decided all that is due."""
    desk.host = deadly  # type: ignore[assignment]  # only its parser is asked
    for number in range(1, 30):
        life = desk.deliveries()
        running = asyncio.create_task(life.run())
        with contextlib.suppress(Death):
            await until(
                lambda: desk.inbox.due(desk.clock.now, 10),
                lambda due: not due or running.done(),  # noqa: B023 - used before the next
            )
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return number
        assert isinstance(running.exception(), Death)
    raise AssertionError("it dies without end")


async def test_a_delivery_that_kills_the_process_is_parked_and_the_others_are_decided(
    desk: Desk,
) -> None:
    before = [await desk.keep(f"before {n}", push(before=f"{n:040x}")) for n in range(3)]
    poison = await desk.keep("poison", push(), body=b"poison")
    behind = await desk.keep("behind", push(before="2" * 40))

    assert await starts(desk, Deadly(desk.host, b"poison")) == MOST_OF_SMALL + 1

    found = await desk.one(poison)
    assert found.state is DeliveryState.FAILED
    assert found.error is not None
    assert found.error.startswith(
        "given up: the bridge was killed 20 times while it read this (6 b"
    )
    for seq in (*before, behind):
        assert (await desk.one(seq)).state is DeliveryState.DECIDED
        assert (await desk.one(seq)).error is None


async def test_a_large_delivery_is_recorded_before_it_is_read_whenever_it_comes(desk: Desk) -> None:
    large = await desk.keep("large", push(), body=b"x" * (APART + 1))
    small = await desk.keep("small", push(before="2" * 40))
    deadly = Deadly(desk.host, b"x" * (APART + 1))
    desk.host = deadly  # type: ignore[assignment]  # only its parser is asked

    with pytest.raises(Death):
        await desk.drain()

    found = await desk.one(large)
    assert (found.attempts, found.error) == (1, "attempt 1 of 3 has begun and has not ended")
    assert (await desk.one(small)).attempts == 0
    assert await starts(desk, deadly) == 3
    assert (await desk.one(large)).state is DeliveryState.FAILED


async def test_what_was_cut_off_once_is_decided_and_nothing_is_left_of_that(desk: Desk) -> None:
    seq = await desk.keep("one", push())
    await desk.inbox.begin({seq: "attempt 7 of 20 has begun and has not ended"})

    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.error) == (DeliveryState.DECIDED, None)


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
