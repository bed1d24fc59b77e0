"""Check everything, as `doctor` does, while the bridge runs in this process."""

import asyncio
from dataclasses import dataclass

from bridge.app.doctor.collect import examine_all
from bridge.app.doctor.settings import unreadable
from bridge.app.setup_changes import SettingUp
from bridge.core.errors import Rejected
from bridge.ports.checks import Finding, in_order
from bridge.ports.journal import Journal


@dataclass(slots=True)
class Checkup:
    """Examines the whole set-up, once at a time; later callers wait for the same findings."""

    setting_up: SettingUp
    journal: Journal
    _running: "asyncio.Task[list[Finding]] | None" = None

    async def findings(self) -> list[Finding]:
        """Return what is found with the settings as they are stored now."""
        if self._running is None:
            self._running = asyncio.create_task(self._examine())
            self._running.add_done_callback(self._over)
        return await asyncio.shield(self._running)  # others may wait for it, too

    def _over(self, _task: object) -> None:
        self._running = None

    async def _examine(self) -> list[Finding]:
        try:
            settings = await self.setting_up.settings()
        except Rejected as error:
            return [unreadable(error)]
        return in_order([one async for one in examine_all(settings, self.journal)])
