"""What an app serves where somebody else deploys as well, or an outcome is not known."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.absence import AWAY, Absence
from bridge.core.apps import App
from bridge.core.health.rollback import Rung
from bridge.core.health.serving import By, Serving, Works
from bridge.core.lifecycle import Evidence, State
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks, ServingReconciler
from bridge.ports.backends import Progress
from tests.fakes.journey import HEAD, Job, KeptSteps
from tests.worlds.deployer import ShowsImages, Stage, deploy

THEIRS = "d" * 40
ONE, TWO = "1" * 40, "2" * 40


class Reconciling:
    """A reconciler, told by listings as the catalog tells it."""

    def __init__(self, stage: Stage, *others: App) -> None:
        """Take the stage; without `others`, it has 300 more apps."""
        self.stage = stage
        self.looks = Looks(stage.journal, stage.clock, {"dokploy": "Dokploy"})
        apps = others or [replace(stage.app, id=f"other-{n}") for n in range(300)]
        self.apps = {one.id: one for one in (*apps, stage.app)}
        backends: Any = {"dokploy": stage.backend}
        self.all = ServingReconciler(
            backends, stage.journal, stage.clock, self.looks, self.apps.get
        )

    async def hear(self, told: str, **others: str) -> None:
        """Hear a listing, and do what it leads to; `others`: what it tells of other apps."""
        says = dict.fromkeys(self.apps, "") | others | {self.stage.app.id: told}
        self.all.heard("dokploy", says)
        await self.all._round()

    async def listing(self, told: str) -> Serving:
        """Return what is served after a listing."""
        await self.hear(told)
        return await self.now()

    async def now(self) -> Serving:
        return (await self.stage.journal.serving([self.stage.app]))[self.stage.app.id]


async def verified(stage: Stage) -> None:
    """Deploy a version that is recorded as verified."""
    new = await stage.wish(1)
    await stage.deployer().run(KeptSteps(), new.id)
    assert (await stage.now(new)).state is State.DONE


async def by_hand(stage: Stage) -> Job:
    """Deploy a version; some time later somebody deploys another one at the backend."""
    await verified(stage)
    stage.clock.now += 100
    return stage.backend.foreign(stage.app, head=THEIRS)


async def test_a_deployment_by_hand_is_what_is_served(stage: Stage) -> None:
    await verified(stage)
    serves = Reconciling(stage)
    await serves.listing("at 1")
    stage.clock.now += 100
    stage.backend.foreign(stage.app, head=THEIRS)

    found = await serves.listing("at 2")

    assert (found.known, found.commit, found.works) == (True, THEIRS, Works.NOT_VERIFIED)
    assert (found.ours, found.evidence) == (None, Evidence.RECORD)
    assert found.notes[0].startswith("deployed in Dokploy at 2023-11-14 ")
    assert found.notes[0].endswith("UTC, not by the bridge")


async def test_after_a_deployment_by_hand_the_last_version_can_be_gone_back_to(
    stage: Stage,
) -> None:
    """Also before any listing has told of it: a plan looks for itself."""
    await by_hand(stage)
    ways = Ways({"dokploy": stage.backend}, Looks(stage.journal, stage.clock))

    for wanted in (None, HEAD):
        plan = await ways.plan(stage.app, wanted)

        assert (plan.way.rung, plan.way.to.deployed_commit) == (Rung.KEPT, HEAD)
        assert plan.says.startswith(f"go back from {THEIRS[:7]} to {HEAD[:7]}")


@pytest.mark.parametrize("started_anew", [False, True])
async def test_a_rollback_that_is_pressed_at_the_backend_is_seen_at_once_among_300_apps(
    stage: Stage, *, started_anew: bool
) -> None:
    """The backend makes no record of it, and its listing tells nothing new."""
    stage.backend = ShowsImages(stage.clock)
    first, second = await deploy(stage, 1, ONE), await deploy(stage, 2, TWO)
    serves = Reconciling(stage)
    assert (await serves.listing("at 2")).ours == second
    stage.clock.now += 100
    stage.backend.stuck = ONE
    serves = Reconciling(stage) if started_anew else serves

    found = await serves.listing("at 2")

    assert (found.commit, found.evidence) == (first.deployed_commit, Evidence.IMAGE)
    assert found.notes[0] == "its image was put back in Dokploy, not by the bridge"
    stage.backend.stuck = None
    assert (await serves.listing("at 2")).ours == second


@pytest.mark.parametrize("put_back", [False, True])
async def test_what_is_stopped_at_the_backend_is_not_said_to_run_until_it_is_started_again(
    stage: Stage, *, put_back: bool
) -> None:
    """The listing tells nothing new of it."""
    stage.backend = ShowsImages(stage.clock)
    await deploy(stage, 1, ONE)
    await deploy(stage, 2, TWO)
    serves = Reconciling(stage)
    await serves.listing("at 2")
    stage.backend.stuck = ONE if put_back else None
    before = await serves.listing("at 2")
    stage.backend.is_stopped = True

    found = await serves.listing("at 2")

    assert (found.version, found.works) == (before.version, Works.STOPPED)
    assert found.notes == (*before.notes[:-1], "not running: stopped in Dokploy")
    stage.backend.is_stopped = False
    again = await serves.listing("at 2")
    assert (again.ours, again.works, again.notes) == (before.ours, before.works, before.notes)


async def test_what_was_made_while_no_bridge_ran_is_nobody_s_as_far_as_is_known(
    stage: Stage,
) -> None:
    """The data may be an older copy, which has lost what the bridge itself has deployed."""
    await verified(stage)
    stage.clock.now += 500
    stage.backend.foreign(stage.app, head=THEIRS)
    absence = Absence(stage.clock.now - 300, stage.clock.now + 1)
    await stage.journal.note(AWAY, str(absence))

    found = await Reconciling(stage).listing("at 2")

    assert found.look is not None
    assert (found.commit, found.look.by) == (THEIRS, By.UNKNOWN)
    assert found.notes[0].endswith("by whom is not known here")


async def test_a_version_whose_record_was_pushed_out_is_still_what_is_served(
    stage: Stage,
) -> None:
    await by_hand(stage)
    serves = Reconciling(stage)
    await serves.listing("at 2")
    for _ in range(11):
        stage.clock.now += 10
        stage.backend.foreign(stage.app, head="e" * 40).ending = Progress.ERROR

    found = await serves.listing("at 3")

    assert (found.commit, found.ours) == (THEIRS, None)


async def test_an_outcome_that_the_records_show_by_now_is_no_doubt(stage: Stage) -> None:
    await verified(stage)
    new = await stage.wish(2)
    await stage.journal.move(new.id, State.UNKNOWN, "outcome unknown: why")
    serves = Reconciling(stage)
    assert (await serves.now()).known is False

    serves.all.ended(await stage.now(new))
    await serves.all._round()

    found = await serves.now()
    assert (found.known, found.commit) == (True, HEAD)


async def test_while_one_of_ours_is_being_built_nothing_is_concluded(stage: Stage) -> None:
    await verified(stage)
    new = await stage.wish(2)
    await stage.journal.move(new.id, State.ASKED, "accepted", asked_at=stage.clock.now)
    stage.backend.foreign(stage.app, head=THEIRS)

    found = await Reconciling(stage).listing("at 2")

    assert found.commit == HEAD
