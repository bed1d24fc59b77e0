"""Inserts that leave alone what is there, and long lists in parts."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bridge.stores.dialects import on_postgres

T = TypeVar("T")

MANY = 500
"""Values in one statement: a database takes some thousands, and the text of each is compiled."""


def add_new(
    db: sa.Connection, table: sa.Table, values: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Insert rows, except for those whose key is there; the keys of those that are new.

    Two processes may add the same at once, so looking first is not enough.
    """
    if not values:
        return []
    insert = postgresql.insert if on_postgres(db) else sqlite.insert
    query = insert(table).on_conflict_do_nothing().returning(*table.primary_key.columns)
    return [tuple(key) for key in db.execute(query, list(values))]


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in parts that fit into one statement."""
    return (values[start : start + MANY] for start in range(0, len(values), MANY))
