"""What is served is watched: for how long, what pauses it, and what ends it."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App, Rules
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.deploying.watch import Watch
from bridge.ports.probes import Answer, Silent
from tests.fakes.journey import KeptSteps
from tests.worlds.deployer import ShowsImages, Stage, deploy, image_of
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


async def watched(stage: Stage, one: Deployment) -> Deployment:
    await stage.watching(stage.deployer().ending).watch(one.id)
    return await stage.now(one)


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
