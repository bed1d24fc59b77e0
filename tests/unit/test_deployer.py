"""One deployment from the wish to its real end: asked once, whatever fails in between."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.apps import App
from bridge.core.backoff import Backoff
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deployments import Deployer
from bridge.pipeline.outcome import LOST, FollowTiming
from bridge.ports.backends import BackendDeployment, Progress
from bridge.ports.outcomes import Outcome
from bridge.storage import tables
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import (
    HEAD,
    Death,
    FakeBackend,
    KeptSteps,
    Lifetime,
    ManualClock,
    app,
    deployment,
    journal_in_memory,
)

T = TypeVar("T")

LOOK = Backoff(0.8, 2.0, factor=1.3)
PACE = FollowTiming(look=LOOK, adopt=10.0, settle=1.5, long=600.0, failures=3)
AWAY = Unreachable("dokploy", "ConnectError")
SILENT = Unanswered("dokploy", "ReadTimeout")
NO = Refused("dokploy", "Application not found", status=404)


@dataclass
class Stage:
    """A deployer, and all that it meets."""

    clock: ManualClock
    backend: FakeBackend
    journal: SqlJournal
    app: App = field(default_factory=app)
    ended: list[int] = field(default_factory=list)

    @classmethod
    def make(cls, **backend: Any) -> "Stage":
        clock = ManualClock()
        return cls(clock, FakeBackend(clock, **backend), journal_in_memory(clock))

    def deployer(self, life: Lifetime | None = None) -> Deployer:
        """A new one, as after every start; `life` says when its process dies."""
        life = life or Lifetime()
        backends = {"dokploy": life.mortal(self.backend)}
        return Deployer(
            backends, life.mortal(self.journal), self.clock, PACE,
            changed=lambda: self.ended.append(1), sleep=self.clock.sleep,
        )  # fmt: skip

    async def wish(self, seq: int = 1, **others: Any) -> Deployment:
        """A deployment that waits for its turn."""
        await self.journal.save_apps("dokploy", [self.app])
        new = deployment(seq, **others)
        because = Decision(self.app.id, self.app.label, Reason.NO_WATCH_PATHS, "because")
        outcome = Outcome(seq, f"delivery-{seq}", (because,), (new,))
        await self.journal.record([outcome], window=0)
        return new

    async def run(self, new: Deployment | None = None) -> Deployment:
        """The whole flow; returns how it ended."""
        new = new or await self.wish()
        await self.deployer().run(KeptSteps(), new.id)
        return await self.now(new)

    async def now(self, new: Deployment) -> Deployment:
        found = await self.journal.deployment(new.id)
        assert found is not None
        return found

    async def history(self, new: Deployment) -> list[tuple[str, str]]:
        changes = await self.journal.changes(new.id)
        return [(str(change.state), change.note) for change in changes]

    async def states(self, new: Deployment) -> list[str]:
        return [state for state, _ in await self.history(new)]


@pytest.fixture
async def staged() -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(**backend: Any) -> Stage:
        made.append(Stage.make(**backend))
        return made[-1]

    yield make
    for stage in made:
        await stage.journal.stop()


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    return staged()


# ── the plain way ────────────────────────────────────────────────────────────


async def test_it_is_asked_once_and_followed_to_its_real_end(stage: Stage) -> None:
    ended = await stage.run()

    assert stage.backend.asked == 1
    assert (ended.state, ended.note) == (State.DONE, "commit ccccccc is live")
    assert (ended.deployed_commit, ended.backend_id) == (HEAD, "dep-1")
    assert await stage.states(ended) == ["waiting", "asked", "queued", "running", "done"]
    assert ended.intent_at is not None
    assert ended.asked_at is not None
    assert ended.started_at is not None
    assert ended.finished_at is not None
    assert ended.intent_at <= ended.asked_at < ended.started_at < ended.finished_at
    assert stage.ended == [1]


async def test_the_backend_reads_whence_the_wish_came(stage: Stage) -> None:
    new = await stage.wish()
    await stage.deployer().ask(new.id)

    (job,) = stage.backend.jobs
    assert job.title == f"Deploy main@ccccccc {new.token}"
    assert job.description == f"commit {HEAD}; by push; delivery delivery-1; {new.token}"


async def test_a_redeploy_asks_for_one_and_claims_no_commit(stage: Stage) -> None:
    ended = await stage.run(await stage.wish(action=Action.REDEPLOY, trigger="cli: ada"))

    assert stage.backend.count("redeploy") == 1
    assert stage.backend.count("deploy") == 0
    assert ended.note == "rebuilt what was checked out; nothing was fetched"
    assert ended.deployed_commit is None


async def test_a_quick_build_that_nobody_saw_running_is_done(staged: Callable[..., Stage]) -> None:
    stage = staged(waits=0.0, builds=0.1)

    ended = await stage.run()

    assert (ended.state, ended.deployed_commit) == (State.DONE, HEAD)


async def test_the_commit_that_settles_late_is_waited_for(staged: Callable[..., Stage]) -> None:
    ended = await staged(tells_after=1.2).run()

    assert ended.deployed_commit == HEAD


async def test_a_commit_that_never_comes_is_not_made_up(staged: Callable[..., Stage]) -> None:
    ended = await staged(tells_after=None).run()

    assert (ended.state, ended.deployed_commit) == (State.DONE, None)
    assert ended.note == "the backend does not tell which commit is live"


async def test_another_commit_than_the_pushed_one_is_said(staged: Callable[..., Stage]) -> None:
    ended = await staged(head="d" * 40).run()

    assert (ended.commit, ended.deployed_commit) == (HEAD, "d" * 40)
    assert "commit ddddddd is live, not ccccccc" in ended.note


async def test_a_failed_build_says_the_backends_words(staged: Callable[..., Stage]) -> None:
    ended = await staged(ending=Progress.ERROR, error="npm ci: lock file missing").run()

    assert (ended.state, ended.note) == (State.FAILED, "npm ci: lock file missing")


@pytest.mark.parametrize(
    ("log", "note"),
    [
        ("step 1\nerror: no space left\n\n", "error: no space left"),
        ("error: API_TOKEN=t0ps3cret is refused\n", "error: API_TOKEN=*** is refused"),
        ("", "the build failed; its log is empty: it was cleared, or nothing was written"),
    ],
)
async def test_a_failed_build_without_words_says_what_its_log_says(
    staged: Callable[..., Stage], log: str, note: str
) -> None:
    ended = await staged(ending=Progress.ERROR, log=log).run()

    assert (ended.state, ended.note) == (State.FAILED, note)


async def test_a_failed_build_says_the_line_above_dokploys_closing_sentence(
    staged: Callable[..., Stage],
) -> None:
    log = (
        "Cloning into 'code'...\nfatal: Remote branch gone not found in upstream origin\n"
        "\nError occurred ❌, check the logs for details.\n"
    )

    ended = await staged(ending=Progress.ERROR, log=log).run()

    assert ended.note == "fatal: Remote branch gone not found in upstream origin"
    assert ended.log_tail == f"Cloning into 'code'...\n{ended.note}"


async def test_endless_words_of_a_backend_become_a_note_and_hold_nothing_up(
    staged: Callable[..., Stage],
) -> None:
    words = "npm ci: token=t0ps3cret refused " + "x" * 20_000_000
    for can_read in (True, False):
        stage = staged(ending=Progress.ERROR, error=words)
        if not can_read:
            stage.backend.next("log_tail", NO)
        longest, ended = await longest_hold(stage.run())

        assert ended.note.startswith("npm ci: token=*** refused xxx")
        assert len(ended.note) <= 300
        assert longest < 0.1


async def longest_hold(work: Awaitable[T]) -> tuple[float, T]:
    """The longest time that the loop was held for meanwhile, in seconds, and what came of it."""
    longest, over = 0.0, asyncio.Event()

    async def beat() -> None:
        nonlocal longest
        while not over.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - before)

    beating = asyncio.create_task(beat())
    found = await work
    over.set()
    await beating
    return longest, found


async def test_what_the_backend_cancelled_is_cancelled(staged: Callable[..., Stage]) -> None:
    ended = await staged(ending=Progress.CANCELLED).run()

    assert (ended.state, ended.note) == (State.CANCELLED, "the backend cancelled it")


# ── the backend says no, is away, or does not answer ─────────────────────────


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_a_refusal_fails_with_its_words(stage: Stage, call: str) -> None:
    stage.backend.next(call, NO)

    ended = await stage.run()

    assert (ended.state, ended.note) == (State.FAILED, "refused by dokploy: Application not found")
    assert len(stage.backend.jobs) == 0
    assert ended.finished_at is not None


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_while_the_backend_is_away_it_waits_longer_each_time(stage: Stage, call: str) -> None:
    for _ in range(7):
        stage.backend.next(call, AWAY)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert len(stage.backend.jobs) == 1
    pauses = [pause for pause in stage.clock.slept if pause >= 1.0][:7]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    notes = [note for state, note in await stage.history(ended) if state == "waiting"]
    assert notes[1:] == ["waits for the backend: dokploy can't be reached: ConnectError"]


async def test_it_comes_again_when_the_backend_asks_it_to(stage: Stage) -> None:
    stage.backend.next("deploy", Unreachable("dokploy", "429", retry_after=42.0))

    assert (await stage.run()).state is State.DONE
    assert 42.0 in stage.clock.slept


@pytest.mark.parametrize("call", ["deploy", "deployments"])
async def test_what_waits_for_an_absent_backend_gives_way_to_a_newer_push(
    stage: Stage, call: str
) -> None:
    for _ in range(20):
        stage.backend.next(call, AWAY)
    first = await stage.wish(1)
    stage.clock.after(20, lambda: stage.wish(2))

    ended = await stage.run(first)

    assert ended.state is State.SUPERSEDED
    assert ended.superseded_by == deployment(2).id
    assert stage.backend.jobs == []
    assert (await stage.run(deployment(2))).state is State.DONE
    assert len(stage.backend.jobs) == 1


async def test_what_was_left_by_a_crash_gives_way_too_once_it_is_surely_not_there(
    stage: Stage,
) -> None:
    first = await stage.wish(1)
    await stage.journal.intend(first.id, [])  # and here the process died
    for _ in range(20):
        stage.backend.next("deploy", AWAY)
    stage.clock.after(30, lambda: stage.wish(2))

    assert (await stage.run(first)).state is State.SUPERSEDED
    assert (await stage.run(deployment(2))).state is State.DONE
    assert len(stage.backend.jobs) == 1


async def test_what_may_have_been_asked_never_gives_way(stage: Stage) -> None:
    first = await stage.wish(1)
    stage.backend.next("deploy", SILENT, arrives=True)
    for _ in range(5):
        stage.backend.next("queue", AWAY)
    stage.clock.after(3, lambda: stage.wish(2))

    assert (await stage.run(first)).state is State.DONE
    assert (await stage.now(deployment(2))).state is State.WAITING


@pytest.mark.parametrize("late", [0.0, 4.0])
async def test_an_unanswered_one_that_arrived_is_adopted(
    staged: Callable[..., Stage], late: float
) -> None:
    stage = staged(listed_after=late)
    stage.backend.next("deploy", SILENT, arrives=True)

    ended = await stage.run()

    assert (stage.backend.asked, len(stage.backend.jobs)) == (1, 1)
    assert ended.state is State.DONE
    assert ("asked", "the backend had accepted it already") in await stage.history(ended)
    assert ended.asked_at is not None
    assert ended.finished_at is not None
    assert ended.asked_at <= ended.finished_at, "it was asked for before it could end"


@pytest.mark.parametrize("late", [12.0, 100.0])
async def test_what_is_listed_very_late_is_not_asked_for_again(
    staged: Callable[..., Stage], late: float
) -> None:
    """Nothing was followed before, so nobody has looked at the backend for long."""
    stage = staged(listed_after=late, waits=0.0)
    deploy = stage.backend.deploy

    async def slow(*args: Any, **kwargs: Any) -> None:
        await deploy(*args, **kwargs)
        await stage.clock.sleep(0.05)

    stage.backend.deploy = slow  # type: ignore[method-assign]

    ended = await stage.run()

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


async def test_an_unanswered_one_that_ended_before_it_was_seen_is_not_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """Its title is overwritten by then, so nothing tells that it is ours."""
    stage = staged(listed_after=8.0)
    stage.backend.next("deploy", SILENT, arrives=True)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)
    assert ended.backend_id is None
    assert ended.note == (
        "commit ccccccc is live; the backend does not tell whether this deployment or another one"
        " built it"
    )


async def test_an_unanswered_one_that_is_not_there_is_asked_for_once_more(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (2, State.DONE)
    history = await stage.history(ended)
    assert ("waiting", "for 10 s the backend has shown no sign of it") in history
    assert ("asked", "asked again; the backend accepted it") in history


@pytest.mark.parametrize("arrives", [True, False])
async def test_where_no_queue_is_listed_an_unanswered_one_is_not_asked_for_again(
    staged: Callable[..., Stage], arrives: bool
) -> None:
    """It may wait behind another app's build, where nobody can see it."""
    stage = staged(tells_queue=False, waits=60.0)
    stage.backend.next("deploy", SILENT, arrives=arrives)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (1, State.UNKNOWN)
    assert ended.note == (
        "outcome unknown: maybe asked, and the backend lists no queue; dokploy did not answer as"
        " expected: ReadTimeout"
    )


