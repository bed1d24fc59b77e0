"""What is served is watched: for how long, what pauses it, and what ends it."""

import asyncio
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from bridge.core.apps import App, Rules
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.deploying.watch import Watch
from bridge.ports.probes import Answer, Silent
from tests.fakes.journey import KeptSteps
from tests.worlds.deployer import ShowsImages, Stage, asked_for, deploy, fails, image_of
from tests.worlds.embedded import until

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
WELL = VerifyPolicy(within=20.0, every=2.0)


@pytest.fixture
async def broken(stage: Stage) -> Deployment:
    """A version that does not work, and that the backend calls done."""
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=WELL)
    await deploy(stage, 1, ONE)
    break_(stage)
    stage.backend.head = TWO
    new = await stage.wish(2, commit=TWO)
    await stage.deployer().run(KeptSteps(), new.id)
    return await stage.now(new)


def break_(stage: Stage) -> None:
    stage.site.answers = lambda url: Answer(url, 500, "Oh")


def mend(stage: Stage) -> None:
    stage.site.answers = lambda url: Answer(url, 200, "OK")


async def watched(stage: Stage, one: Deployment) -> Deployment:
    await stage.watching(stage.deployer().ending).watch(one.id)
    return await stage.now(one)


def seconds_of(one: Deployment) -> float:
    return (one.finished_at or 0.0) - (one.live_at or 0.0)


async def test_pushes_whose_builds_fail_delay_a_verdict_only_while_they_are_built(
    stage: Stage, broken: Deployment
) -> None:
    for number in range(20):
        at, seq = 10.0 + number * 15, 3 + number
        stage.clock.after(at, partial(asked_for, stage, seq))
        stage.clock.after(at + 5, partial(fails, stage, seq))

    ended = await watched(stage, broken)

    assert ended.state is State.UNHEALTHY
    assert 20 <= seconds_of(ended) < 60


