"""From a kept delivery to decisions and deployments: nothing lost, nothing twice, nothing stuck."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.backoff import Backoff
from bridge.core.decision import Decision, Reason
from bridge.core.errors import MalformedPayload, Unreachable
from bridge.core.events import (
    COMMAND_HOST,
    Action,
    Asked,
    Event,
    Ignored,
    PullRequestOpened,
    RefKind,
    Repository,
    write_command,
)
from bridge.core.lifecycle import State
from bridge.pipeline.catalog import SELDOM, TROUBLE_PAUSE, Catalog
from bridge.pipeline.decide import CANCEL_FLOW, CANCEL_ONE_FLOW, DEPLOYMENT_FLOW
from bridge.pipeline.deliveries import DecisionTiming, Deliveries
from bridge.pipeline.meaning import MOST_OF_SMALL
from bridge.ports.feedback import LatePlanner, Occasion, Planner
from bridge.ports.githosts import APART, Body
from bridge.ports.inbox import Delivery, DeliveryState, NewDelivery
from bridge.ports.outcomes import Outcome, Recorded, Subscription, about_delivery, about_deployment
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import (
    Death,
    FakeBackend,
    FakeFlows,
    FakeHost,
    Lifetime,
    ManualClock,
    app,
    delivery,
    deployment,
    journal_in_memory,
    push,
    source,
)
from tests.unit.embedded.support import until

PATIENCE = DecisionTiming(batch=16, poll=60.0, tries=4, retry=Backoff(1.0, 600.0))
ELSEWHERE = push(repository=Repository("github", "1", "my-org/other"))


@dataclass
class Desk:
    """Deliveries and all that they meet."""

    inbox: SqliteInbox
    journal: SqlJournal
    clock: ManualClock
    backend: FakeBackend
    catalog: Catalog
    flows: FakeFlows = field(default_factory=FakeFlows)
    host: FakeHost = field(default_factory=FakeHost)
    plan: Planner = lambda _: ()
    late: LatePlanner = lambda _opened, _decided: ()

    def deliveries(self, life: Lifetime | None = None) -> Deliveries:
        """A new one, as after every start."""
        life = life or Lifetime()
        return Deliveries(
            life.mortal(self.inbox), life.mortal(self.journal), life.mortal(self.flows),
            self.catalog, {"github": self.host}, self.clock, PATIENCE,
            plan=self.plan, late=[self.late],
        )  # fmt: skip

    async def drain(self) -> None:
        await self.deliveries().drain()

    async def keep(self, id_: str, meaning: Event | Exception, **others: Any) -> int:
        body = others.pop("body", id_.encode())
        self.host.meanings[body] = meaning
        new = delivery(id_, body=body, received_at=self.clock.now, **others)
        return (await self.inbox.keep(new)).seq

    async def ask(self, action: str, target: str, *, body: bytes | None = None) -> int:
        """A person's command."""
        body = write_command(Asked(Action.DEPLOY, target, "cli: ada")) if body is None else body
        id_ = f"cli-{action}-{target}"
        new = NewDelivery(COMMAND_HOST, id_, action, {}, body, self.clock.now)
        return (await self.inbox.keep(new)).seq

    async def one(self, seq: int) -> Delivery:
        found = await self.inbox.get(seq)
        assert found is not None
        return found

    async def reasons(self, seq: int) -> dict[str, str]:
        return {one.app_id: str(one.reason) for one in await self.decided(seq)}

    async def decided(self, seq: int) -> Sequence[Decision]:
        return (await self.journal.decisions([seq]))[seq]

    async def states(self) -> dict[int, str]:
        return {one.seq: str(one.state) for one in await self.journal.deployments(limit=100)}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inbox's file without deliveries: to make one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "inbox.sqlite"

    async def made() -> None:
        inbox = SqliteInbox(file)
        await inbox.start()
        await inbox.stop()

    asyncio.run(made())
    return file


