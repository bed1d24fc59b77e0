"""The workflow engine's own tables, and what is said where they can't be reached."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from dbos._sys_db import SystemDatabase

from bridge.core.errors import Unreachable
from bridge.durable.portable import PORTABLE, refuse_pickles

log = logging.getLogger(__name__)

VERSION = "1"
"""Pinned: by default it is a hash of the source, and a new release would strand what
waits (sharp edge 3). Raise it only with flows that can't replay what older ones recorded."""

NAME = "dokploy-bridge"
"""Ours among other applications in the same tables."""

QUEUE = "flows"


def migrate(engine: sa.Engine) -> None:
    """Bring the engine's own tables up to date, as a launch does; safe from all at once."""
    _system_database(engine).run_migrations()


def _system_database(engine: sa.Engine) -> SystemDatabase:
    """The engine's tables without the engine: it has no public way to them."""
    refuse_pickles()
    return SystemDatabase.create(
        system_database_url=str(engine.url),
        engine_kwargs={},
        engine=engine,
        schema="dbos",
        serializer=PORTABLE,
        executor_id=None,
        app_name=NAME,
        use_listen_notify=False,
        retry_connection_errors=False,
    )


AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.InternalError,  # e.g. a server that only reads, as after a failover
    sa.exc.TimeoutError,
)


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words that the database is away."""
    try:
        yield
    except AWAY as error:
        raise Unreachable("the workflow engine", str(getattr(error, "orig", error))) from error


def dispatch(engine: sa.Engine, executor_id: str, names: Iterable[str]) -> None:
    """Put flows that this process is believed to run back into the queue."""
    system = _system_database(engine)
    for name in names:
        log.warning("a flow stood still", extra={"flow": name})
        system.reenqueue_for_recovery(name, [executor_id], QUEUE)


def give_back(engine: sa.Engine, executor_id: str) -> None:
    """Put our own flows back into the queue, so that nobody waits whether we come back."""
    system = _system_database(engine)
    try:
        for flow in system.get_pending_workflows(executor_id, VERSION):
            system.reenqueue_for_recovery(flow.workflow_id, [executor_id], QUEUE)
    except AWAY as error:  # then a peer takes them over, once it misses us
        log.warning("flows can't be given back", extra={"why": type(error).__name__})
