"""Files of variables: read as dotenv reads them, or refused by the number of the line."""

from io import StringIO

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.errors import Rejected
from bridge.core.variables import variables_in
from bridge.embedded.building.sources import parse_variables
from bridge.operations.env_files import read_env_file

LINES = st.sampled_from(
    ["A=1", "B=x # y", "C='a # b' # c", 'D="e\nf"', "# note", "", "E=a#b", "export F=g h", "G=",
     "H='"],
)  # fmt: skip


@given(st.lists(LINES))
def test_a_file_is_read_as_dotenv_reads_it_or_refused(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        found = read_env_file(text, "vars")
    except Rejected:
        assert "H='" in lines
        return

    wanted = dotenv_values(stream=StringIO(text), interpolate=False)
    assert variables_in(found.text) == parse_variables(found.text) == wanted


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A=1\n\n\nhunter2 is no line\nB=2", "vars: line 4 can't be read"),
        ("A=1\nhunter2\nB=2\n=hunter2\n", "vars: lines 2, 4 can't be read"),
        ('A="hunter2\nB=2', "vars: line 1 can't be read"),
        ("A='hunter2' hunter2\n", "vars: line 1 can't be read"),
        ("A=`hunter2`\n", "vars: line 1 can't be read"),
        ("A=1\n\nß=hunter2", "vars: line 3: 'ß' can't be a variable's name"),
        ("A=\"'hunter2' #\\nx\\\\\"", "vars: line 1: the value of A can't be quoted"),
        ("A=hunter\0", "vars: line 1: the value of A contains a zero byte"),
        ("\n".join(["hunter2"] * 30), "vars: lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 … can't be read"),
    ],
)
def test_a_line_that_can_not_be_read_is_told_by_its_number(text: str, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        read_env_file(text, "vars")

    assert str(caught.value).startswith(said)
    assert "hunter" not in str(caught.value)
