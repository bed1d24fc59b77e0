"""Faults of the backend and of its connection, under load."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.dokploy import made
from tests.chaos.recording_backend import answers_late, cuts_json, resets, says, says_nothing
from tests.chaos.stage import Stage

SLOW = 0.6
"""Seconds of a build, if some must be caught while they wait or run."""

RESTART = 2.5
"""Seconds that a restart takes; a real one takes at least seven, so that every look notices it."""

LAG = 1.0
"""Seconds that a caching proxy keeps an answer."""


@asynccontextmanager
async def slow_builds(stage: Stage) -> AsyncIterator[None]:
    """Slow builds down meanwhile, so others wait for them."""
    usual = stage.backend.build_seconds
    stage.backend.build_seconds = max(usual, SLOW)
    try:
        yield
    finally:
        stage.backend.build_seconds = usual


# ── The connection ────────────────────────────────────────────────────────────────────────────────


async def backend_away(stage: Stage) -> None:
    await stage.later(0.5)
    await stage.backend.go_away()
    await asyncio.sleep(stage.pace.outage)
    await stage.backend.come_back()


async def backend_fails(stage: Stage) -> None:
    """Failed requests never arrive.

    At most once per app without a clear answer: after two of these the outcome is unknown, by
    design.
    """
    for app in stage.apps:
        unclear = stage.chance.choice((says(500), resets(arrives=False), cuts_json(arrives=False)))
        stage.backend.fail("application.deploy", [says(429, after="1"), unclear], app)
        stage.backend.fail("deployment.all", [says(503), resets(arrives=False)], app)
    await asyncio.sleep(stage.pace.outage)


async def backend_cuts_off_after_accepting(stage: Stage) -> None:
    """It carries out requests, and the answers are lost."""
    for app in stage.apps:
        cuts = [resets(arrives=True), cuts_json(arrives=True)]
        stage.backend.fail("application.deploy", cuts, app)
    await asyncio.sleep(stage.pace.outage)


async def backend_cuts_off_previews(stage: Stage) -> None:
    """It makes, changes and removes the bridge's own apps, and answers get lost; or it fails."""
    for procedure in made.CHANGES:
        lost = [resets(arrives=True), says_nothing(arrives=True), cuts_json(arrives=True)]
        failed = [says(500), resets(arrives=False), says(429, after="1")]
        stage.backend.fail(procedure, stage.chance.sample(lost + failed, 4))
    await asyncio.sleep(2 * stage.pace.outage)


async def backend_answers_late(stage: Stage) -> None:
    """It answers too late for the bridge, or just in time, or never."""
    for app in stage.apps:
        late = [answers_late(stage.chance.uniform(0.5, 4.5)), says_nothing(arrives=True)]
        stage.backend.fail("application.deploy", late, app)
    await asyncio.sleep(stage.pace.outage)


async def backend_lists_late(stage: Stage) -> None:
    """Put it behind a caching proxy: lists are old, and the next one may be even older."""
    stage.backend.proxy.seconds = LAG
    await asyncio.sleep(stage.pace.outage + LAG)
    stage.backend.proxy.seconds = 0.0


# ── The server ────────────────────────────────────────────────────────────────────────────────────


async def builds_fail(stage: Stage) -> None:
    """Let half of the builds fail, for one reason or another."""
    stage.backend.failing = 0.5
    await asyncio.sleep(stage.pace.outage + 2.0)
    stage.backend.failing = 0.0


async def backend_restarts(stage: Stage) -> None:
    """It forgets waiting jobs, and interrupts builds."""
    async with slow_builds(stage):
        await asyncio.sleep(1.5)
        await stage.backend.restart(RESTART)
        await asyncio.sleep(0.5)


async def backend_loses_its_database(stage: Stage) -> None:
    """It refuses every key, builds end unseen, and waiting jobs vanish."""
    async with slow_builds(stage):
        await asyncio.sleep(1.5)
        await stage.backend.lose_database(stage.pace.outage + 2.0)


async def log_folders_are_removed(stage: Stage) -> None:
    """A person clears old deployments: builds that fail then stay `running` for ever."""
    async with slow_builds(stage):
        stage.backend.failing = 0.6
        for _ in range(2):
            await asyncio.sleep(1.5)
            for app in stage.apps:
                stage.backend.remove_logs(app)
        await asyncio.sleep(SLOW)
        stage.backend.failing = 0.0


async def log_folders_are_removed_and_it_restarts(stage: Stage) -> None:
    """Stuck ones are then `cancelled`."""
    await log_folders_are_removed(stage)
    await stage.backend.restart(RESTART)
