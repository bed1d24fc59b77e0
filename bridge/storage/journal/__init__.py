"""The journal: apps, decisions, deployments and every change of them.

It uses SQLAlchemy Core over SQLite or Postgres. Each part reads and writes related tables; the
parts' ports document the methods (`ports.journal`).
"""

import asyncio

from bridge.storage.journal.apps import Apps
from bridge.storage.journal.audit import Audit
from bridge.storage.journal.ci import CiFacts
from bridge.storage.journal.decisions import Decisions, Refusals
from bridge.storage.journal.deployments import Deployments
from bridge.storage.journal.gates import Gates
from bridge.storage.journal.hooks import Hooks
from bridge.storage.journal.maintenance import Figures, Forgetting
from bridge.storage.journal.notes import Notes, Sessions
from bridge.storage.journal.outcomes import Recording
from bridge.storage.journal.previews import Previews
from bridge.storage.journal.searching import Searching
from bridge.storage.journal.serving import Serves
from bridge.storage.journal.snapshots import Subscriptions
from bridge.storage.migrations import migrate


class SqlJournal(
    Apps,
    Audit,
    CiFacts,
    Decisions,
    Deployments,
    Figures,
    Forgetting,
    Gates,
    Hooks,
    Notes,
    Previews,
    Recording,
    Refusals,
    Searching,
    Serves,
    Sessions,
    Subscriptions,
):
    """The journal in a SQL database; one schema on SQLite and Postgres."""

    async def start(self) -> None:
        """Bring the tables up to date."""
        await self._run(lambda: migrate(self._engine))

    async def stop(self) -> None:
        """Finish running transactions, then close."""
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.dispose()
