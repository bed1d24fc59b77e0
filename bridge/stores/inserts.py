"""Inserts that leave alone what is there, and long lists in parts."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.stores.dialects import on_postgres

T = TypeVar("T")

MANY = 500
"""Values in one statement: a database takes some thousands, and the text of each is compiled."""


def insert_into(db: sa.Connection, table: sa.Table) -> Any:
    """An insert that can say what to do with rows that are there.

    Only the dialect that is used is imported: a command waits for each, and Postgres's is large.
    """
    if on_postgres(db):
        from sqlalchemy.dialects.postgresql import insert as of_postgres

        return of_postgres(table)
    from sqlalchemy.dialects.sqlite import insert as of_sqlite

    return of_sqlite(table)


def add_new(
    db: sa.Connection, table: sa.Table, values: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Insert rows, except for those whose key is there; the keys of those that are new.

    Two processes may add the same at once, so looking first is not enough.
    """
    if not values:
        return []
    query = insert_into(db, table).on_conflict_do_nothing()
    query = query.returning(*table.primary_key.columns)
    return [tuple(key) for key in db.execute(query, list(values))]


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in parts that fit into one statement."""
    return (values[start : start + MANY] for start in range(0, len(values), MANY))
