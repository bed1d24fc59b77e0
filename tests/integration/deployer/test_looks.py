"""What a look at a backend may conclude: from older records, of single apps, and after absences."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.absence import AWAY, Absence
from bridge.core.apps import App, Rules
from bridge.core.errors import Refused
from bridge.core.events import Action
from bridge.core.health.serving import Works
from bridge.core.lifecycle import Deployment, State
from bridge.core.policies import VerifyPolicy
from bridge.core.tracking import CLOSING
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.backends import BackendDeployment, Progress
from tests.fakes.journey import CLEARED, FakeBackend, KeptSteps, app
from tests.integration.deployer.test_serving import ONE, THEIRS, TWO, Reconciling
from tests.worlds.deployer import NO, UNRECORDED, ShowsImages, Stage, deploy

ZERO = "e" * 40
WELL = VerifyPolicy(within=20.0, every=2.0)


async def built(stage: Stage, seq: int, head: str) -> Deployment:
    stage.backend.head = head
    new = await stage.wish(seq, commit=head)
    await stage.deployer().run(KeptSteps(), new.id)
    stage.clock.now += 60
    return await stage.now(new)


def left_open(stage: Stage, seconds: float = 3.0) -> None:
    """Leave the record of the next build open, as when the backend's database was away."""
    stage.clock.after(seconds, lambda: setattr(stage.backend.jobs[-1], "unclosed", True))


# ── after an unknown outcome ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("log", "known"),
    [("", False), (CLEARED, False), ("Cloning…\n", False), (f"{CLOSING}, see the log\n", True)],
)
async def test_an_older_record_says_nothing_while_that_of_an_unknown_outcome_is_open(
    stage: Stage, log: str, known: bool
) -> None:
    await built(stage, 1, ONE)
    left_open(stage)
    stage.backend.log = log
    second = await built(stage, 2, TWO)
    serves = Reconciling(stage)
    serves.all.ended(second)

    found = await serves.listing("at 2")

    assert second.state is State.UNKNOWN
    assert (found.known, found.commit) == (known, ONE if known else None)


async def test_an_older_record_says_nothing_where_that_of_an_unknown_outcome_is_gone(
    stage: Stage,
) -> None:
    await built(stage, 1, ONE)
    stage.clock.after(3.0, stage.backend.jobs.clear)
    second = await built(stage, 2, TWO)
    stage.backend.foreign(stage.app, head=ONE).begins_at -= 1000
    serves = Reconciling(stage)
    serves.all.ended(second)

    found = await serves.listing("at 2")

    assert second.state is State.UNKNOWN
    assert found.notes == ("unknown: 1111111 was live before",)


async def test_what_is_deployed_by_hand_after_a_first_deployment_in_doubt_is_known_at_once(
    stage: Stage,
) -> None:
    stage.clock.after(3.0, stage.backend.jobs.clear)
    first = await built(stage, 1, ONE)
    stage.clock.now += 60
    stage.backend.foreign(stage.app, head=THEIRS)
    serves = Reconciling(stage)
    serves.all.ended(first)

    found = await serves.listing("at 1")

    assert first.state is State.UNKNOWN
    assert (found.known, found.commit) == (True, THEIRS)


async def test_what_an_open_record_has_brought_is_served_once_it_is_closed(stage: Stage) -> None:
    """It may be the version of before again, which is then not gone back to."""
    for seq, head in ((1, ONE), (2, TWO)):
        await built(stage, seq, head)
    left_open(stage)
    third = await built(stage, 3, TWO)
    serves = Reconciling(stage)
    await serves.listing("at 3")
    stage.backend.jobs[-1].unclosed = False
    stage.clock.now += 600

    found = await serves.listing("at 3")
    plan = await Ways({"dokploy": stage.backend}, Looks(stage.journal, stage.clock)).plan(stage.app)

    assert (found.known, found.ours, found.commit) == (True, third, TWO)
    assert plan.says.startswith("go back from 2222222 to 1111111")


@pytest.mark.parametrize("looked_at", [True, False])
async def test_what_somebody_deploys_settles_the_outcome_of_a_rollback(
    stage: Stage, looked_at: bool
) -> None:
    first = await built(stage, 1, ONE)
    await built(stage, 2, TWO)
    back = await stage.wish(3, action=Action.ROLLBACK, target=first.id, way="kept", commit=None)
    if looked_at:
        await stage.run(back)
    else:
        await stage.journal.move(back.id, State.UNKNOWN, "outcome unknown: asked 5 times")
    serves = Reconciling(stage)
    serves.all.ended(await stage.now(back))
    before = await serves.listing("at 2")
    stage.clock.now += 300
    stage.backend.foreign(stage.app, head=THEIRS)

    found = await serves.listing("at 3")

    assert (before.known, found.known, found.commit) == (False, True, THEIRS)


async def test_a_record_by_hand_that_stays_open_counts_once_its_log_says_that_it_is_live(
    stage: Stage,
) -> None:
    """The listing tells nothing new then."""
    await built(stage, 1, ONE)
    serves = Reconciling(stage)
    stage.backend.foreign(stage.app, head=THEIRS).unclosed = True
    assert (await serves.listing("at 2")).commit == ONE
    stage.backend.log = UNRECORDED
    stage.clock.now += 600

    found = await serves.listing("at 2")

    assert (found.known, found.ours) == (True, None)


