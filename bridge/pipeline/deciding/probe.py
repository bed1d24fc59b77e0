"""Probe backends at the start and on a timer, for their versions and for warnings."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field

from bridge.core.errors import BridgeError
from bridge.pipeline.background import Turn, at_once
from bridge.pipeline.deciding.catalog import Catalog
from bridge.ports.backends import Backend
from bridge.ports.clock import Sleep

log = logging.getLogger(__name__)

UNTOLD = "older than it tells"


@dataclass(eq=False)
class Probe:
    """Logs each change once: a new version, or a new warning."""

    backends: Mapping[str, Backend]
    catalog: Catalog
    _: KW_ONLY
    every: float = 300.0
    sleep: Sleep = asyncio.sleep
    turn: Turn = at_once
    _warned: set[str] = field(default_factory=set, init=False)
    versions: dict[str, str] = field(default_factory=dict, init=False)
    """The version of each backend that has answered."""

    async def run(self) -> None:
        await self.catalog.ready.wait()
        while True:
            await self.turn()
            try:
                await self.look()
            except Exception:  # a failed probe must not stop deployments
                log.exception("probing failed unexpectedly")
            await self.sleep(self.every)

    async def look(self) -> None:
        for name, backend in self.backends.items():
            try:
                version = await backend.version() or UNTOLD
            except BridgeError as error:
                log.warning("backend can't be probed", extra={"backend": name, "why": str(error)})
                continue
            if self.versions.get(name) != version:
                log.info("backend probed", extra={"backend": name, "version": version})
                self.versions[name] = version
        self._warn_of_auto_deploy()

    def _warn_of_auto_deploy(self) -> None:
        both = {app.id: app.label for app in self.catalog.all() if app.deploys_twice}
        for id_, label in both.items():
            if id_ not in self._warned:
                log.warning(
                    "auto deploy is on at the backend: pushes deploy twice; `adopt` turns it off",
                    extra={"app": label},
                )
        self._warned = set(both)
