"""Begin a flow that was just enqueued at once, where nothing of its key is before it.

The engine's own poll searches all keys and rebuilds its statements each time, so a flow begins
about 6 ms after it was enqueued. Here one statement, built once, claims the flow as the poll would.
If something of the same key runs or waits, the flow is left to the poll.

This is for SQLite, where one process has all flows and transactions that write exclude each other.
"""

import logging
import time
import uuid

import sqlalchemy as sa
from dbos import DBOS
from dbos._core import execute_dequeued_workflow

from bridge.durable.system import NAME, QUEUE, VERSION

log = logging.getLogger(__name__)

LONE = 0.05
"""A flow that is enqueued within this many seconds of the last one is left to the poll.

Flows of a burst share the engine's polls, which costs less.
"""

_IN_FLIGHT = [sa.literal_column(f"'{one}'", sa.Text) for one in ("ENQUEUED", "PENDING")]
"""Literals, since SQLite uses the partial index only if its condition is repeated."""


class Claims:
    """Claims flows for this process."""

    def __init__(self, engine: DBOS, executor_id: str) -> None:
        """Build the statement."""
        self._engine = engine
        self._system = engine._sys_db  # noqa: SLF001 - its public ways only enqueue
        self._last = -LONE
        self._claim = self._statement(executor_id)

    def lone(self) -> bool:
        """Return whether no other flow was enqueued just before, and note that this one was."""
        before, self._last = self._last, time.monotonic()
        return self._last - before >= LONE

    def begin(self, name: str, key: str) -> bool:
        """Begin a flow if it is the only one of its key; return whether it has begun.

        Call it in a thread: it waits for the database.
        """
        token = str(uuid.uuid4())
        try:
            with self._system.engine.begin() as db:
                claimed = db.execute(self._claim, {"its_name": name, "its_key": key, "its": token})
            if claimed.rowcount == 0:
                return False
            (status,) = self._system.get_workflow_statuses([name])
            execute_dequeued_workflow(self._engine, status, token)
        except Exception:  # whatever failed, the row is in the queue or is found as orphaned
            log.exception("a flow does not begin at once", extra={"flow": name})
            return False
        return True

    def _statement(self, executor_id: str) -> sa.Update:
        """Return the engine's own change of a row, for a flow that is alone."""
        t = self._system.tables.workflow_status
        name, key = sa.bindparam("its_name", type_=sa.Text), sa.bindparam("its_key", type_=sa.Text)
        other = t.alias("other")
        before = (
            sa.select(other.c.workflow_uuid)
            .where((other.c.queue_name == QUEUE) & (other.c.queue_partition_key == key))
            .where(other.c.status.in_(_IN_FLIGHT) & (other.c.workflow_uuid != name))
        )
        now = self._system._now_ms_sql()  # noqa: SLF001 - the clock that its rows are compared by
        return (
            sa.update(t)
            .where((t.c.workflow_uuid == name) & (t.c.status == "ENQUEUED"))
            .where((t.c.queue_name == QUEUE) & ~before.exists())
            .values(
                status="PENDING",
                owner_xid=sa.bindparam("its", type_=sa.Text),
                executor_id=executor_id,
                application_version=VERSION,
                application_name=NAME,
                started_at_epoch_ms=now,
                updated_at=now,
                rate_limited=False,
                recovery_attempts=t.c.recovery_attempts + 1,
            )
        )