@pytest.fixture
async def desk(tmp_path: Path, empty: Path) -> AsyncIterator[Desk]:
    clock = ManualClock()
    shutil.copy(empty, tmp_path)
    inbox, journal = SqliteInbox(tmp_path / "inbox.sqlite"), journal_in_memory(clock)
    await inbox.start()
    backend = FakeBackend(clock, found=[app()])
    catalog = Catalog({"dokploy": backend}, journal, clock, eager=3.0)
    await catalog.refresh()
    clock.now += 10
    yield Desk(inbox, journal, clock, backend, catalog)
    await inbox.stop()
    await journal.stop()


# ── several processes ────────────────────────────────────────────────────────


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


# ── what a delivery leads to ─────────────────────────────────────────────────


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


async def test_every_app_of_the_repository_is_decided_on_its_own(desk: Desk) -> None:
    desk.backend.found = [app(), app("app-docs", watch_paths=("docs/**",)), app("app-z")]
    await desk.catalog.refresh()
    seq = await desk.keep("one", push())

    await desk.drain()

    assert await desk.reasons(seq) == {
        "app-web": "no_watch_paths", "app-docs": "no_path_hit", "app-z": "no_watch_paths",
    }  # fmt: skip
    assert [key for _, _, key in desk.flows.started] == ["app-web", "app-z"]


@pytest.mark.parametrize(
    ("meaning", "state", "error"),
    [
        (Ignored("event ping: hello"), DeliveryState.IGNORED, "event ping: hello"),
        (MalformedPayload("ref: missing"), DeliveryState.FAILED, "ref: missing"),
        (ELSEWHERE, DeliveryState.IGNORED, "no app deploys from my-org/other on github"),
    ],
)
async def test_what_deploys_nothing_ends_with_its_reason(
    desk: Desk, meaning: Any, state: DeliveryState, error: str
) -> None:
    seq = await desk.keep("one", meaning)
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.error) == (state, error)
    assert await desk.journal.deployments(limit=10) == []


async def test_a_delivery_of_a_host_that_is_served_no_more_says_what_to_do(desk: Desk) -> None:
    seq = await desk.keep("one", push(), host="gitlab")
    await desk.drain()

    found = await desk.one(seq)
    assert found.state is DeliveryState.FAILED
    assert found.error == "gitlab is not served any more: set its secret, then replay"


async def test_the_oldest_comes_first_and_of_one_app_only_the_newest_deploys(desk: Desk) -> None:
    seqs = [await desk.keep(f"id-{n}", push(before=f"{n}" * 40)) for n in range(20)]

    await desk.drain()

    states = await desk.states()
    assert states == dict.fromkeys(seqs[:-1], "superseded") | {seqs[-1]: "waiting"}
    assert desk.flows.ids(DEPLOYMENT_FLOW)[-1] == deployment(seqs[-1]).id


# ── faults ───────────────────────────────────────────────────────────────────


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


# ── deliveries that kill the process ─────────────────────────────────────────


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


async def test_a_replay_of_what_kills_the_process_is_parked_as_well(desk: Desk) -> None:
    poison = await desk.keep("poison", push(), body=b"poison")
    assert await starts(desk, Deadly(desk.host, b"poison")) == 21
    again = await desk.ask(
        "replay", str(poison), body=write_command(Asked(Action.REPLAY, str(poison), "cli: ada"))
    )

    assert await starts(desk, desk.host) == 21  # type: ignore[arg-type]

    assert (await desk.one(again)).state is DeliveryState.FAILED
    assert "killed 20 times" in str((await desk.one(again)).error)


async def test_what_was_cut_off_once_is_decided_and_nothing_is_left_of_that(desk: Desk) -> None:
    seq = await desk.keep("one", push())
    await desk.inbox.begin({seq: "attempt 7 of 20 has begun and has not ended"})

    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.error) == (DeliveryState.DECIDED, None)