async def test_twice_unanswered_and_not_there_is_unknown(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)
    stage.backend.next("deploy", SILENT)

    ended = await stage.run()

    assert (stage.backend.asked, ended.state) == (2, State.UNKNOWN)
    assert "asked twice" in ended.note


async def test_unanswered_and_then_away_is_still_asked_for_once_more_only(stage: Stage) -> None:
    stage.backend.next("deploy", SILENT)
    stage.backend.next("deploy", AWAY)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert len(stage.backend.jobs) == 1


@pytest.mark.parametrize("call", ["deployments", "queue"])
async def test_a_refusal_while_looking_for_what_may_be_there_leaves_it_unknown(
    staged: Callable[..., Stage], call: str
) -> None:
    stage = staged(waits=60.0 if call == "queue" else 0.0)
    new = await stage.wish()
    await stage.journal.intend(new.id, [])
    await stage.backend.deploy(stage.app, title=new.token, description="")  # and here it died
    stage.backend.next(call, NO)

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "maybe asked, outcome unknown: dokploy: Application not found"
    assert stage.backend.asked == 1


@pytest.mark.parametrize("others", [{}, {"tells_queue": False, "waits": 60.0}])
async def test_a_journal_that_fails_just_after_the_call_asks_no_second_time(
    staged: Callable[..., Stage], others: dict[str, Any]
) -> None:
    """Also where it waits unseen, behind another app's build."""
    stage = staged(**others)
    new = await stage.wish()
    move, failures = stage.journal.move, [Unreachable("the journal", "disk full")] * 3

    async def failing(*args: Any, **facts: Any) -> Deployment | None:
        if failures:
            raise failures.pop()
        return await move(*args, **facts)

    stage.journal.move = failing  # type: ignore[method-assign]

    assert (await stage.run(new)).state is State.DONE
    assert (stage.backend.asked, len(stage.backend.jobs)) == (1, 1)
    assert ("asked", "the backend accepted it") in await stage.history(new)


