"""A person's cancel: what waits is dropped, what runs is cancelled where that can be done."""

from collections.abc import Callable
from typing import Any

import pytest

from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deploying.cancel import Canceller
from bridge.pipeline.deploying.deployments import Deployer
from bridge.ports.backends import Progress
from tests.fakes.journey import NO_GATES, Death, KeptSteps, Lifetime, app
from tests.worlds.deployer import AWAY, PACE, Stage, stage, staged

__all__ = ["stage", "staged"]  # fixtures of this file, too

CANCEL = f"{9:016d}.app-web"
"""The ninth delivery cancels: what came before it is meant."""


def canceller(stage: Stage, life: Lifetime | None = None, **allowed: Any) -> Canceller:
    life = life or Lifetime()
    backends = {"dokploy": life.mortal(stage.backend)}
    journal = life.mortal(stage.journal)
    return Canceller(backends, journal, stage.clock, sleep=stage.clock.sleep, **allowed)


async def cancel(stage: Stage, **allowed: Any) -> None:
    await canceller(stage, **allowed).run(KeptSteps(), CANCEL)


async def asked_for(stage: Stage, until: State | None = None) -> Deployment:
    """A deployment that the backend has just accepted; it is followed so far and no further."""
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    if until is not None:
        await followed(stage, new, until)
    return new


async def followed(stage: Stage, new: Deployment, state: State) -> None:
    async def stopping(seconds: float) -> None:
        if (await stage.now(new)).state is state:
            raise Death
        await stage.clock.sleep(seconds)

    deployer = Deployer(
        {"dokploy": stage.backend}, stage.journal, stage.clock, PACE, sleep=stopping
    )
    with pytest.raises(Death):
        await deployer.follow(new.id)


async def test_what_waits_with_us_is_dropped_and_what_came_after_the_cancel_goes_on(
    stage: Stage,
) -> None:
    new = await stage.wish()
    later = await stage.wish(10, app_id="app-api")

    await cancel(stage)
    await canceller(stage).run(KeptSteps(), f"{9:016d}.app-api")
    await canceller(stage).run(KeptSteps(), f"{9:016d}.no.such.app")

    found = await stage.now(new)
    assert found.state is State.CANCELLED
    assert found.note == "cancelled before the backend was asked"
    assert found.finished_at == stage.clock.now
    assert (await stage.now(later)).state is State.WAITING
    assert stage.backend.calls == []


@pytest.mark.parametrize("late", [0.0, 4.0])
async def test_what_is_listed_late_is_not_told_to_be_cancelled_while_it_builds(
    staged: Callable[..., Stage], late: float
) -> None:
    stage = staged(listed_after=late, waits=0.0, builds=30.0)
    new = await asked_for(stage)

    await cancel(stage)
    await stage.deployer().follow(new.id)

    assert (await stage.now(new)).state is State.CANCELLED
    assert stage.backend.count("cancel") == 1


async def test_all_builds_of_the_host_are_interrupted_only_where_that_is_allowed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(cancels=False)
    new = await asked_for(stage, State.RUNNING)
    other = await stage.wish(2, app_id="app-api")
    await stage.journal.save_apps("dokploy", [stage.app, app("app-api")])
    await stage.deployer().ask(other.id)
    await followed(stage, other, State.RUNNING)

    await cancel(stage)
    note = (await stage.now(new)).note
    assert note.startswith("can't be cancelled: dokploy: Deployment cancellation only")
    await cancel(stage, may_kill={"dokploy"})

    assert (await stage.now(new)).note == (
        "cancel asked for: every Docker build on its host was interrupted, those of shop/api too"
    )
    note = "may be interrupted: the cancel of shop/web stopped the host's Docker builds"
    assert (await stage.now(other)).note == note
    ended = await stage.run(new)
    assert (ended.state, ended.note) == (
        State.CANCELLED,
        "its build was interrupted by the cancel",
    )
    assert (await stage.run(other)).state is State.FAILED


