"""Broken versions under load: people unlock what the bridge has locked, and go back themselves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bridge.app.storage import open_stores
from bridge.core.errors import BridgeError
from bridge.core.gates.locks import Lock
from tests.chaos.dokploy.jobs import Fate
from tests.chaos.gates import APPROVED, GATED, approving
from tests.chaos.ledgers import all_quiet
from tests.chaos.pushes import Push
from tests.chaos.sender import Sender
from tests.chaos.stage import Stage
from tests.fakes.host import Spoil
from tests.worlds.setup import command

BROKEN, FORCED = 0.4, 0.3
PAUSE = (0.4, 1.6)
"""Seconds between two pushes to a branch: some come while the one before is watched."""

WITHIN = 10.0
"""Seconds to wait for an instant; if it does not come, it is left out."""

REST = 2.0
"""Seconds in which what has become of an app is not covered by another push."""

BREAKS: dict[str, Any] = {
    "verified": True,
    "pulls": False,
    "rules": {APPROVED: GATED[APPROVED]},
}
"""The arguments of a stage for it: one app's versions also wait for an approval."""

GO_BACK = 2
"""How many apps a person goes back with."""


async def first_versions(stage: Stage) -> None:
    """Push a version of each app that works, until it is live; from then on many do not."""
    for sender in stage.senders:
        await sender.once(apps=sender.apps)
    async with attended(stage):
        await all_quiet(stage)
    for sender in stage.senders:
        sender.habits.broken, sender.habits.forced, sender.pause = BROKEN, FORCED, PAUSE


@asynccontextmanager
async def attended(stage: Stage) -> AsyncIterator[None]:
    """Approve what waits for it and remove each lock of a rollback, a little later, for a while."""
    opened = open_stores(stage.fleet.settings)
    async with approving(stage), opened as stores, asyncio.TaskGroup() as tasks:

        async def unlock(lock: Lock) -> None:
            await stage.later(1.5)
            with suppress(BridgeError):  # the journal is away: the next round tries again
                await stores.journal.release_lock(lock.scope, [lock.scope.removeprefix("app/")])

        async def unlock_all() -> None:
            while True:
                with suppress(BridgeError):
                    await asyncio.gather(*map(unlock, await stores.journal.locks()))
                await asyncio.sleep(0.2)

        running = tasks.create_task(unlock_all())
        yield
        running.cancel()


# ── what comes while a broken version is watched ─────────────────────────────────────────────────


async def another_broken_one_comes(stage: Stage) -> None:
    """Two broken versions within one watch: the first of them is no way back."""
    async with _broken(stage) as (sender, app):
        await sender.once(apps=(app,), broken=True, redelivers=True)


async def a_fix_fails_to_build(stage: Stage) -> None:
    """The newer version never goes live, so the broken one is still to be left."""
    async with _broken(stage) as (sender, app):
        stage.backend.doomed.add(app)
        await sender.once(apps=(app,), broken=False, redelivers=True)
    stage.backend.doomed.discard(app)


async def a_fix_waits_for_the_host(stage: Stage) -> None:
    """The host does not tell which files differ before the bridge has gone back by itself."""
    async with _broken(stage, host="github") as (sender, app):
        stage.github.spoil(Spoil(hang=True), path="/compare/", times=1000)
        await sender.once(apps=(app,), broken=False, forced=True, redelivers=True)
        await _until(stage, lambda: (served := stage.backend.serves(app)) and served.back)
        stage.github.mend()


@asynccontextmanager
async def _broken(stage: Stage, host: str = "") -> AsyncIterator[tuple[Sender, str]]:
    """Have an app serve a broken version; nothing else is pushed to it as long as the block lasts.

    The backend may be slow to build it: then the block finds it as it is.
    """
    async with _left_alone(stage, host) as (sender, app):
        push = await sender.once(apps=(app,), broken=True, redelivers=True)
        await _until(stage, lambda: _built(stage, app, push))
        yield sender, app


@asynccontextmanager
async def _left_alone(stage: Stage, host: str = "") -> AsyncIterator[tuple[Sender, str]]:
    """Push nothing else to an app as long as the block lasts, and for a little longer."""
    some = [one for one in stage.senders if len(one.apps) > 1 and host in ("", one.origin.host)]
    sender = stage.chance.choice(some)
    services = stage.backend.services  # without watch paths, every push deploys an app
    app = stage.chance.choice([one for one in sender.apps if services[one].now.watch_paths])
    sender.apps.remove(app)
    try:
        yield sender, app
    finally:
        await asyncio.sleep(REST)
        sender.apps.append(app)


def _built(stage: Stage, app: str, push: Push) -> bool:
    """Return whether its own deployment is live, not only an earlier one with the same commit."""
    of_it = (one for one in stage.backend.ledger if (one.app, one.delivery) == (app, push.id))
    return any(one.job.fate is Fate.DONE for one in of_it)


async def _until(stage: Stage, so: Callable[[], object]) -> None:
    """Wait until something is so, or for some seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(WITHIN):
            while not so():
                await stage.backend.changed.wait()


# ── what people do ──────────────────────────────────────────────────────────────────────────────


async def somebody_deploys_what_differs(stage: Stage) -> None:
    """Deploy an app in the dashboard after a push that does not concern it.

    So its commit is another one than that of the app's last deployment, which nobody watches then.
    """
    async with _left_alone(stage) as (sender, app):
        push = await sender.once(apps=(app,), broken=False, redelivers=True)
        await _ended(stage, app, push)
        await sender.once(apps=sender.apps[:1], redelivers=True)
        stage.backend.person_deploys(app)
        await _until(stage, lambda: (served := stage.backend.serves(app)) and served.job.by)


async def _ended(stage: Stage, app: str, push: Push) -> None:
    """Wait until the bridge calls the deployment of a push ended, or for some seconds."""
    async with open_stores(stage.fleet.settings) as stores:
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                while True:
                    with suppress(BridgeError):
                        newest = await stores.journal.deployments(limit=1, app_id=app)
                        if newest and newest[0].commit == push.after and newest[0].final:
                            return
                    await asyncio.sleep(0.2)


async def people_go_back(stage: Stage) -> None:
    """Go back by the command line, to whatever version was verified before."""
    for _ in range(GO_BACK):
        await stage.later(stage.pace.outage)
        app = stage.chance.choice([app for sender in stage.senders for app in sender.apps])
        await command("rollback", f"shop/{app}", "--yes", **stage.fleet.variables)
