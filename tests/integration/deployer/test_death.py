"""The process dies at any moment and starts again: nothing is asked for twice."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.apps import Rules
from bridge.core.lifecycle import Deployment, State
from bridge.core.policies import VerifyPolicy
from bridge.ports.backends import Progress
from bridge.ports.probes import Answer
from tests.fakes.journey import HEAD, Death, KeptSteps, Lifetime
from tests.worlds.deployer import SILENT, Stage


@pytest.mark.parametrize(("down", "pinned"), [(0.0, "dep-2"), (2.0, "dep-2"), (60.0, None)])
async def test_a_crash_after_the_call_and_before_the_record_adopts(
    stage: Stage, down: float, pinned: str | None
) -> None:
    """After two seconds it builds; after sixty it has ended, and its title was overwritten.

    Then nothing proves that the call arrived, so the record may as well be a person's.
    """
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
    assert (ended.state, ended.backend_id, ended.deployed_commit) == (State.DONE, pinned, HEAD)
    assert ("does not say whether" in ended.note) is (pinned is None)


async def _dying(*_args: Any, **_others: Any) -> None:
    raise Death


SCENARIOS: dict[str, dict[str, Any]] = {
    "plain": {},
    "listed late": {"listed_after": 6.0},
    "over at once": {"waits": 0.0, "builds": 0.1},
    "fails": {"ending": Progress.ERROR, "error": "no"},
    "too old to list its queue": {"tells_queue": False},
    "does not answer": {},
    "healthy late": {},
    "unhealthy": {},
}


def scene(name: str) -> Stage:
    stage = Stage.make(**{"waits": 0.5, "builds": 1.0} | SCENARIOS[name])
    if name == "does not answer":
        stage.backend.next("deploy", SILENT, arrives=True)
    if name in ("healthy late", "unhealthy"):
        well_at = stage.clock.now + (12.0 if name == "healthy late" else 1e9)
        stage.app = replace(stage.app, url="https://web.test")
        stage.rules = Rules(verify=VerifyPolicy(within=30.0))
        stage.site.answers = lambda url: Answer(url, 200 if stage.clock.now > well_at else 500, "")
    return stage


async def live(
    stage: Stage, new: Deployment, steps: KeptSteps, life: Lifetime | None = None
) -> None:
    """The flow, and the watch over what it has brought."""
    deployer = stage.deployer(life)
    await deployer.run(steps, new.id)
    if (await stage.now(new)).state is State.VERIFYING:
        await stage.watching(deployer.ending).watch(new.id)


async def lives(stage: Stage, deaths: list[int], down: float = 3.0) -> Deployment:
    """The flow through several lives, each of which ends at its moment; the last one does not."""
    new, steps = await stage.wish(), KeptSteps()
    for moment in deaths:
        try:
            await live(stage, new, steps, Lifetime(moment))
        except Death:
            stage.clock.now += down
    await live(stage, new, steps)
    return await stage.now(new)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
async def test_death_at_any_moment_never_asks_twice(name: str) -> None:
    whole = scene(name)
    life = Lifetime()
    new = await whole.wish()
    await live(whole, new, KeptSteps(), life)
    expected = await whole.now(new)
    await whole.journal.stop()
    assert life.moments > 15

    for moment in life.distinct():
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
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_death_again_and_again_never_asks_twice(
    deaths: list[int], down: float, name: str
) -> None:
    stage = scene(name)
    ended = await lives(stage, deaths, down)
    await stage.journal.stop()

    assert stage.backend.asked == 1
    assert ended.state in (State.DONE, State.FAILED, State.UNHEALTHY)