async def test_a_build_that_failed_before_or_may_not_be_interrupted_fails_by_its_own_reason(
    staged: Callable[..., Stage],
) -> None:
    """A killed build has no line that says that Docker's build failed (docs/dokploy.md)."""
    stage = staged(cancels=False)
    before = await asked_for(stage, State.RUNNING)
    stage.backend.log = "npm ERR! no such script\n❌ Docker build failed\n\nError occurred ❌"
    await cancel(stage, may_kill={"dokploy"})
    assert (await stage.run(before)).state is State.FAILED

    stage = staged(cancels=False, ending=Progress.ERROR, error="exit code: 2")
    refused = await asked_for(stage, State.RUNNING)
    stage.backend.next("kill_build", Refused("dokploy", "admin only", status=401))
    await cancel(stage, may_kill={"dokploy"})
    ended = await stage.run(refused)
    assert (ended.state, ended.note) == (State.FAILED, "exit code: 2")


async def test_of_one_that_runs_and_one_that_waits_only_the_meant_one_is_cancelled(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=60.0)
    runs = await asked_for(stage, State.RUNNING)
    waits = await stage.wish(2)

    await canceller(stage).run_one(KeptSteps(), f"{9:016d}.{waits.id}")

    assert (await stage.now(waits)).state is State.CANCELLED
    assert (await stage.now(runs)).state is State.RUNNING
    assert stage.backend.count("cancel") == 0
    waits = await stage.wish(3)

    await canceller(stage).run_one(KeptSteps(), f"{9:016d}.{runs.id}")
    await stage.deployer().follow(runs.id)

    assert (await stage.now(runs)).state is State.CANCELLED
    assert (await stage.now(waits)).state is State.WAITING


async def test_one_that_has_ended_meanwhile_is_not_called_cancelled(
    staged: Callable[..., Stage],
) -> None:
    """Its title is overwritten by then, so its token is gone."""
    stage = staged(waits=0.0, builds=0.1)
    new = await asked_for(stage)
    stage.clock.now += 5

    await cancel(stage)

    assert stage.backend.count("cancel") == 0
    assert (await stage.run(new)).state is State.DONE


async def test_somebody_elses_build_is_not_cancelled_in_place_of_an_ended_one(
    stage: Stage,
) -> None:
    await asked_for(stage, State.RUNNING)
    stage.clock.now += 60
    theirs = stage.backend.foreign(stage.app, running=True)

    await cancel(stage)

    assert stage.backend.count("cancel") == 0
    assert theirs.ending is Progress.DONE


@pytest.mark.parametrize(
    ("call", "error"),
    [("drop_waiting", Unanswered("dokploy", "ReadTimeout")), ("deployments", AWAY)],
)
async def test_a_backend_that_is_away_is_asked_again(
    staged: Callable[..., Stage], call: str, error: Any
) -> None:
    stage = staged(waits=60.0)
    new = await asked_for(stage)
    stage.backend.next(call, error)
    stage.backend.next(call, error)

    await cancel(stage)

    assert (await stage.now(new)).state is State.CANCELLED
    assert any("cancel waits" in note for _, note in await stage.history(new))


async def test_a_fault_of_the_bridges_own_is_tried_again_and_then_said(
    staged: Callable[..., Stage], caplog: pytest.LogCaptureFixture
) -> None:
    stage = staged(waits=60.0)
    new = await asked_for(stage)
    stage.backend.next("drop_waiting", KeyError("a bug"))
    await cancel(stage)
    assert (await stage.now(new)).state is State.CANCELLED

    stage = staged(waits=60.0)
    new = await asked_for(stage)
    for _ in range(3):
        stage.backend.next("drop_waiting", KeyError("a bug"))
    await cancel(stage)
    found = await stage.now(new)
    assert not found.final
    assert "can't be cancelled: the bridge had an internal error" in found.note
    assert "a cancel failed unexpectedly" in caplog.text


async def test_a_backend_that_is_configured_no_more_is_said(stage: Stage) -> None:
    new = await asked_for(stage)

    await Canceller({}, stage.journal, stage.clock, sleep=stage.clock.sleep).run(
        KeptSteps(), CANCEL
    )

    assert "no backend 'dokploy' is configured" in (await stage.now(new)).note