async def test_a_journal_that_is_away_is_never_taken_for_the_backend(stage: Stage) -> None:
    new = await stage.wish()
    intend, failures = stage.journal.intend, [Unreachable("the journal", "disk full")] * 3

    async def failing(id_: str, known_before: Sequence[str]) -> Deployment | None:
        if failures:
            raise failures.pop()
        return await intend(id_, known_before)

    stage.journal.intend = failing  # type: ignore[method-assign]

    assert (await stage.run(new)).state is State.DONE
    assert stage.backend.asked == 1
    assert not [note for _, note in await stage.history(new) if "waits for the backend" in note]


async def test_a_backend_that_is_configured_no_more_fails_it_with_words(stage: Stage) -> None:
    new = await stage.wish()
    deployer = Deployer({}, stage.journal, stage.clock, PACE, sleep=stage.clock.sleep)

    await deployer.run(KeptSteps(), new.id)

    ended = await stage.now(new)
    assert ended.state is State.FAILED
    assert "no backend 'dokploy' is configured any more" in ended.note


async def test_a_fault_of_our_own_ends_unknown_and_not_in_a_loop(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    new = await stage.wish()
    stage.backend.deploy = None  # type: ignore[assignment, method-assign]

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "outcome unknown: the bridge failed inside (TypeError)"


# ── superseded and cancelled ─────────────────────────────────────────────────


@pytest.mark.parametrize("state", [State.SUPERSEDED, State.CANCELLED])
async def test_what_is_not_wanted_any_more_is_not_asked_for(stage: Stage, state: State) -> None:
    new = await stage.wish()
    await stage.journal.move(new.id, state)

    assert (await stage.run(new)).state is state
    assert stage.backend.calls == []


async def test_what_is_superseded_between_the_look_and_the_intent_is_not_asked_for(
    stage: Stage,
) -> None:
    first = await stage.wish(1)
    listing = stage.backend.deployments

    async def overtaken(app: App) -> list[BackendDeployment]:
        stage.backend.deployments = listing  # type: ignore[method-assign]
        await stage.wish(2)
        return await listing(app)

    stage.backend.deployments = overtaken  # type: ignore[method-assign]

    assert (await stage.run(first)).state is State.SUPERSEDED
    assert stage.backend.asked == 0


# ── following ────────────────────────────────────────────────────────────────


async def test_what_the_backend_never_shows_is_asked_a_few_times_and_then_unknown(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9)
    began = stage.clock.now

    ended = await stage.run()

    assert ended.state is State.UNKNOWN
    note = "accepted, outcome unknown: the backend has accepted and lost it 3 times"
    assert (ended.note, stage.backend.asked) == (note, 3)
    assert await stage.states(ended) == [*["waiting", "asked"] * 3, "unknown"]
    assert stage.clock.now - began > 3 * PACE.untold  # nothing explains it, so no haste


async def test_where_the_backend_lists_no_queue_what_it_never_shows_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9, tells_queue=False)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.UNKNOWN, 1)


