"""A bridge of one scenario's own, and answers of Dokploy that it never gets."""

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from bridge.app.storage import open_stores
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.ports.inbox import NewDelivery
from bridge.settings import read_settings
from tests.fakes.lossy import LossyProxy, lossy
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
    asked = Asked(Action.CANCEL, scene.service.id, "cli: bob", deployment=deployment)
    id_ = f"cli-{uuid.uuid4().hex}"
    new = NewDelivery(COMMAND_HOST, id_, Action.CANCEL, {}, write_command(asked), time.time())

    async def keep() -> None:
        settings = read_settings(None, scene.trial.bridge.environment())
        async with open_stores(settings) as stores:
            await stores.inbox.keep(new)

    asyncio.run(keep())


def losing_answers(trial: Trial) -> LossyProxy:
    """Start a proxy before Dokploy, in a thread of its own."""
    return trial.cleanup.enter_context(_proxy(trial))


@contextmanager
def _proxy(trial: Trial) -> Iterator[LossyProxy]:
    ready, done = threading.Event(), threading.Event()
    made: list[LossyProxy] = []

    async def serve() -> None:
        async with (
            httpx.AsyncClient(
                base_url=trial.dokploy.url,
                headers={"x-api-key": trial.dokploy.key},
                trust_env=False,
                timeout=60,
            ) as upstream,
            lossy(upstream) as proxy,
        ):
            made.append(proxy)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield made[0]
    finally:
        done.set()
        thread.join()
