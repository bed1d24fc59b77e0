"""Statements for many rows at once.

Each statement lets go of the interpreter and fights for it again, which costs more than a row.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

T = TypeVar("T")

MOST_ROWS = 32
"""Rows of one statement; for each number up to it there is one to prepare and keep."""


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """As many at a time as one statement takes."""
    for begin in range(0, len(values), MOST_ROWS):
        yield values[begin : begin + MOST_ROWS]


@cache
def many(sql: str, columns: int, rows: int) -> str:
    """A statement with places for so many values."""
    row = f"({', '.join('?' * columns)})"
    return sql + ", ".join([row] * rows)
