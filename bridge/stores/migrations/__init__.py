"""The journal's schema, step by step; run at start-up.

Alembic is imported only when there is something to do, since it takes as long to import
as all the rest of a start.
"""

from pathlib import Path

import sqlalchemy as sa

from bridge.core.errors import Rejected
from bridge.stores.dialects import lock
from bridge.stores.engines import WRITES

HEAD = "0011"
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


def _done(db: sa.Connection) -> bool:
    revision = _revision(db)
    if revision is not None and revision > HEAD:
        raise Rejected(
            f"the journal was written by a newer release (its tables are at {revision}, this"
            f" release knows {HEAD}): run that release, or choose another BRIDGE_DATA"
        )
    return revision == HEAD


def _revision(db: sa.Connection) -> str | None:
    if not sa.inspect(db).has_table("alembic_version"):
        return None
    revision: str | None = db.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision
