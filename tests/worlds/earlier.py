"""Journals of earlier releases."""

from pathlib import Path

import sqlalchemy as sa

EARLIER = ("0003", "0009", "0011", "0012")
"""Revisions in order; `tests/fixtures/journal` has what each added to its predecessor."""

_FIXTURES = Path(__file__).parents[1] / "fixtures" / "journal"


def make_earlier(engine: sa.Engine, revision: str) -> None:
    """Create the tables of a revision, with some data."""
    name = "postgres" if engine.dialect.name == "postgresql" else engine.dialect.name
    with engine.begin() as db:
        for added in EARLIER[: EARLIER.index(revision) + 1]:
            for statement in (_FIXTURES / f"{name}-{added}.sql").read_text().split(";\n"):
                if statement.strip():
                    db.exec_driver_sql(statement)
        db.execute(sa.text("INSERT INTO meta VALUES ('instance', 'kept')"))
