"""People's actions under load: in Dokploy's dashboard, and on the command line."""

import asyncio
import time
from contextlib import suppress

from tests.chaos.dokploy.faults import resets
from tests.chaos.dokploy.jobs import Fate
from tests.chaos.dokploy.services import Service
from tests.chaos.pushes import FRESH
from tests.chaos.stage import Stage
from tests.chaos.troubles import RESTART, slow_builds

SHOWN, WITHIN = 0.5, 10.0
"""Seconds in the queue after which the bridge has surely seen a job, and to wait for one."""

ACTS = 5
"""The number of actions in a scenario."""


async def people_deploy_too(stage: Stage) -> None:
    """Deploy the same apps in the dashboard, with other titles than the bridge's."""
    for _ in range(ACTS):
        await stage.later(stage.pace.outage / ACTS)
        stage.backend.person_deploys(stage.chance.choice(stage.apps))


async def people_deploy_while_asking_fails(stage: Stage) -> None:
    """Lose the bridge's requests, and carry out a person's."""
    for app in stage.apps:
        stage.backend.fail("application.deploy", [resets(arrives=False)], app)
        stage.backend.person_deploys(app)
    await people_deploy_too(stage)


async def somebody_empties_the_queue(stage: Stage) -> None:
    """**Cancel Queues* in the dashboard: drop everything that waits, on purpose."""
    async with slow_builds(stage):
        for _ in range(2):
            await stage.later(stage.pace.outage)
            await _something_waits(stage)
            stage.backend.drop_waiting(Fate.DROPPED)


async def people_cancel(stage: Stage) -> None:
    """Cancel on the command line, while deployments wait, are requested, and run."""
    async with slow_builds(stage):
        for _ in range(3):
            await stage.later(1.0)
            await stage.cancel(stage.chance.choice(stage.apps))


async def people_cancel_and_it_restarts(stage: Stage) -> None:
    """Let the backend forget a cancelled job too, which must not look like a loss."""
    async with slow_builds(stage):
        await asyncio.sleep(1.5)
        going = [job.app for job in stage.backend.every if job.ended is None and not job.by]
        await asyncio.gather(*(stage.cancel(app) for app in dict.fromkeys(going)))
        await stage.backend.restart(RESTART)


async def people_configure_an_app(stage: Stage) -> None:
    """Set another branch, other watch paths, another trigger; push to each at once."""
    sender, mover = stage.senders[0], stage.backend.services["mover"]
    round_ = len(mover.configs)
    branch, folder, tag = f"moved-{round_}", f"folder-{round_}", f"m{round_}.0.0"
    stage.repository.branches[branch] = stage.repository.branches["main"]
    await _picture_is_old(mover)
    mover.change(branch=branch, watch_paths=("mover/**",), trigger="push")
    await sender.once(branch=branch, apps=("mover",), redelivers=True)
    mover.change(watch_paths=(f"{folder}/**",))
    await sender.once(branch=branch, apps=(folder,), redelivers=True)
    mover.change(trigger="tag")
    await sender.once(branch=branch, apps=(folder,), tag=tag, redelivers=True)


async def _something_waits(stage: Stage) -> None:
    """Wait until the backend has something to drop, and has shown it for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(WITHIN):
            while not any(
                job.fate is Fate.WAITING and time.time() - job.created > SHOWN
                for job in stage.backend.every
            ):
                await stage.backend.changed.wait()


async def _picture_is_old(app: Service) -> None:
    """Wait until an app was not read for a while, if possible: a recent reading may be reused."""
    until = time.time() + WITHIN
    while (  # noqa: ASYNC110 - another process reads
        left := app.reads[-1] + FRESH + 0.5 - time.time()
    ) > 0 and time.time() < until:
        await asyncio.sleep(left)