async def test_a_long_wait_in_the_backends_queue_is_not_lost(staged: Callable[..., Stage]) -> None:
    assert (await staged(waits=400.0).run()).state is State.DONE


async def test_a_job_that_a_restart_drops_is_asked_for_again_within_seconds(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    back_at = restarted(stage, at=60)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert await stage.states(ended) == [
        "waiting", "asked", "queued", "queued", "queued",
        "waiting", "asked", "queued", "running", "done",
    ]  # fmt: skip
    again = [change for change in await stage.journal.changes(ended.id) if "again" in change.note]
    assert [change.note for change in again] == [
        "the backend answers again",
        f"{LOST}; it waits here again",
        "asked again; the backend accepted it",
    ]
    assert again[0].at - back_at <= LOOK.longest + 0.1
    assert again[1].at - back_at <= PACE.lost + 2 * LOOK.longest


async def test_what_a_restart_drops_gives_way_to_a_newer_push(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    first = await stage.wish(1)
    restarted(stage, at=60)
    stage.clock.after(62, lambda: stage.wish(2))

    ended = await stage.run(first)

    assert (ended.state, ended.superseded_by) == (State.SUPERSEDED, deployment(2).id)
    assert (await stage.run(deployment(2))).state is State.DONE
    assert stage.backend.asked == 2


async def test_a_queue_that_an_operator_empties_is_obeyed(staged: Callable[..., Stage]) -> None:
    stage = staged(waits=300.0)
    stage.clock.after(60, stage.backend.jobs.clear)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note.startswith("it was taken out of the backend's queue there")


async def test_a_queue_that_is_found_empty_after_our_own_restart_is_asked_again(
    staged: Callable[..., Stage],
) -> None:
    """Nobody has watched meanwhile, so the backend may have been restarted."""
    stage = staged(waits=300.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    await stage.journal.move(new.id, State.QUEUED)
    stage.backend.jobs.clear()
    stage.clock.now += 60

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)


async def test_an_app_that_the_backend_does_not_have_any_more_is_looked_for_at_once(
    stage: Stage,
) -> None:
    stage.backend.next("deployments", NO)
    new = await stage.wish()
    looked_at: list[str] = []
    deployer = Deployer(
        {"dokploy": stage.backend}, stage.journal, stage.clock, PACE,
        troubled=looked_at.append, sleep=stage.clock.sleep,
    )  # fmt: skip

    await deployer.run(KeptSteps(), new.id)

    assert looked_at == ["dokploy"]


def interrupt(stage: Stage) -> None:
    """Have the backend restarted, which interrupts what it builds."""
    job = stage.backend.jobs[-1]
    job.ends_at, job.ending, job.restarted = stage.clock(), Progress.CANCELLED, True


def restarted(stage: Stage, *, at: float, lasts: float = 4.0) -> float:
    """Have the backend restarted, which drops what waits; returns when it is back."""

    def gone() -> None:
        stage.backend.away = True
        stage.backend.jobs.clear()
        stage.backend.waits = 1.0

    stage.clock.after(at, gone)
    stage.clock.after(at + lasts, lambda: setattr(stage.backend, "away", False))
    return stage.clock.now + at + lasts


async def test_a_build_that_a_restart_interrupts_is_asked_for_once_more(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0)

    def restart() -> None:
        interrupt(stage)
        stage.backend.builds = 5.0

    stage.clock.after(30, restart)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert ended.backend_id == stage.backend.jobs[-1].id
    assert any("restarted while it built" in note for _, note in await stage.history(ended))


async def test_a_second_restart_ends_it_cancelled(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=200.0)
    stage.clock.after(30, lambda: interrupt(stage))
    stage.clock.after(90, lambda: interrupt(stage))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 2)
    assert ended.note == "the backend was restarted while it built"


async def test_a_process_that_dies_while_asking_again_does_not_ask_a_third_time(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    restarted(stage, at=60)
    new = await stage.wish()
    deploy, calls = stage.backend.deploy, []

    async def dying(*args: Any, **facts: Any) -> None:
        calls.append(1)
        await deploy(*args, **facts)
        if len(calls) == 2:
            raise Death

    stage.backend.deploy = dying  # type: ignore[method-assign]
    with pytest.raises(Death):
        await stage.run(new)

    ended = await stage.run(new)

    assert (ended.state, len(calls)) == (State.DONE, 2)


async def test_a_process_that_dies_before_it_asks_again_asks_when_it_lives(
    staged: Callable[..., Stage],
) -> None:
    """It is written down that it was lost, and the call was never made."""
    stage = staged(waits=300.0)
    restarted(stage, at=60)
    new = await stage.wish()
    take_back = stage.journal.take_back

    async def dying(*args: Any, **more: Any) -> Any:
        await take_back(*args, **more)
        raise Death

    stage.journal.take_back = dying  # type: ignore[method-assign]
    with pytest.raises(Death):
        await stage.run(new)
    del stage.journal.take_back

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)


async def test_a_job_that_is_lost_before_it_was_seen_is_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """Accepted, and restarted for two seconds: what is said meanwhile is no second ask."""
    stage = staged(waits=300.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    restarted(stage, at=0, lasts=2.0)

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert any("watched as soon as that ends" in note for _, note in await stage.history(ended))


async def test_what_was_cancelled_is_not_asked_for_again_after_a_restart(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0, cancels=False)
    new = await stage.wish()
    stage.clock.after(10, lambda: stage.journal.cancel(new.app_id, new.seq + 1))
    stage.clock.after(30, lambda: interrupt(stage))

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note == "the backend was restarted while it built; it had been cancelled"


@pytest.mark.parametrize("away", [False, True])
async def test_what_is_cancelled_just_after_the_intent_is_not_asked(
    stage: Stage, away: bool
) -> None:
    """Also where its backend has gone by then, so that the cancel's own flow can do nothing."""
    new = await stage.wish()
    intend = stage.journal.intend

    async def overtaken(id_: str, known_before: Sequence[str]) -> Deployment | None:
        intended = await intend(id_, known_before)
        await stage.journal.cancel(new.app_id, new.seq + 1)
        stage.backend.away = away
        return intended

    stage.journal.intend = overtaken  # type: ignore[method-assign]

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 0)
    assert ended.note == "cancelled before the backend was asked"


async def test_what_was_cancelled_while_it_may_have_been_asked_is_not_asked(
    stage: Stage,
) -> None:
    new = await stage.wish()
    await stage.journal.intend(new.id, [])  # and here the process died
    await stage.journal.cancel(new.app_id, new.seq + 1)

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 0)


