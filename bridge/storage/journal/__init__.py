"""The journal: apps, decisions, deployments and every change of them.

It uses SQLAlchemy Core over SQLite or Postgres. Each part reads and writes related tables; the
port, `ports.journal`, documents the methods.
"""

import asyncio

from bridge.storage.journal.apps import Apps, Drafts
from bridge.storage.journal.audit import Audit
from bridge.storage.journal.ci import CiFacts
from bridge.storage.journal.decisions import Decisions
from bridge.storage.journal.deployments import Deployments
from bridge.storage.journal.fates import Fates
from bridge.storage.journal.gates import Gates
from bridge.storage.journal.hooks import Hooks
from bridge.storage.journal.locks import Locks
from bridge.storage.journal.maintenance import Figures, Forgetting, Leases, Notes, Refusals
from bridge.storage.journal.native_previews import NativePreviews
from bridge.storage.journal.outcomes import Recording
from bridge.storage.journal.previews import Previews
from bridge.storage.journal.serving import Serves
from bridge.storage.journal.setup import Sessions, StoredSettings
from bridge.storage.journal.snapshots import Subscriptions
from bridge.storage.journal.subjects import Abouts
from bridge.storage.journal.versions import Versions
from bridge.storage.migrations import migrate


class SqlJournal(
    Abouts,
    Apps,
    Audit,
    CiFacts,
    Decisions,
    Deployments,
    Drafts,
    Fates,
    Figures,
    Forgetting,
    Gates,
    Hooks,
    Leases,
    Locks,
    Notes,
    Previews,
    NativePreviews,
    Recording,
    Refusals,
    Serves,
    Sessions,
    StoredSettings,
    Subscriptions,
    Versions,
):
    """The journal in a SQL database; one schema on SQLite and Postgres."""

    async def start(self) -> None:
        """Bring the tables up to date."""
        await self._run(lambda: migrate(self._engine))

    async def stop(self) -> None:
        """Finish running transactions, then close."""
        await asyncio.to_thread(self._pool.shutdown)
        self._engine.dispose()