async def test_the_log_says_of_each_push_what_it_leads_to(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bridge.pipeline")
    await desk.keep("deploys", push())
    await desk.keep("elsewhere", ELSEWHERE)
    await desk.keep("a-branch", push("other"))
    await desk.keep("noise", Ignored("event star is not used"))
    await desk.keep("broken", MalformedPayload("no repository"))

    await desk.drain()

    told = {
        (record.message, getattr(record, "why", None) or getattr(record, "reasons", None))
        for record in caplog.records
    }
    assert told == {
        ("decided", None),
        ("ignored", "no app deploys from my-org/other on github"),
        ("nothing deploys", "branch_mismatch"),
        ("a delivery can't be read", "no repository"),
    }


async def test_a_poison_one_that_recovers_is_decided(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    seq = await desk.keep("one", RuntimeError("not yet"))
    await desk.drain()
    desk.host.meanings[b"one"] = push()
    desk.clock.now += 1

    await desk.drain()

    assert await desk.reasons(seq) == {"app-web": "no_watch_paths"}
    assert (await desk.one(seq)).error is None


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


# ── an app that is not known yet ─────────────────────────────────────────────


async def test_an_app_made_just_before_its_first_push_deploys(desk: Desk) -> None:
    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    seq = await desk.keep("one", ELSEWHERE)

    await desk.drain()

    assert await desk.reasons(seq) == {"app-new": "no_watch_paths"}


async def test_a_push_of_an_unknown_repository_waits_for_a_newer_reading(desk: Desk) -> None:
    await desk.catalog.refresh()
    seq = await desk.keep("one", ELSEWHERE)
    await desk.drain()
    assert (await desk.one(seq)).state is DeliveryState.KEPT
    assert await desk.inbox.due(desk.clock.now, 10) == []

    desk.clock.now += 3.0
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.attempts) == (DeliveryState.IGNORED, 0)


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


# ── what people ask for ──────────────────────────────────────────────────────


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
    asked = Asked(Action.CANCEL, "app-web", "slack: Ada", person="U0ADA", deployment=one.id)
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


# ── as long as the process lives ─────────────────────────────────────────────


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
    await desk.journal.intend(may_run, [])
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
async def test_stores_that_are_away_for_a_while_do_not_end_it(
    desk: Desk, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.unit.test_deliveries.PATIENCE", replace(PATIENCE, retry=Backoff(0.01, 600.0))
    )
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
    monkeypatch.setattr("tests.unit.test_deliveries.PATIENCE", replace(PATIENCE, resume=0.01))
    due, asked, looks = desk.inbox.due, 0, asyncio.Semaphore(0)
    going = desk.journal.open_deployments

    async def never_nothing(now: float, limit: int) -> list[Delivery]:
        nonlocal asked
        asked += 1
        await desk.keep(f"noise {asked}", Ignored("nothing of ours"))
        return await due(now, limit)

    async def watched() -> list[Any]:
        looks.release()
        return await going()

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


# ── where it is shown ────────────────────────────────────────────────────────


def cards(occasion: Occasion) -> list[Subscription]:
    """One for the delivery, and one for each of its deployments."""
    outcome = occasion.outcome
    push = Subscription(f"push {outcome.seq}", "push", "G", (about_delivery(outcome.seq),), {})
    return [push] + [
        Subscription(f"card {one.id}", "card", "C", (about_deployment(one.id),), {"app": one.app})
        for one in outcome.deployments
    ]


async def shown_at(desk: Desk) -> list[str]:
    return sorted(one.subscription.id for one in await desk.journal.feedback(limit=100))


async def test_what_is_decided_is_recorded_with_where_it_will_be_shown(desk: Desk) -> None:
    occasions: list[Occasion] = []

    def plan(occasion: Occasion) -> list[Subscription]:
        occasions.append(occasion)
        return cards(occasion)

    desk.plan = plan
    pushed = await desk.keep("one", push())
    asked = await desk.ask("deploy", "app-web")
    replayed = await desk.ask(
        "replay", "one", body=write_command(Asked(Action.REPLAY, str(pushed), "cli: ada"))
    )
    await desk.keep("elsewhere", ELSEWHERE)
    await desk.keep("ignored", Ignored("nothing"))
    await desk.drain()

    assert [one.outcome.seq for one in occasions] == [pushed, asked, replayed]
    assert [str(one.asked and one.asked.action) for one in occasions] == [
        "None", "deploy", "replay",
    ]  # fmt: skip
    assert [set(one.apps) for one in occasions] == [{"app-web"}] * 3
    seqs = (pushed, asked, replayed)
    assert await shown_at(desk) == sorted(
        [f"push {seq}" for seq in seqs] + [f"card {seq:016d}.app-web" for seq in seqs]
    )


async def test_a_second_hook_for_the_same_push_is_shown_nowhere_again(desk: Desk) -> None:
    desk.plan = cards
    first = await desk.keep("one", push())
    await desk.keep("two", push())
    await desk.drain()

    assert await shown_at(desk) == [f"card {first:016d}.app-web", f"push {first}"]


async def test_a_webhook_that_is_caught_and_sent_again_under_another_id_deploys_nothing(
    desk: Desk,
) -> None:
    caught = push(moment="1795600000")
    await desk.keep("one", caught)
    await desk.drain()
    desk.clock.now += 86_400
    again = await desk.keep("two", caught)
    await desk.drain()

    (found,) = (await desk.journal.decisions([again]))[again]
    assert (found.reason, found.evidence) == (
        Reason.DUPLICATE_PUSH,
        "delivery one brought the same push and has been decided",
    )
    assert len(await desk.journal.deployments(limit=10)) == 1


async def test_a_tag_that_is_deleted_and_pushed_anew_deploys_anew(desk: Desk) -> None:
    await desk.journal.save_rules("app-web", Rules(trigger=Trigger.TAG), by="cli: ada")
    await desk.catalog.refresh()
    zero = "0" * 40
    made = push("v1", kind=RefKind.TAG, before=zero, created=True, moment="1795600000")
    gone = push("v1", kind=RefKind.TAG, before=made.after, after=zero, deleted=True, commit=None)
    for id_, event in {"made": made, "gone": gone, "made again": made}.items():
        await desk.keep(id_, event)
        await desk.drain()
        desk.clock.now += 86_400

    assert len(await desk.journal.deployments(limit=10)) == 2


# ── pull requests that are opened later ──────────────────────────────────────

COMMENT = Subscription(
    "github.comment 4711 12", "github.comment", "github", (about_delivery(1),), {}
)


@pytest.mark.parametrize(
    ("repository", "pushed", "shown", "why"),
    [
        (push().repository, True, True, "it gets the comment of what was pushed"),
        (push().repository, True, False, "there is nothing to show on it"),
        (push().repository, False, True, "there is nothing to show on it"),
        (ELSEWHERE.repository, False, True, "no known app deploys from my-org/other on github"),
    ],
    ids=["shown", "comments are off", "nothing pushed", "no app"],
)
async def test_a_pull_request_is_told_a_comment_only_where_it_gets_one(
    desk: Desk,
    repository: Repository,
    pushed: bool,
    shown: bool,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "bridge.pipeline.deliveries")
    desk.late = lambda _opened, decided: [COMMENT] if shown and decided else []
    if pushed:
        await desk.keep("a push", push())
        await desk.drain()
    seq = await desk.keep("opened", PullRequestOpened(repository, 12, "main", push().after))

    await desk.drain()

    one = await desk.one(seq)
    assert (one.state, one.error) == (DeliveryState.IGNORED, f"pull request 12 was opened: {why}")
    assert caplog.records[-1].__dict__["why"] == one.error
    wanted = [found.subscription.id for found in await desk.journal.feedback(limit=9)]
    assert wanted == ([COMMENT.id] if pushed and shown else [])
