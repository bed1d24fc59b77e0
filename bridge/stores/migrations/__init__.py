"""The journal's schema, step by step; run at start-up.

Alembic is imported only when there is something to do, since it takes as long to import
as all the rest of a start.
"""

from pathlib import Path

import sqlalchemy as sa

HEAD = "0001"
"""The newest revision in `versions/`; a test holds them together."""


def migrate(engine: sa.Engine) -> bool:
    """Bring the journal's tables to `HEAD`; True when something was done."""
    if _revision(engine) == HEAD:
        return False
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
