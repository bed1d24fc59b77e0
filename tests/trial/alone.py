"""A bridge of one scenario's own, and answers of Dokploy that it never gets."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bridge.app.storage import open_stores
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.core.people import Actor
from bridge.ports.inbox import NewDelivery
from bridge.settings import read_settings
from tests.fakes.lossy import LossyProxy, lossy
from tests.trial.beside import beside
from tests.trial.bridge import BridgeProcess
from tests.trial.comparing import WITHIN
from tests.trial.dokploy import until
from tests.trial.scene import Scene, Trial


def own_bridge(scene: Scene, **settings: str) -> BridgeProcess:
    """Start a bridge with data of its own, which the scene asks instead of the shared one."""
    trial = scene.trial
    folder = Path(trial.cleanup.enter_context(TemporaryDirectory(prefix="trial-own-")))
    bridge = BridgeProcess(folder, dict(trial.bridge.settings) | settings)
    scene.trial = replace(trial, bridge=bridge)
    trial.cleanup.callback(bridge.leave)
    bridge.start()
    until(
        lambda: any(one["id"] == scene.service.id for one in bridge.json("apps")),
        WITHIN,
        "the scenario's own bridge knows the app",
    )
    return bridge


def as_person(trial: Trial, name: str) -> BridgeProcess:
    """Return the bridge's command line as another person uses it."""
    return replace(trial.bridge, settings=dict(trial.bridge.settings) | {"LOGNAME": name})


def cancel_one(scene: Scene, deployment: str) -> None:
    """Ask to cancel a single deployment, as the button of its card does."""
    asked = Asked(Action.CANCEL, scene.service.id, Actor("cli", "bob"), deployment=deployment)
    id_ = f"cli-{uuid.uuid4().hex}"
    new = NewDelivery(COMMAND_HOST, id_, Action.CANCEL, {}, write_command(asked), time.time())

    async def keep() -> None:
        settings = read_settings(None, scene.trial.bridge.environment())
        async with open_stores(settings) as stores:
            await stores.inbox.keep(new)

    asyncio.run(keep())


def losing_answers(trial: Trial) -> LossyProxy:
    """Start a proxy before Dokploy, in a thread of its own."""
    return trial.cleanup.enter_context(beside(_proxy(trial)))


@asynccontextmanager
async def _proxy(trial: Trial) -> AsyncIterator[LossyProxy]:
    key, url = trial.dokploy.key, trial.dokploy.url
    upstream = httpx.AsyncClient(
        base_url=url, headers={"x-api-key": key}, trust_env=False, timeout=60
    )
    async with upstream, lossy(upstream) as proxy:
        yield proxy
