"""Inserts that leave alone what is there, and long lists in parts."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

MANY = 500
"""Values in one statement: a database takes some thousands, and the text of each is compiled."""


def add_new(db: sa.Connection, table: sa.Table, values: Sequence[dict[str, Any]]) -> int:
    """Insert rows, except for those whose key is there; says how many are new.

    Two processes may add the same at once, so looking first is not enough.
    """
    if not values:
        return 0
    insert = postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert
    return db.execute(insert(table).on_conflict_do_nothing(), list(values)).rowcount


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in parts that fit into one statement."""
    return (values[start : start + MANY] for start in range(0, len(values), MANY))
