"""Other people's deployments are not taken for ours, whatever clocks and late answers say."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.deployments import Deployer
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import HEAD, NO_GATES, Job, KeptSteps
from tests.worlds.deployer import PACE, Stage, restarted


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


async def asked_by_another_clock(stage: Stage, new: Deployment) -> Job:
    """Request a deployment from a process whose clock is 5 s ahead of all others."""
    stage.clock.now += 5
    await stage.deployer().ask(new.id)
    job = stage.backend.jobs[0]
    stage.clock.now -= 5
    for moment in ("asked_at", "begins_at", "ends_at"):
        setattr(job, moment, getattr(job, moment) - 5)
    return job


@pytest.mark.parametrize("seen_waiting", [False, True])
async def test_ours_is_found_though_the_process_that_asked_for_it_had_another_clock(
    staged: Callable[..., Stage], seen_waiting: bool
) -> None:
    """Follow a build that began before its request, by the clock of the process that follows."""
    stage = staged(waits=2.0 if seen_waiting else 0.0, builds=0.1)
    new = await stage.wish()
    job = await asked_by_another_clock(stage, new)
    if not seen_waiting:
        stage.clock.now += 6  # so the request seems to be past

    ended = await stage.run(new)

    assert (ended.state, ended.deployed_commit, stage.backend.asked) == (State.DONE, HEAD, 1)
    assert ended.backend_id == (job.id if seen_waiting else None)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_persons_is_not_taken_for_ours_that_began_before_by_another_clock(
    staged: Callable[..., Stage], fails: bool
) -> None:
    """Ours ended well; somebody deployed the same commit; then another process took over."""
    stage = staged(waits=0.0, builds=0.1)
    new = await stage.wish()
    await asked_by_another_clock(stage, new)
    stage.clock.now += 8
    theirs = stage.backend.foreign(stage.app)
    if fails:
        theirs.ending, theirs.told_when_failed = Progress.ERROR, True

    ended = await stage.run(new)

    assert (ended.state, ended.backend_id) == (State.UNKNOWN if fails else State.DONE, None)
    assert "the backend does not say which of 2 deployments is this one" in ended.note


@pytest.mark.parametrize("later", [5.0, 8.0])
async def test_a_persons_deployment_is_not_taken_for_ours_that_somebody_removed(
    staged: Callable[..., Stage], later: float
) -> None:
    """They emptied the queue, and deployed the same commit before we were sure of that."""
    stage = staged(waits=300.0)

    def by_hand() -> None:
        stage.backend.foreign(stage.app)

    stage.clock.after(30, lambda: stage.backend.drop_waiting(stage.app))
    stage.clock.after(30 + later, by_hand)

    ended = await stage.run()

    assert (ended.state, ended.backend_id, ended.deployed_commit) == (State.DONE, None, HEAD)
    assert ended.note.startswith("commit ccccccc is live; the backend does not say whether")


async def test_a_look_is_judged_by_its_own_reading_of_the_queue(
    staged: Callable[..., Stage],
) -> None:
    """Another one read the queue anew, while the answer with the records was under way."""
    stage = staged(waits=0.0, builds=0.1, listed_after=1.4)
    new, deployer = await stage.wish(), stage.deployer()
    deploy, listing = stage.backend.deploy, stage.backend.deployments
    poller, pauses = deployer.pollers.of(stage.app), [0.5, 0.3]

    async def slow(app: App, **words: str) -> None:
        await stage.clock.sleep(5)
        stage.backend.foreign(app).asked_at -= 3
        await deploy(app, **words)

    async def under_way(app: App) -> list[BackendDeployment]:
        found = await listing(app)
        if stage.backend.jobs:
            await stage.clock.sleep(pauses.pop() if len(pauses) > 1 else pauses[0])
            await poller.tells_queue()
        return found

    stage.backend.deploy = slow  # type: ignore[method-assign]
    stage.backend.deployments = under_way  # type: ignore[method-assign]

    await deployer.run(KeptSteps(), new.id)

    ended = await stage.now(new)
    assert ended.state is State.DONE
    assert ended.backend_id != stage.backend.jobs[0].id


async def test_a_persons_deployment_of_our_commit_is_not_taken_for_ours_that_was_only_intended(
    stage: Stage,
) -> None:
    """The process died, or its database went away, between the intent and the request."""
    new = await stage.wish()
    await stage.journal.intend(new.id, [], NO_GATES)
    stage.clock.now += 60
    stage.backend.foreign(stage.app)

    ended = await stage.run(new)

    assert (stage.backend.asked, ended.state, ended.backend_id) == (0, State.DONE, None)
    assert ended.note == (
        "commit ccccccc is live; the backend does not say whether this deployment or another one"
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
        "fatal: no space left (the backend does not say whether this deployment or another one"
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
        "commit eeeeeee is live; the backend does not say which of 2 deployments is this one"
    )


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


def _stop_while(stage: Stage, question: str, *, seconds: float) -> None:
    """Stop the process between the backend's first answer and reading it."""
    ask, calls = getattr(stage.backend, question), []

    async def stopped(*about: Any) -> Any:
        found = await ask(*about)
        calls.append(1)
        if len(calls) == 1:
            stage.clock.now += seconds
        return found

    setattr(stage.backend, question, stopped)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("off", [-7200.0, -300.0, 300.0, 7200.0])
async def test_every_time_that_a_backend_tells_is_by_our_clock(
    staged: Callable[..., Stage], off: float, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = staged(waits=20.0, builds=30.0)
    with_a_clock_that_is(off, stage, monkeypatch, known=known)
    new = await stage.wish()
    asked_at = stage.clock.now
    running: list[float | None] = []

    async def looks() -> None:
        running.append((await stage.now(new)).started_at)

    stage.clock.after(35, looks)
    ended = await run_without_lifetime(stage, new)

    notes = await stage.notes(ended)
    assert not [note for note in notes if "has been building for more than" in note]
    times = (ended.asked_at, *running, ended.started_at, ended.finished_at, stage.clock.now)
    known_times = [one for one in times if one is not None]
    assert list(times) == sorted(known_times)
    assert running == [ended.started_at]
    if known:
        assert ended.started_at == pytest.approx(asked_at + 20, abs=1)
        assert ended.finished_at == pytest.approx(asked_at + 50, abs=1)


async def run_without_lifetime(stage: Stage, new: Deployment) -> Deployment:
    """Run it with the backend itself, which then can tell its clock."""
    backends = {"dokploy": stage.backend}
    deployer = Deployer(backends, stage.journal, stage.clock, PACE, sleep=stage.clock.sleep)
    await deployer.run(KeptSteps(), new.id)
    return await stage.now(new)


def with_a_clock_that_is(
    off: float, stage: Stage, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Have the backend tell times by a clock that is so many seconds ahead of ours."""
    listed = stage.backend.deployments

    async def by_its_own_clock(*args: Any, **options: Any) -> Any:
        return [
            replace(
                one,
                created_at=one.created_at + off,
                started_at=one.started_at and one.started_at + off,
                finished_at=one.finished_at and one.finished_at + off,
            )
            for one in await listed(*args, **options)
        ]

    monkeypatch.setattr(stage.backend, "deployments", by_its_own_clock)
    if known:
        monkeypatch.setattr(stage.backend, "clock_ahead", lambda _moment: off, raising=False)
