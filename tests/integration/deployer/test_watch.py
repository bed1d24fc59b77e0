"""The loop that watches what is served: it takes each up once, and rests when there is nothing."""

import asyncio
from dataclasses import replace
from typing import Any

from bridge.core.apps import Rules
from bridge.core.health.policy import VerifyPolicy
from bridge.core.lifecycle import State
from bridge.pipeline.watch import Watch
from tests.fakes.journey import KeptSteps
from tests.worlds.deployer import Stage
from tests.worlds.embedded import until


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