async def test_a_build_that_ended_before_its_cancel_took_effect_says_so(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=30.0, cancels=False)
    new = await stage.wish()
    stage.clock.after(10, lambda: stage.journal.cancel(new.app_id, new.seq + 1))

    ended = await stage.run(new)

    assert ended.state is State.DONE
    assert ended.note == "commit ccccccc is live; the cancel came too late"


# ── records that nobody closes ───────────────────────────────────────────────

UNRECORDED = """image built
Failed query: update "deployment" set "status" = $1, "finishedAt" = $2
params: done,2026-11-26T20:10:00.000Z,dep-1

Error occurred ❌, check the logs for details.
"""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("\n", "its log is empty, as after it was cleared during the build"),
        (UNRECORDED, "its log says that the build succeeded, and that this could not be recorded"),
        (
            "fatal: no\nError occurred ❌, check the logs for details.",
            "its log says that the build failed: fatal: no",
        ),
        ("#12 RUN make", "its log stops before the end"),
    ],
)
async def test_a_record_that_stays_open_without_a_job_ends_unknown_within_a_minute(
    staged: Callable[..., Stage], log: str, words: str
) -> None:
    stage = staged(builds=20.0, log=log)
    stage.clock.after(10, lambda: setattr(stage.backend.jobs[0], "unclosed", True))
    began = stage.clock.now

    ended = await stage.run()

    assert (ended.state, ended.backend_id, stage.backend.asked) == (State.UNKNOWN, "dep-1", 1)
    assert ended.note.startswith("outcome unknown: the backend says that it builds, but has had no")
    assert ended.note.endswith(words)
    assert stage.clock.now - began < 20 + 60


