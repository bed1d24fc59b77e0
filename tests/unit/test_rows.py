"""A table that is one test tells all of its wrong rows, and hides none."""

import pytest

from tests.worlds.rows import each_row


def test_each_wrong_row_is_told_by_its_name() -> None:
    @each_row("number,half", [(2, 1), pytest.param(3, 1, id="odd"), (4, 3), (6, 3)])
    def test(number: int, half: int) -> None:
        assert number == half * 2

    with pytest.raises(BaseExceptionGroup, match="2 of 4 rows are wrong") as told:
        test()

    notes = [one.__notes__[0] for one in told.value.exceptions]
    assert "'odd'" in notes[0]
    assert notes[1] == "in the row (4, 3)"


def test_what_was_not_raised_is_wrong_too_and_a_table_without_rows_is_no_test() -> None:
    def raises(number: int) -> None:
        with pytest.raises(ValueError, match="no such number"):
            abs(number)

    with pytest.raises(BaseExceptionGroup, match="1 of 1 rows are wrong"):
        each_row("number", [1])(raises)()
    with pytest.raises(AssertionError, match="tries nothing"):
        each_row("number", [])(raises)()
