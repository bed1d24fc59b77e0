"""A table of cases as one test: thousands of tests cost more than what they try."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any

import pytest


def each_row(
    names: str | tuple[str, ...],
    rows: Iterable[Any],
    *,
    ids: Iterable[str] | Callable[[Any], object] = repr,
) -> Callable[..., Any]:
    """Try every row of a table, and fail with all that are wrong; otherwise as `parametrize`.

    The fixtures of the test are those of all rows together.
    """
    columns = tuple(names.split(",")) if isinstance(names, str) else names
    given = list(rows)
    table = [_values(row, len(columns)) for row in given]
    named = [str(ids(row)) for row in given] if callable(ids) else list(ids)

    def of_one(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def of_all(**fixtures: Any) -> None:
            assert table, "a table without rows tries nothing"
            wrong: list[BaseException] = []
            for name, row in zip(named, table, strict=True):
                try:
                    test(**dict(zip(columns, row, strict=True)), **fixtures)
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - all are told
                    error.add_note(f"in the row {name}")
                    wrong.append(error)
            if wrong:
                raise BaseExceptionGroup(f"{len(wrong)} of {len(table)} rows are wrong", wrong)

        asked = signature(test)
        others = [one for name, one in asked.parameters.items() if name not in columns]
        of_all.__signature__ = asked.replace(parameters=others)  # type: ignore[attr-defined]
        return of_all

    return of_one


def _values(row: Any, width: int) -> tuple[Any, ...]:
    if hasattr(row, "marks"):  # a `pytest.param`
        assert not row.marks, "a row is not marked by itself"
        return tuple(row.values)
    return (row,) if width == 1 else tuple(row)