async def test_a_record_that_stays_open_while_the_queue_is_not_told_is_followed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=300.0, tells_queue=False)

    assert (await stage.run()).state is State.DONE


async def test_a_record_that_has_gone_may_have_been_built_so_it_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=200.0)
    stage.clock.after(30, stage.backend.jobs.clear)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.UNKNOWN, 1)


# ── other people's deployments ───────────────────────────────────────────────


async def test_a_build_that_began_before_we_asked_is_never_ours(
    staged: Callable[..., Stage],
) -> None:
    """A proxy has kept its record from the list that was read before we asked."""
    stage = staged(waits=20.0)
    theirs = stage.backend.foreign(stage.app)
    listing, calls = stage.backend.deployments, []

    async def late(app: App) -> list[BackendDeployment]:
        calls.append(1)
        found = await listing(app)
        return [one for one in found if one.id != theirs.id] if len(calls) == 1 else found

    stage.backend.deployments = late  # type: ignore[method-assign]
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.backend.jobs[1].asked_at += 3  # and ours is listed late

    ended = await stage.run(new)

    assert ended.backend_id == stage.backend.jobs[1].id
    assert ended.asked_at is not None
    assert ended.finished_at is not None
    assert ended.finished_at >= ended.asked_at


async def test_a_build_that_was_asked_for_by_a_clock_that_was_ahead_is_not_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """The process that asked has died, and the machine's clock was set back before the next."""
    stage = staged(waits=0.0, builds=0.1)
    new = await stage.wish()
    stage.clock.now += 3600
    await stage.deployer().ask(new.id)
    stage.clock.now -= 3600
    stage.backend.jobs[0].asked_at -= 3600
    stage.backend.jobs[0].begins_at -= 3600
    stage.backend.jobs[0].ends_at -= 3600
    stage.clock.now += 5

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


@pytest.mark.parametrize("question", ["queue", "deployments"])
async def test_answers_that_were_read_long_after_they_came_are_no_evidence_of_a_loss(
    staged: Callable[..., Stage], question: str
) -> None:
    """The process was stopped while its question was on its way: it is built meanwhile."""
    stage = staged(waits=0.0, builds=0.1, listed_after=5.0)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.clock.now += 0.5  # it has left the queue, and is not listed yet
    _stop_while(stage, question, seconds=60.0)

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


async def test_one_look_that_took_a_minute_does_not_tell_that_an_ask_never_arrived(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=1.0, listed_after=0.5)
    new = await stage.wish()
    stage.backend.next("deploy", SILENT, arrives=True)
    _stop_while(stage, "deployments", seconds=60.0, call=2)  # the first came before the intent

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.deployed_commit) == (1, State.DONE, HEAD)


def _stop_while(stage: Stage, question: str, *, seconds: float, call: int = 1) -> None:
    """Stop the process between the backend's answer to that call and reading it."""
    ask, calls = getattr(stage.backend, question), []

    async def stopped(*about: Any) -> Any:
        found = await ask(*about)
        calls.append(1)
        if len(calls) == call:
            stage.clock.now += seconds
        return found

    setattr(stage.backend, question, stopped)


async def test_a_record_that_another_deployment_is_known_by_is_not_taken(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=0.1)
    first = await stage.run(await stage.wish(1))
    second = await stage.wish(2)
    await stage.journal.intend(second.id, [])  # by a list that was late
    stage.backend.jobs[0].begins_at += 5
    stage.backend.jobs[0].ends_at += 5
    stage.clock.now += 10

    ended = await stage.run(second)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert ended.backend_id not in (None, first.backend_id)