async def test_a_log_that_may_not_be_read_says_nothing(stage: Stage) -> None:
    first = await built(stage, 1, ONE)
    stage.backend.foreign(stage.app, head=THEIRS).ending = Progress.ERROR
    stage.backend.next("log_tail", NO)

    found = await Reconciling(stage).listing("at 2")

    assert (found.known, found.ours) == (True, first)


# ── each app for itself ───────────────────────────────────────────────────────────────────────────


class Refusing(FakeBackend):
    """A backend that refuses to tell of one app."""

    async def deployments(self, app: Any) -> Any:
        if app.id == "app-refused":
            self.calls.append("refused")
            raise Refused(self.name, "you may not", status=403)
        return await super().deployments(app)


async def test_an_app_that_can_not_be_read_hides_no_other_and_is_asked_ever_less_often(
    stage: Stage,
) -> None:
    stage.backend = Refusing(stage.clock)
    serves = Reconciling(stage, app("app-refused"))
    await stage.journal.save_apps("dokploy", [*serves.apps.values()])

    for minute in range(60):
        stage.clock.now += 60
        stage.backend.foreign(stage.app, head=str(minute % 10) * 40)
        await serves.hear(f"at {minute}", **{"app-refused": "at 1"})

        if minute > 0:
            assert (await serves.now()).commit == str(minute % 10) * 40
    assert 10 <= stage.backend.count("refused") <= 20


async def test_an_app_that_is_always_deployed_does_not_keep_others_from_being_looked_at(
    stage: Stage,
) -> None:
    stage.backend = ShowsImages(stage.clock)
    await deploy(stage, 1, ONE)
    await deploy(stage, 2, TWO)
    busy = app("app-busy")
    serves = Reconciling(stage, busy)
    await stage.journal.save_apps("dokploy", [*serves.apps.values()])

    for minute in range(5):
        stage.clock.now += 60
        stage.backend.foreign(busy, head=THEIRS)
        await serves.hear("at 2", **{busy.id: f"at {minute}"})
        stage.backend.stuck = ONE  # somebody presses rollback

    assert (await serves.now()).commit == ONE


# ── what was put back ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def three(stage: Stage) -> list[Deployment]:
    """Three verified versions of an app whose images are shown."""
    stage.backend = ShowsImages(stage.clock)
    stage.app, stage.rules = replace(stage.app, url="https://web.test"), Rules(verify=WELL)
    found = []
    for seq, head in ((1, ZERO), (2, ONE), (3, TWO)):
        found.append(await deploy(stage, seq, head))
        stage.clock.now += 60
    return found


async def away(stage: Stage) -> None:
    """Let an hour pass in which no bridge runs; its data may be an older copy."""
    stage.clock.now += 3600
    await stage.journal.note(AWAY, str(Absence(stage.clock.now - 3000, stage.clock.now)))
    stage.clock.now += 60


@pytest.mark.parametrize("is_away", [False, True])
async def test_a_version_that_somebody_puts_back_is_known_and_not_verified_again(
    stage: Stage, three: list[Deployment], *, is_away: bool
) -> None:
    """Whoever did so while no bridge ran is not known."""
    serves = Reconciling(stage)
    await serves.listing("at 3")
    if is_away:
        await away(stage)
        serves = Reconciling(stage)
    stage.showing.stuck = ZERO

    for _ in range(3):
        stage.clock.now += 60
        found = await serves.listing("at 3")

    assert (found.ours, found.works) == (three[0], Works.NOT_VERIFIED)
    by = "by whom is not known here" if is_away else "not by the bridge"
    assert found.notes[0] == f"its image was put back in Dokploy, {by}"


async def test_after_an_absence_nothing_is_called_verified_where_no_image_is_shown(
    stage: Stage, three: list[Deployment]
) -> None:
    await away(stage)
    stage.showing.hidden = True
    serves = Reconciling(stage)
    asked = stage.backend.count("deployments")

    for _ in range(60):
        stage.clock.now += 60
        found = await serves.listing("at 3")

    assert (found.ours, found.works) == (three[2], Works.HEALTHY)
    assert stage.backend.count("deployments") - asked == 1


@pytest.mark.parametrize("late", ["the older", "the newer"])
async def test_of_two_looks_at_once_the_one_that_began_later_counts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    """Somebody deploys while the answer to the older is on its way; only the newer shows it."""
    await built(stage, 1, ONE)
    serves, read = Reconciling(stage), stage.backend.deployments
    await serves.listing("at 1")
    on_their_way: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def slow(of: App) -> list[BackendDeployment]:
        records, answered = await read(of), asyncio.Event()
        await on_their_way.put(answered)
        await answered.wait()
        return records

    monkeypatch.setattr(stage.backend, "deployments", slow)
    stage.clock.now += 1
    plans = [serves.looks.at(stage.backend, stage.app) for _ in range(2)]
    older = asyncio.create_task(plans[0]), await on_their_way.get()
    stage.backend.foreign(stage.app, head=THEIRS)
    stage.clock.now += 1
    newer = asyncio.create_task(plans[1]), await on_their_way.get()

    for look, answered in (older, newer) if late == "the newer" else (newer, older):
        answered.set()
        found = await look

    assert found is not None
    assert found.commit == THEIRS
    monkeypatch.undo()
    assert (await serves.listing("at 2")).commit == THEIRS
