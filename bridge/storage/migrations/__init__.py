"""The journal's schema, step by step; run at start-up.

Alembic is imported only when there is something to do, since it takes as long to import
as all the rest of a start.

The revision stands for all that is stored, not for the journal alone: a change of the inbox's or
the workflows' tables that older releases can't work with comes with a revision here as well, if
only an empty one. An older release then refuses to start, rather than to fail at every webhook.
"""

from pathlib import Path

import sqlalchemy as sa

from bridge.core.errors import Rejected
from bridge.storage.engines import WRITES, lock

HEAD = "0012"
"""The newest revision in `versions/`, whose names count up; a test holds them together."""


def migrate(engine: sa.Engine) -> bool:
    """Bring the journal's tables to `HEAD`; True when something was done.

    Safe from any number of processes at once: one does it, the others wait.

    Raises:
        Rejected: a newer release has made them.
    """
    with engine.connect() as connection:
        if _done(connection):
            return False
    with engine.connect() as connection:
        db = connection.execution_options(**{WRITES: True})
        with db.begin():
            lock(db, "migrate")
            if _done(db):  # another was faster
                return False
            _upgrade(db)
    return True


def _upgrade(db: sa.Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = db
    command.upgrade(config, "head")


def refuse_newer(db: sa.Connection) -> str | None:
    """Return the revision of the tables, None where there are none.

    Raises:
        Rejected: a newer release has made them.
    """
    revision = _revision(db)
    if revision is not None and revision > HEAD:
        raise Rejected(
            f"the data was written by a newer release (its tables are at {revision}, this"
            f" release knows {HEAD}): run that release, or restore the copy from before the"
            " upgrade (docs/upgrading.md)"
        )
    return revision


def _done(db: sa.Connection) -> bool:
    return refuse_newer(db) == HEAD


def _revision(db: sa.Connection) -> str | None:
    if not sa.inspect(db).has_table("alembic_version"):
        return None
    revision: str | None = db.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision
