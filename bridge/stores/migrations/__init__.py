"""The journal's schema, step by step; run at start-up.

Alembic is imported only when there is something to do, since it takes as long to import
as all the rest of a start.
"""

from pathlib import Path

import sqlalchemy as sa

from bridge.core.errors import Rejected

HEAD = "0004"
"""The newest revision in `versions/`, whose names count up; a test holds them together."""


def migrate(engine: sa.Engine) -> bool:
    """Bring the journal's tables to `HEAD`; True when something was done.

    Raises:
        Rejected: a newer release has made them.
    """
    revision = _revision(engine)
    if revision == HEAD:
        return False
    if revision is not None and revision > HEAD:
        raise Rejected(
            f"the journal was written by a newer release (its tables are at {revision}, this"
            f" release knows {HEAD}): run that release, or choose another BRIDGE_DATA"
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def _revision(engine: sa.Engine) -> str | None:
    if not sa.inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return revision
