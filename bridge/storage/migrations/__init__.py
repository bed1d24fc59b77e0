"""The journal's schema; brought up to date at start-up.

New tables are created as `tables.metadata` describes them; tables from before the first release get
their missing parts the same way. Later changes are Alembic migrations in `versions/`. Alembic is
imported only if one has to run, since its import takes as long as the rest of a start.

The revision covers all stored data, not only the journal: an incompatible change of the inbox's or
the workflows' tables needs a revision here as well, even if it is empty. An older release then
refuses to start, instead of failing at every webhook.
"""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

from bridge.core.errors import Rejected
from bridge.storage.engines import WRITES, lock
from bridge.storage.tables import metadata

FIRST_RELEASE = "0012"
"""The revision of the first release; those before it only added tables, columns and indexes."""

HEAD = "0034"
"""The newest revision in `versions/`, whose names count up; a test compares them."""

_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""The table as Alembic itself creates it."""


def migrate(engine: sa.Engine) -> bool:
    """Bring the journal's tables to `HEAD`; return whether anything was done.

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
            if _done(db):  # another process was faster
                return False
            _upgrade(db)
    return True


def _upgrade(db: sa.Connection) -> None:
    revision = _revision(db)
    if revision is None or revision < FIRST_RELEASE:
        _complete(db)
        _stamp(db)
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = db
    command.upgrade(config, "head")


def _complete(db: sa.Connection) -> None:
    """Add the tables, columns and indexes that are missing."""
    there = sa.inspect(db)
    for table in metadata.sorted_tables:
        if not there.has_table(table.name):
            table.create(db)
            continue
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns:
                described = CreateColumn(column).compile(dialect=db.dialect)
                db.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {described}"))
        indexes = {index["name"] for index in there.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in indexes:
                index.create(db)


def _stamp(db: sa.Connection) -> None:
    """Note the revision as Alembic does."""
    _version.create(db, checkfirst=True)
    db.execute(sa.delete(_version))
    db.execute(sa.insert(_version).values(version_num=HEAD))


def refuse_newer(db: sa.Connection) -> str | None:
    """Return the revision of the tables; None if there are none.

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
    revision: str | None = db.scalar(sa.select(_version.c.version_num))
    return revision
