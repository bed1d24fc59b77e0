"""Variables are written so that every reader takes them back, and others are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core import variables
from bridge.core.errors import Rejected
from bridge.core.variables import assignment, assignments_in, edited, variables_in
from bridge.embedded.building.sources import parse_variables
from tests.worlds.rows import each_row

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
LINES = st.sampled_from(
    ["A=1", "export A='x'", "# note", "", 'B="x\ny"', "C=it's", "no line", 'D="never closed']
)


@given(KEYS, st.text())
def test_what_is_written_is_read_back_also_by_the_embedded_backend(key: str, value: str) -> None:
    try:
        written = assignment(key, value)
    except Rejected:
        return

    text = edited("Z=0\n", {key: written})
    assert variables_in(text)[key] == value
    if value.splitlines() in ([], [value]):  # other line ends than \n are a matter of each reader
        assert parse_variables(text)[key] == value


@given(st.lists(LINES), KEYS)
def test_a_change_leaves_all_other_lines_and_can_be_taken_back(lines: list[str], key: str) -> None:
    text = "\n".join(lines)
    others = {name: raw for name, raw in assignments_in(text).items() if name != key}

    with_it = edited(text, {key: f"{key}=new"})
    without = edited(with_it, {key: None})

    assert assignments_in(with_it) == others | {key: f"{key}=new"}
    assert assignments_in(without) == others


def test_the_last_of_several_counts_and_the_others_go() -> None:
    assert edited("A=1\nB=2\nA=3", {"A": "A=4"}) == "B=2\nA=4"
    assert edited("A=1", {"A": None}) is None
    assert edited(None, {"A": "A=1"}) == "A=1"
    assert edited("A=1\n\n", {}) == "A=1\n\n"


@each_row("name", ["_a", "A-B", "1A", ".x"])
def test_a_name_that_dokploy_reads_is_taken_and_read_back(name: str) -> None:
    text = edited("Z=0", {name: assignment(name, "x")})

    assert variables_in(text) == parse_variables(text) == {"Z": "0", name: "x"}
    assert variables.hidden_from_shells([name]) == ([] if name == "_a" else [name])


def test_what_not_every_reader_takes_back_is_rejected_without_repeating_it() -> None:
    for name in ("", "-A", "A B", "A=", "ä", "A\n", "\u0661"):
        words = r"use letters, digits, _, \. and -, and do not begin with -"
        with pytest.raises(Rejected, match=words):
            assignment(name, "x")
    for value in ("both ' and \"#", 'two\nlines "quoted"', "zero \0 byte"):
        with pytest.raises(Rejected) as caught:
            assignment("KEY", value)
        assert value not in str(caught.value)