async def test_images_that_were_read_before_a_look_do_not_replace_what_it_shows(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody puts an older image back, and the newer one again before the verdict."""
    stage.backend = backend = ShowsImages(stage.clock)
    stage.app = replace(stage.app, url="https://web.test")
    await deploy(stage, 1, ONE)
    stage.rules = Rules(verify=replace(WELL, keep=1800.0))

    async def put_back(_: App) -> tuple[str, ...]:
        monkeypatch.undo()
        stage.clock.now += 1
        return (image_of(ONE),)

    def break_it() -> None:
        break_(stage)
        monkeypatch.setattr(backend, "images", put_back)

    stage.clock.after(60.0, break_it)
    new = await deploy(stage, 2, TWO)

    found = (await stage.journal.serving([stage.app]))[stage.app.id]
    assert (found.ours, new.state) == (new, State.UNHEALTHY)


async def test_what_somebody_has_stopped_is_not_judged(stage: Stage, broken: Deployment) -> None:
    stage.backend.is_stopped = True

    ended = await watched(stage, broken)

    assert (ended.state, ended.verdict) == (State.DONE, Verdict.UNVERIFIED)
    assert ended.note.endswith("; not verified: it is stopped in Dokploy, so it is not judged")


async def test_what_is_started_again_is_watched_on(stage: Stage) -> None:
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=replace(WELL, keep=1800.0))
    well = stage.site.answers

    def turned(*, on: bool) -> None:
        stage.backend.is_stopped = not on
        stage.site.answers = well if on else lambda url: Answer(url, 404, "no")

    stage.clock.after(300.0, partial(turned, on=False))
    stage.clock.after(900.0, partial(turned, on=True))
    stage.clock.after(1200.0, partial(break_, stage))

    ended = await deploy(stage, 1, ONE)

    assert ended.state is State.UNHEALTHY
    assert 1200 < seconds_of(ended) < 1260


async def test_a_push_that_only_waits_delays_no_verdict(stage: Stage, broken: Deployment) -> None:
    stage.clock.after(8.0, lambda: stage.wish(3, note="waits to be pinned: github is away"))

    ended = await watched(stage, broken)

    assert ended.state is State.UNHEALTHY
    assert seconds_of(ended) < 30


@pytest.mark.parametrize("settled", [True, False])
async def test_what_an_unknown_outcome_may_have_replaced_is_judged_once_it_is_known(
    stage: Stage, broken: Deployment, settled: bool
) -> None:
    stage.clock.after(8.0, lambda: asked_for(stage, 3, commit=THREE))
    stage.clock.after(12.0, lambda: fails(stage, 3, State.UNKNOWN))
    stage.clock.after(13.0, lambda: mend(stage))

    async def looked_at() -> None:
        found = await Looks(stage.journal, stage.clock).at(stage.backend, stage.app)
        assert found is not None
        assert found.known
        break_(stage)

    if settled:
        stage.clock.after(60.0, looked_at)

    ended = await watched(stage, broken)

    assert ended.verdict is (Verdict.UNHEALTHY if settled else Verdict.UNVERIFIED)
    if not settled:
        assert ended.note.endswith("; not verified: it is not known what is served")


async def test_a_version_that_another_one_failed_to_replace_is_watched_on(stage: Stage) -> None:
    stage.backend = ShowsImages(stage.clock)
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=WELL)
    first = await deploy(stage, 1, ONE)
    stage.backend.stuck = ONE
    await deploy(stage, 2, TWO)
    stage.rules = Rules(verify=replace(WELL, keep=1800.0))
    stage.clock.after(300.0, lambda: break_(stage))

    assert (await watched(stage, first)).state is State.UNHEALTHY


async def test_what_only_looked_well_is_watched_on_as_well(stage: Stage) -> None:
    stage.backend = ShowsImages(stage.clock, hidden=True)
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=replace(WELL, keep=1800.0))
    stage.clock.after(600.0, lambda: break_(stage))

    ended = await deploy(stage, 1, ONE)

    assert ended.state is State.UNHEALTHY
    assert "healthy, but not proven" in ended.note


@pytest.mark.parametrize("all_of_them", [True, False])
async def test_where_nothing_answers_any_more_nothing_is_called_unhealthy(
    stage: Stage, all_of_them: bool
) -> None:
    """It may be the bridge's own network that is away."""
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=replace(WELL, keep=1800.0))
    await deployed(stage, 1)
    watching = stage.watching(stage.deployer().ending)
    others = watching.verifier.heard

    def silent(url: str) -> Answer:
        others["api.test"] = stage.clock(), not all_of_them
        raise Silent("no answer within 10 s")

    stage.clock.after(600.0, lambda: setattr(stage.site, "answers", silent))
    first = await stage.journal.deployment(f"{1:016d}.{stage.app.id}")
    assert first is not None

    await watching.watch(first.id)

    ended = await stage.now(first)
    assert ended.state is (State.DONE if all_of_them else State.UNHEALTHY)


async def deployed(stage: Stage, seq: int) -> None:
    new = await stage.wish(seq)
    await stage.deployer().run(KeptSteps(), new.id)


async def test_what_was_replaced_before_anybody_looked_is_not_watched_in_a_circle(
    stage: Stage,
) -> None:
    stage.app = replace(stage.app, url="https://web.test")
    stage.rules = Rules(verify=VerifyPolicy(within=20.0))
    deployer = stage.deployer()
    for seq in (1, 2):
        new = await stage.wish(seq)
        await deployer.run(KeptSteps(), new.id)
    first = await stage.journal.deployment(f"{1:016d}.{stage.app.id}")
    assert first is not None
    assert first.state is State.DONE
    rounds = 0
    watched = stage.journal.watched

    async def counted(*given: Any) -> Any:
        nonlocal rounds
        rounds += 1
        return await watched(*given)

    stage.journal.watched = counted  # type: ignore[method-assign,assignment]
    watching = stage.watching(deployer.ending)
    watch = Watch(stage.journal, watching, lambda: [stage.app], stage.clock, poll=3600.0)
    running = asyncio.create_task(watch.run())
    try:
        await until(lambda: stage.now(new), lambda one: one.state is not State.VERIFYING)
        await asyncio.sleep(0.2)  # in which a circle would turn many times
    finally:
        running.cancel()

    assert rounds < 10
    settled = await stage.journal.deployment(first.id)
    assert settled is not None
    assert settled.images == ()