async def test_a_persons_deployment_is_not_taken_for_ours_that_never_arrived(
    stage: Stage,
) -> None:
    stage.backend.next("deploy", SILENT)

    def by_hand() -> None:
        stage.backend.foreign(stage.app, head="e" * 40)

    stage.clock.after(3, by_hand)

    ended = await stage.run()

    assert (ended.state, ended.backend_id, ended.deployed_commit) == (State.DONE, None, "e" * 40)
    assert ended.note == (
        "commit eeeeeee is live; the backend does not tell whether this deployment or another one"
        " built it"
    )


async def test_a_persons_deployment_of_our_commit_is_not_taken_for_ours_that_a_restart_lost(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0)
    restarted(stage, at=30)

    def by_hand() -> None:
        stage.backend.foreign(stage.app)

    stage.clock.after(36, by_hand)

    ended = await stage.run()

    assert (ended.state, ended.backend_id, ended.deployed_commit) == (State.DONE, None, HEAD)
    assert ended.note == (
        "commit ccccccc is live; the backend does not tell whether this deployment or another one"
        " built it"
    )


async def test_a_failed_build_of_our_commit_is_a_failure_whosever_it_was(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0, log="fatal: no space left\n")
    restarted(stage, at=30)

    def by_hand() -> None:
        theirs = stage.backend.foreign(stage.app)
        theirs.ending, theirs.told_when_failed = Progress.ERROR, True

    stage.clock.after(36, by_hand)

    ended = await stage.run()

    assert (ended.state, ended.backend_id) == (State.FAILED, None)
    assert ended.note == (
        "fatal: no space left (the backend does not tell whether this deployment or another one"
        " built it)"
    )


async def test_where_several_may_be_ours_only_what_holds_for_each_is_claimed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=0.1, head="d" * 40)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.clock.now += 5
    stage.backend.foreign(stage.app, head="e" * 40)
    stage.clock.now += 5

    ended = await stage.run(new)

    assert (ended.state, ended.backend_id, ended.deployed_commit) == (State.DONE, None, None)
    assert ended.note == (
        "commit eeeeeee is live; the backend does not tell which of 2 deployments is this one"
    )


async def test_where_one_of_several_has_failed_the_outcome_is_unknown(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=0.1, head="d" * 40)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.clock.now += 5
    theirs = stage.backend.foreign(stage.app)
    theirs.ending, theirs.told_when_failed = Progress.ERROR, True
    stage.clock.now += 5

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert "does not tell which of 2 deployments is this one" in ended.note


async def test_a_build_that_takes_very_long_is_said_once(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=PACE.long + 100)

    ended = await stage.run()

    notes = [note for _, note in await stage.history(ended)]
    assert ended.state is State.DONE
    assert notes.count("has been building for more than 10 minutes") == 1


async def test_a_backend_that_is_away_while_it_builds_loses_nothing(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=30.0)
    stage.clock.after(5, lambda: setattr(stage.backend, "away", True))
    stage.clock.after(900, lambda: setattr(stage.backend, "away", False))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 1)
    assert any("watched as soon as that ends" in note for _, note in await stage.history(ended))


async def test_a_refusal_while_following_is_accepted_outcome_unknown(stage: Stage) -> None:
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.backend.next("deployments", NO)

    ended = await stage.run(new)

    assert ended.state is State.UNKNOWN
    assert ended.note == "accepted, outcome unknown: dokploy: Application not found"


async def test_while_its_job_is_active_its_records_are_hardly_read(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=100.0)

    ended = await stage.run()

    assert ended.state is State.DONE
    # Before it was asked, when it began, every half minute, and at its end until its commit came.
    assert stage.backend.count("deployments") <= 1 + 1 + 3 + 3


async def test_looks_grow_rarer_while_nothing_changes(staged: Callable[..., Stage]) -> None:
    stage = staged(builds=200.0)

    await stage.run()

    assert stage.backend.count("deployments") < 110
    assert max(stage.clock.slept) == LOOK.longest


async def test_a_foreign_build_that_ends_while_ours_waits_is_not_taken_for_ours(
    stage: Stage,
) -> None:
    """Somebody pressed the backend's own button just before us; both are of the same app."""
    theirs = stage.backend.foreign(stage.app, title="by hand")
    theirs.begins_at, theirs.ends_at = stage.clock.now + 1, stage.clock.now + 6

    def held_back() -> None:  # another app builds in between
        stage.backend.jobs[1].begins_at += 20
        stage.backend.jobs[1].ends_at += 20

    stage.clock.after(3, held_back)

    ended = await stage.run()

    assert ended.backend_id == "dep-2"
    assert await stage.states(ended) == ["waiting", "asked", "queued", "running", "done"]


async def test_a_queue_that_was_read_before_we_asked_proves_nothing(
    staged: Callable[..., Stage],
) -> None:
    """Others that are followed share it; a foreign build may begin and end meanwhile."""
    stage = staged(waits=20.0)
    theirs = stage.backend.foreign(stage.app, title="by hand")
    theirs.begins_at, theirs.ends_at = stage.clock.now + 0.05, stage.clock.now + 0.1
    new = await stage.wish()
    deployer = stage.deployer()
    await deployer.pollers.of(stage.app).tells_queue()
    await deployer.ask(new.id)
    stage.clock.now += 0.15

    await deployer.follow(new.id)

    ended = await stage.now(new)
    assert (ended.state, ended.backend_id) == (State.DONE, "dep-2")


