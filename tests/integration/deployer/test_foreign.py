"""Other people's deployments are not taken for ours."""

from collections.abc import Callable

import pytest

from bridge.core.apps import App
from bridge.core.lifecycle import Deployment, State
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import HEAD, NO_GATES, Job, KeptSteps
from tests.worlds.deployer import SILENT, Stage, restarted


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


async def test_what_began_before_the_request_by_another_clock_is_not_requested_again(
    stage: Stage,
) -> None:
    """Nobody knows whether the request arrived; the process that sent it has died."""
    new = await stage.wish()
    stage.clock.now += 5
    await stage.journal.intend(new.id, [], NO_GATES)
    stage.clock.now -= 5
    stage.backend.foreign(stage.app)
    stage.clock.now += 20

    ended = await stage.run(new)

    assert (ended.state, ended.backend_id, stage.backend.asked) == (State.DONE, None, 0)


async def test_a_record_that_another_deployment_is_known_by_is_not_taken(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=0.1)
    first = await stage.run(await stage.wish(1))
    second = await stage.wish(2)
    await stage.journal.intend(second.id, [], NO_GATES)  # by a list that was late
    stage.backend.jobs[0].begins_at += 5
    stage.backend.jobs[0].ends_at += 5
    stage.clock.now += 10

    ended = await stage.run(second)

    assert (ended.state, stage.backend.asked) == (State.DONE, 2)
    assert ended.backend_id not in (None, first.backend_id)


async def test_a_persons_deployment_of_our_commit_is_not_taken_for_ours_that_is_listed_late(
    staged: Callable[..., Stage],
) -> None:
    """They were quicker than our request, and have ended at the first look."""
    stage = staged(waits=2.0, listed_after=0.9)
    deploy = stage.backend.deploy

    async def slow(app: App, **words: str) -> None:
        await stage.clock.sleep(5)
        stage.backend.foreign(app).asked_at -= 3
        await deploy(app, **words)

    stage.backend.deploy = slow  # type: ignore[method-assign]

    ended = await stage.run()

    assert (ended.state, ended.backend_id) == (State.DONE, stage.backend.jobs[1].id)


async def test_a_persons_deployment_is_not_taken_for_ours_whose_record_is_listed_late(
    staged: Callable[..., Stage],
) -> None:
    """Theirs had ended while our job still waited."""
    stage = staged(waits=3.7, builds=0.2)
    deploy, listing = stage.backend.deploy, stage.backend.deployments

    async def slow(app: App, **words: str) -> None:
        await stage.clock.sleep(5)
        stage.backend.foreign(app)
        await deploy(app, **words)

    async def late(app: App) -> list[BackendDeployment]:
        found = await listing(app)
        listed = [one for one in found if stage.clock() > one.created_at + 1.4]
        return listed if len(stage.backend.jobs) == 2 else found

    stage.backend.deploy, stage.backend.deployments = slow, late  # type: ignore[method-assign]

    ended = await stage.run()

    assert (ended.state, ended.backend_id) == (State.DONE, stage.backend.jobs[1].id)


async def test_a_quick_build_is_ours_also_where_no_queue_is_listed(
    staged: Callable[..., Stage],
) -> None:
    stage = staged(waits=0.0, builds=0.1, tells_queue=False)
    new = await stage.wish()
    await stage.deployer().ask(new.id)
    stage.clock.now += 1

    ended = await stage.run(new)

    assert (ended.state, ended.backend_id) == (State.DONE, stage.backend.jobs[0].id)


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
        "commit eeeeeee is live; the backend does not say whether this deployment or another one"
        " built it"
    )


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
    assert "does not say which of 2 deployments is this one" in ended.note


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
