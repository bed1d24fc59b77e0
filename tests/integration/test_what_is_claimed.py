"""Every end of a deployment, and every word about it, has the evidence for it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bridge.core.apps import App
from bridge.core.errors import Refused, Unanswered
from bridge.core.lifecycle import Deployment, State
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import CLEARED, HEAD
from tests.worlds.deployer import (
    AWAY,
    UNRECORDED,
    Stage,
    interrupt,
    restarted,
    stage,
    staged,
)

__all__ = ["stage", "staged"]

BROKEN = Unanswered("dokploy", "application.deploy: it answered 500: HTTP 500")
FAILED_BUILD = "fatal: no space left\n\nError occurred ❌, check the logs for details.\n"
UNBUILT = "Cloning into 'code'...\n#12 RUN make\n"


async def queued_behind(stage: Stage, other: str) -> Deployment:
    """A deployment that waits in the queue behind an older job, and a bridge that is stopped."""
    title = "by hand"
    await stage.backend.deploy(replace(stage.app, id=other), title=title, description="")
    stage.clock.now += 5
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    await stage.journal.move(new.id, State.QUEUED)
    stage.clock.now += 60
    return new


# ── what ends within a moment ────────────────────────────────────────────────


# ── what is gone from the queue ──────────────────────────────────────────────


async def test_a_job_that_an_outage_ate_while_nobody_watched_is_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    """An older job of another app is still there: so there was no restart. That proves no more."""
    stage = staged(builds=900.0)
    new = await queued_behind(stage, "app-other")
    del stage.backend.jobs[1]  # its turn came while the backend's database was away
    stage.backend.builds = 5.0

    ended = await stage.run(new)

    assert (ended.state, len(stage.backend.jobs)) == (State.DONE, 2)


async def test_a_job_that_went_while_an_older_one_of_its_app_builds_was_taken_out_by_a_person(
    staged: Callable[..., Stage],
) -> None:
    """Its turn has not come, so neither an outage nor a restart can have taken it."""
    stage = staged(builds=900.0)
    new = await queued_behind(stage, stage.app.id)
    del stage.backend.jobs[1]
    asked = stage.backend.asked

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, asked)
    assert ended.note.startswith("it was taken out of the backend's queue there")


# ── what a restart interrupts ────────────────────────────────────────────────


async def test_lost_once_and_interrupted_once_is_asked_for_both_times(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=300.0, builds=200.0, log=UNBUILT)
    back_at = restarted(stage, at=60) - stage.clock.now

    def restart() -> None:
        interrupt(stage)
        stage.backend.builds = 5.0

    stage.clock.after(back_at + 60, restart)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.DONE, 3)


@pytest.mark.parametrize(
    ("log", "state", "asked", "words"),
    [
        (FAILED_BUILD, State.UNKNOWN, 1, "the build failed: fatal: no space left"),
        (CLEARED, State.UNKNOWN, 1, "its log is empty, as after it was cleared during the build"),
        (UNRECORDED, State.DONE, 1, "its log says that the build succeeded"),
        (UNBUILT, State.DONE, 2, ""),
        ("", State.DONE, 2, ""),  # a backend that is too old to tell logs
    ],
)
async def test_a_build_is_asked_for_again_after_a_restart_only_if_its_log_tells_of_no_end(
    staged: Callable[..., Stage], log: str, state: State, asked: int, words: str
) -> None:
    stage = staged(builds=20.0, log=log)
    away_at_its_end(stage)
    for _ in range(4):  # it is waited for
        stage.backend.next("log_tail", AWAY)

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (state, asked)
    assert words in ended.note


async def test_a_cancelled_record_whose_log_can_never_be_read_is_not_asked_for_again(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(builds=20.0)
    away_at_its_end(stage)
    stage.backend.next("log_tail", Refused("dokploy", "no permission", status=403))

    ended = await stage.run()

    assert (ended.state, stage.backend.asked) == (State.UNKNOWN, 1)
    assert ended.note.endswith("its log can't be read: dokploy: no permission")


def away_at_its_end(stage: Stage) -> None:
    """The database is away as the build ends; then a restart closes the record."""
    job_ends = 21.0

    def restart() -> None:
        job = stage.backend.jobs[0]
        job.unclosed, job.restarted, job.ending = False, True, Progress.CANCELLED
        job.told_when_failed = False

    stage.clock.after(10, lambda: setattr(stage.backend.jobs[0], "unclosed", True))
    stage.clock.after(job_ends - 1, lambda: setattr(stage.backend, "away", True))
    stage.clock.after(job_ends + 5, restart)
    stage.clock.after(job_ends + 8, lambda: setattr(stage.backend, "away", False))
    stage.clock.after(job_ends + 8, lambda: setattr(stage.backend, "builds", 5.0))


# ── what can't be read just now ──────────────────────────────────────────────


async def test_the_reason_of_a_failure_is_read_once_it_can_be(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(ending=Progress.ERROR, log=FAILED_BUILD)
    log_tail, began = stage.backend.log_tail, []

    async def away_for_a_while(deployment: BackendDeployment, lines: int) -> str:
        began.append(stage.clock.now)
        stage.backend.away = stage.clock.now < began[0] + 300
        if len(began) == 1:
            stage.clock.after(300, lambda: setattr(stage.backend, "away", False))
        return await log_tail(deployment, lines)

    stage.backend.log_tail = away_for_a_while  # type: ignore[method-assign]

    ended = await stage.run()

    assert (ended.state, ended.note) == (State.FAILED, "fatal: no space left")
    assert ended.log_tail == "fatal: no space left"
    assert any("its log is read as soon as that ends" in note for note in await stage.notes(ended))


async def test_a_log_that_alone_can_not_be_read_holds_nothing_up_for_long(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(ending=Progress.ERROR, log=FAILED_BUILD)
    for _ in range(1000):
        stage.backend.next("log_tail", AWAY)
    began = stage.clock.now

    ended = await stage.run()

    assert ended.state is State.FAILED
    assert ended.note.startswith("the build failed; its log can't be read: dokploy can't be")
    assert stage.clock.now - began < 60


async def test_the_commit_that_is_live_is_read_once_it_can_be(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(tells_after=1.0)

    def gone() -> None:
        stage.backend.away = True

    stage.clock.after(6.9, gone)
    deployments = stage.backend.deployments
    ended_at: list[float] = []

    async def goes_away(app: App) -> list[BackendDeployment]:
        found = await deployments(app)
        if not ended_at and any(one.status is Progress.DONE for one in found):
            ended_at.append(stage.clock.now)
            stage.backend.away = True
            stage.clock.after(30, lambda: setattr(stage.backend, "away", False))
        return found

    stage.clock._planned.clear()
    stage.backend.deployments = goes_away  # type: ignore[method-assign]

    ended = await stage.run()

    assert ended_at
    assert (ended.state, ended.deployed_commit) == (State.DONE, HEAD)


# ── what may have been asked ─────────────────────────────────────────────────


async def test_a_cancel_after_a_request_without_an_answer_does_not_claim_that_none_was_sent(
    stage: Stage,
) -> None:
    new = await stage.wish()
    stage.backend.next("deploy", BROKEN)
    stage.clock.after(3, lambda: stage.journal.cancel(new.app_id, new.seq + 1))

    ended = await stage.run(new)

    assert (ended.state, stage.backend.asked) == (State.CANCELLED, 1)
    assert ended.note == (
        "cancelled; the backend may have been asked for it before, and has shown no sign of it"
    )
    assert not [note for note in await stage.notes(ended) if "asked again" in note]


async def test_a_refusal_of_the_second_request_does_not_tell_what_became_of_the_first(
    stage: Stage,
) -> None:
    stage.backend.next("deploy", BROKEN)
    stage.backend.next("deploy", Refused("dokploy", "no", status=400))

    ended = await stage.run()

    assert (ended.state, ended.note) == (
        State.UNKNOWN,
        "may have been requested, outcome unknown: dokploy: no",
    )


async def test_an_answer_that_tells_nothing_is_not_called_none_where_no_queue_is_listed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(tells_queue=False)
    stage.backend.next("deploy", BROKEN)

    ended = await stage.run()

    assert ended.state is State.UNKNOWN
    assert "it answered 500" in ended.note
    assert "no answer" not in ended.note


# ── whatever takes a job out of the queue ────────────────────────────────────


@pytest.mark.slow
@given(
    cause=st.sampled_from(["a person", "an outage", "a restart"]),
    behind=st.sampled_from([None, "app-other", "app-web"]),
    at=st.floats(3, 100),
    lasts=st.floats(3, 30),
    watched=st.booleans(),
)
@settings(max_examples=12)
async def test_a_person_is_named_for_what_a_person_did_and_nothing_else_is_lost(
    cause: str, behind: str | None, at: float, lasts: float, watched: bool
) -> None:
    """An outage can eat no job behind an older one of its app: its turn does not come."""
    assume(cause != "an outage" or behind != "app-web")
    stage = Stage.make(waits=300.0, builds=900.0)
    backend = stage.backend
    if behind is not None:
        other = replace(stage.app, id=behind)
        await backend.deploy(other, title="by hand", description="")
        backend.jobs[0].begins_at = stage.clock.now
        stage.clock.now += 5
    new = await stage.wish()

    def gone() -> None:
        backend.away = cause != "a person"
        backend.jobs[:] = [] if cause == "a restart" else backend.jobs[: behind is not None]
        backend.waits, backend.builds = 1.0, 5.0
        if behind is not None and backend.jobs:
            backend.jobs[0].ends_at = stage.clock.now + 60

    def back() -> None:
        backend.away = False

    if watched:
        stage.clock.after(at, gone)
        stage.clock.after(at + lasts, back)
    else:
        await stage.deployer().ask(new.id)
        await stage.journal.move(new.id, State.QUEUED)
        stage.clock.now += at
        gone()
        back()
        stage.clock.now += lasts
    asked = backend.asked

    ended = await stage.run(new)
    again = backend.asked - asked - watched
    await stage.journal.stop()

    obeyed = cause == "a person" and (watched or (behind == "app-web" and lasts < 60))
    assert (ended.state, again) == ((State.CANCELLED, 0) if obeyed else (State.DONE, 1))