async def test_what_is_cancelled_while_it_waits_to_be_asked_again_is_not_asked_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(listed_after=1e9)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    for _ in range(5):
        stage.backend.next("deploy", AWAY)
    stage.clock.after(PACE.lost + 5, lambda: stage.journal.move(new.id, State.CANCELLED))

    ended = await stage.run(new)

    assert ended.state is State.CANCELLED
    assert len(stage.backend.jobs) == 1


async def test_a_backend_too_old_to_list_its_queue_is_followed_by_its_records(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(tells_queue=False)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 1)
    assert await stage.states(ended) == ["waiting", "asked", "running", "done"]


async def test_one_that_waits_again_by_the_journal_is_asked_for_again_without_a_restart(
    staged: Callable[..., Stage],
) -> None:
    """As after a failover to a replica that lagged: what was written down meanwhile is lost."""
    stage = staged(waits=60)
    new = await stage.wish()
    t = tables.deployments

    def lag(db: sa.Connection) -> None:
        lost = {"state": State.WAITING, "intent_at": None, "asked_at": None, "known_before": "[]"}
        db.execute(sa.update(t).where(t.c.id == new.id).values(lost))
        stage.backend.jobs.clear()

    stage.clock.after(30, lambda: stage.journal._write(lag))

    ended = await stage.run(new)

    assert ended.state is State.DONE
    assert stage.backend.asked == 2


# ── death and restart ────────────────────────────────────────────────────────


@pytest.mark.parametrize("down", [0.0, 2.0, 60.0])
async def test_a_crash_after_the_call_and_before_the_record_adopts(
    stage: Stage, down: float
) -> None:
    """After two seconds it builds; after sixty it has ended, and its title was overwritten."""
    stage.backend.foreign(stage.app)
    new = await stage.wish()
    life = Lifetime()
    deployer = stage.deployer(life)
    stage.backend.next("deploy", SILENT, arrives=True)
    stage.journal.say = _dying  # type: ignore[method-assign]
    with pytest.raises(Death):
        await deployer.run(KeptSteps(), new.id)
    del stage.journal.say
    stage.clock.now += down

    ended = await stage.run(new)

    assert stage.backend.asked == 1
    assert (ended.state, ended.backend_id) == (State.DONE, "dep-2")


async def test_an_ask_that_the_journal_has_forgotten_is_found_by_its_token(stage: Stage) -> None:
    """A copy of the journal from before the ask was restored while it builds."""
    new = await stage.wish()
    await stage.backend.deploy(stage.app, title=new.token, description="")
    stage.clock.now += 2

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.backend_id) == (1, State.DONE, "dep-1")


async def _dying(*_args: Any, **_others: Any) -> None:
    raise Death


SCENARIOS: dict[str, dict[str, Any]] = {
    "plain": {},
    "listed late": {"listed_after": 6.0},
    "over at once": {"waits": 0.0, "builds": 0.1},
    "fails": {"ending": Progress.ERROR, "error": "no"},
    "too old to list its queue": {"tells_queue": False},
    "does not answer": {},
}


WHOLE = {"plain", "listed late"}
"""Scenarios in which it dies at every moment, not at every other one."""


def scene(name: str) -> Stage:
    stage = Stage.make(**{"waits": 0.5, "builds": 1.0} | SCENARIOS[name])
    if name == "does not answer":
        stage.backend.next("deploy", SILENT, arrives=True)
    return stage


async def lives(stage: Stage, deaths: list[int], down: float = 3.0) -> Deployment:
    """The flow through several lives, each of which ends at its moment; the last one does not."""
    new, steps = await stage.wish(), KeptSteps()
    for moment in deaths:
        try:
            await stage.deployer(Lifetime(moment)).run(steps, new.id)
        except Death:
            stage.clock.now += down
    await stage.deployer().run(steps, new.id)
    return await stage.now(new)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
async def test_death_at_any_moment_never_asks_twice(name: str) -> None:
    whole = scene(name)
    life = Lifetime()
    new = await whole.wish()
    await whole.deployer(life).run(KeptSteps(), new.id)
    expected = await whole.now(new)
    await whole.journal.stop()
    assert life.moments > 15

    for moment in range(1, life.moments + 1, 1 if name in WHOLE else 2):
        stage = scene(name)
        ended = await lives(stage, [moment])
        await stage.journal.stop()

        assert stage.backend.asked == 1, moment
        assert (ended.state, ended.deployed_commit) == (expected.state, expected.deployed_commit)


@pytest.mark.slow
@given(
    deaths=st.lists(st.integers(1, 24), min_size=2, max_size=6),
    down=st.sampled_from([0.0, 1.0, 30.0]),
    name=st.sampled_from(sorted(SCENARIOS)),
)
@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_death_again_and_again_never_asks_twice(
    deaths: list[int], down: float, name: str
) -> None:
    stage = scene(name)
    ended = await lives(stage, deaths, down)
    await stage.journal.stop()

    assert stage.backend.asked == 1
    assert ended.state in (State.DONE, State.FAILED)
