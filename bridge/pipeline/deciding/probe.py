"""Probe backends at the start and on a timer, for their versions and for warnings."""

import asyncio
import logging
from collections.abc import Mapping

from bridge.core.errors import BridgeError
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.leader import Turn, at_once
from bridge.ports.backends import Backend
from bridge.ports.clock import Sleep

log = logging.getLogger(__name__)

UNTOLD = "older than it tells"


class Probe:
    """Logs each change once: a new version, or a new warning."""

    def __init__(
        self,
        backends: Mapping[str, Backend],
        catalog: Catalog,
        *,
        every: float = 300.0,
        sleep: Sleep = asyncio.sleep,
        turn: Turn = at_once,
    ) -> None:
        """Take the parts.

        Args:
            every: seconds between two probes.
            turn: returns once it is this process's turn.
        """
        self._backends = backends
        self._catalog = catalog
        self._every = every
        self._sleep = sleep
        self._turn = turn
        self._warned: set[str] = set()
        self.versions: dict[str, str] = {}
        """The version of each backend that has answered."""

    async def run(self) -> None:
        """Probe as long as the process lives."""
        await self._catalog.ready.wait()
        while True:
            await self._turn()
            try:
                await self.look()
            except Exception:  # a failed probe must not stop deployments
                log.exception("probing failed unexpectedly")
            await self._sleep(self._every)

    async def look(self) -> None:
        """Probe every backend once."""
        for name, backend in self._backends.items():
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
        both = {app.id: app.label for app in self._catalog.all() if app.deploys_twice}
        for id_, label in both.items():
            if id_ not in self._warned:
                log.warning(
                    "auto deploy is on at the backend: pushes deploy twice; `adopt` turns it off",
                    extra={"app": label},
                )
        self._warned = set(both)
