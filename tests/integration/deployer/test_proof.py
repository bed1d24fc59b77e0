"""What an app's images prove: a record of a deployment alone does not say what serves."""

from dataclasses import replace

import pytest

from bridge.core.apps import Rules
from bridge.core.health.containers import Container
from bridge.core.health.serving import Works
from bridge.core.lifecycle import Evidence, State, Verdict
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.deploying.serving import Looks
from tests.worlds.deployer import ShowsImages, Stage, deploy, image_of

ZERO, ONE, TWO, THREE, OTHERS = "0" * 40, "1" * 40, "2" * 40, "3" * 40, "d" * 40
WELL = VerifyPolicy(within=20.0, every=2.0)


@pytest.fixture
def stage(stage: Stage) -> Stage:
    stage.backend = ShowsImages(stage.clock)
    stage.app = replace(stage.app, url="https://web.test")
    return stage


async def serving(stage: Stage) -> tuple[str | None, Evidence | None, Works]:
    found = (await stage.journal.serving([stage.app]))[stage.app.id]
    return found.commit, found.evidence, found.works


@pytest.mark.parametrize("rules", [Rules(), Rules(verify=WELL)])
async def test_a_third_version_that_never_replaced_the_first_leaves_that_one_live(
    stage: Stage, rules: Rules
) -> None:
    stage.rules = rules
    await deploy(stage, 1, ONE)
    stage.showing.stuck = ONE
    await deploy(stage, 2, TWO)

    third = await deploy(stage, 3, THREE)

    assert third.note.endswith("but it still serves the previous image; 1111111 still runs")
    assert (await serving(stage))[:2] == (ONE, Evidence.IMAGE)


async def test_a_late_image_is_followed_also_where_no_log_names_it(stage: Stage) -> None:
    await deploy(stage, 1, ONE)
    stage.showing.stuck = ONE
    stage.backend.shown = [Container("web.1.abc", "running", "Up 3 days")]
    stage.showing.logs_image = False
    await deploy(stage, 2, TWO)
    assert (await serving(stage))[0] == ONE
    stage.showing.stuck = None

    await Looks(stage.journal, stage.clock).at(stage.backend, stage.app)

    assert (await serving(stage))[0] == TWO


@pytest.mark.parametrize("rules", [Rules(), Rules(verify=WELL)])
async def test_while_the_old_version_runs_beside_it_nothing_is_proven(
    stage: Stage, rules: Rules
) -> None:
    """Old and new run side by side at first; then the new one ends, and the old one is kept."""
    stage.rules = rules
    await deploy(stage, 1, ONE)
    stage.showing.beside = ONE
    stage.clock.after(15.0, lambda: setattr(stage.showing, "stuck", ONE))

    second = await deploy(stage, 2, TWO)

    assert (second.state, second.images) == (State.UNHEALTHY, (image_of(TWO),))
    assert (await serving(stage))[:2] == (ONE, Evidence.IMAGE)


@pytest.mark.parametrize(
    ("put", "logged"), [(ZERO, True), (ZERO, False), (THREE, True)], ids=["named", "unnamed", "new"]
)
async def test_what_somebody_puts_in_its_place_proves_no_version(
    stage: Stage, put: str, logged: bool
) -> None:
    """A rollback that is pressed at the backend has no record there."""
    for seq, head in enumerate((ZERO, ONE), 1):
        await deploy(stage, seq, head)
    stage.rules = Rules(verify=WELL)
    stage.showing.stuck = put
    stage.showing.logs_image = logged

    third = await deploy(stage, 3, TWO)

    assert third.state is State.DONE
    assert third.verdict is not Verdict.VERIFIED
    assert third.images in ((), (image_of(TWO),))
    if logged and put == ZERO:
        assert "; not verified: its image was put back in Dokploy, not by the bridge" in third.note
        assert (await serving(stage))[0] == ZERO


@pytest.mark.parametrize("shows", [True, False])
async def test_a_page_of_what_somebody_has_deployed_verifies_nothing(
    stage: Stage, shows: bool
) -> None:
    stage.rules = Rules(verify=WELL)
    await deploy(stage, 1, ONE)
    stage.showing.hidden = not shows
    well = stage.site.answers
    stage.site.answers = lambda url: replace(well(url), status=500)

    def by_hand() -> None:
        stage.backend.foreign(stage.app, head=THREE)
        stage.showing.stuck = THREE
        stage.site.answers = well

    stage.clock.after(12.0, by_hand)

    second = await deploy(stage, 2, TWO)

    assert (second.state, second.verdict) == (State.DONE, Verdict.UNVERIFIED)
    assert "; not verified: deployed in Dokploy at " in second.note


@pytest.mark.parametrize(("up", "state"), [("3 days", State.UNHEALTHY), ("2 seconds", State.DONE)])
async def test_where_the_log_names_no_image_the_age_of_the_containers_tells(
    stage: Stage, up: str, state: State
) -> None:
    first = await deploy(stage, 1, ONE)
    stage.showing.stuck = ONE
    stage.backend.shown = [Container("web.1.abc", "running", f"Up {up}")]
    stage.showing.logs_image = False

    second = await deploy(stage, 2, TWO)

    assert second.state is state
    assert (await serving(stage))[0] == (ONE if state is State.UNHEALTHY else TWO), first


async def test_a_page_that_names_its_commit_proves_it(stage: Stage) -> None:
    stage.rules = Rules(verify=replace(WELL, contains="version {short}"))
    stage.showing.hidden = True
    answered = stage.site.answers
    stage.site.answers = lambda url: replace(answered(url), body="version 1111111")

    done = await deploy(stage, 1, ONE)

    assert done.verdict is Verdict.VERIFIED
