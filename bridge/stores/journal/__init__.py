"""The journal: apps, decisions, deployments and every change of them, for good.

SQLAlchemy Core over SQLite or Postgres. Each room asks and writes what belongs together, and
has its statements beside it; `transactions` is what they stand on.
"""

import asyncio

from bridge.stores.journal.abouts import Abouts
from bridge.stores.journal.apps import Apps
from bridge.stores.journal.audit import Audit
from bridge.stores.journal.decisions import Decisions
from bridge.stores.journal.deployments import Deployments
from bridge.stores.journal.drafts import Drafts
from bridge.stores.journal.figures import Figures
from bridge.stores.journal.forgetting import Forgetting
from bridge.stores.journal.leases import Leases
from bridge.stores.journal.notes import Notes
from bridge.stores.journal.refusals import Refusals
from bridge.stores.journal.targets import Targets
from bridge.stores.migrations import migrate


class SqlJournal(
    Abouts,
    Apps,
    Audit,
    Decisions,
    Deployments,
    Drafts,
    Figures,
    Forgetting,
    Leases,
    Notes,
    Refusals,
    Targets,
):
    """The journal in a SQL database; one schema on SQLite and Postgres."""

    async def start(self) -> None:
        """Bring the tables up to date."""
        await self._run(lambda: migrate(self._engine))

    async def stop(self) -> None:
        """Finish what runs, then close."""
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.dispose()