@pytest.mark.parametrize("then", ["it is asked for", "that is given up"])
async def test_one_that_is_being_asked_for_is_cancelled_and_not_asked_for(
    stage: Stage, then: str
) -> None:
    """The intent stands while the cancel comes."""
    new = await stage.wish()
    await stage.journal.intend(new.id, [], NO_GATES)
    ask, withdraw = stage.deployer().ask, stage.journal.withdraw
    stage.clock.after(2, lambda: (ask if then == "it is asked for" else withdraw)(new.id))

    await cancel(stage)

    assert (await stage.now(new)).state is State.CANCELLED
    assert stage.backend.asked == 0


async def test_an_intent_that_is_taken_back_between_two_looks_loses_no_cancel(
    stage: Stage,
) -> None:
    new = await stage.wish()
    await stage.journal.intend(new.id, [], NO_GATES)
    cancel_there = stage.journal.cancel

    async def overtaken(app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        found = await cancel_there(app_id, seq, only)
        await stage.journal.withdraw(new.id)
        return found

    stage.journal.cancel = overtaken  # type: ignore[method-assign]

    await cancel(stage)

    assert (await stage.now(new)).state is State.CANCELLED


async def test_a_journal_that_is_away_for_a_while_loses_no_cancel(stage: Stage) -> None:
    new = await stage.wish()
    cancel_there, failures = stage.journal.cancel, [1, 2, 3]

    async def failing(app_id: str, seq: int, only: str | None = None) -> list[Deployment]:
        if failures:
            failures.pop()
            raise Unreachable("the journal", "disk full")
        return await cancel_there(app_id, seq, only)

    stage.journal.cancel = failing  # type: ignore[method-assign]

    await cancel(stage)

    assert (await stage.now(new)).state is State.CANCELLED


@pytest.mark.slow
@pytest.mark.parametrize("state", ["ours", "queued", "running"])
async def test_death_at_any_moment_leaves_a_cancel_that_goes_on(state: str) -> None:
    moment = 0
    while True:
        moment += 1
        stage = Stage.make(waits=0.0 if state == "running" else 60.0, builds=60.0)
        new = await (stage.wish() if state == "ours" else asked_for(stage))
        if state == "queued":
            await stage.journal.move(new.id, State.QUEUED)
        steps, life = KeptSteps(), Lifetime(moment)
        try:
            await canceller(stage, life).run(steps, CANCEL)
        except Death:
            await canceller(stage).run(steps, CANCEL)
        else:
            await stage.journal.stop()
            break
        await stage.deployer().run(KeptSteps(), new.id)
        ended = await stage.now(new)
        await stage.journal.stop()
        assert ended.state is State.CANCELLED, moment
        assert len(stage.backend.jobs) == (1 if state == "running" else 0)
    assert moment > 5


# ── what others have asked for ───────────────────────────────────────────────


@pytest.mark.parametrize("stands", ["runs", "ended"])
async def test_a_late_cancel_leaves_what_others_have_asked_for(
    staged: Callable[..., Stage], stands: str
) -> None:
    """The bridge does not know yet that ours has begun, so nothing of ours waits any more."""
    stage = staged(waits=0.0, builds=5.0, cancels=False)
    new = await asked_for(stage)
    await stage.backend.deploy(stage.app, title="ann by hand", description="")
    stage.clock.now += {"runs": 2.0, "ended": 5.0}[stands]
    stage.backend.jobs[1].begins_at = stage.clock.now + 60

    await cancel(stage)

    assert [job.title for job in stage.backend.jobs[1:]] == ["ann by hand"]
    assert stage.backend.count("drop_waiting") == 0
    assert (await stage.run(new)).state is State.DONE


async def test_what_others_have_asked_for_is_named_though_the_answer_was_lost(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=60.0)
    new = await asked_for(stage, State.QUEUED)
    await stage.backend.deploy(stage.app, title="ann by hand", description="")
    stage.backend.next("drop_waiting", Unanswered("dokploy", "ReadTimeout"), arrives=True)

    await cancel(stage)

    assert (await stage.now(new)).note == (
        "dropped from the backend's queue, with what others had asked for there: ann by hand"
    )


async def test_where_the_queue_is_not_listed_it_is_not_claimed_who_else_waited(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=60.0, tells_queue=False)
    new = await asked_for(stage)

    await cancel(stage)

    assert (await stage.now(new)).note == (
        "dropped from the backend's queue, with all that waited there for the app: this backend"
        " does not list what"
    )
