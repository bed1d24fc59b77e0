"""The tests' own ways: each draws the same in each run, and a table tells all its wrong rows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.worlds.rows import each_row

# ── draws ─────────────────────────────────────────────────────────────────────────

TESTS = Path(__file__).parents[1]

NAMES = {"token_bytes", "token_hex", "token_urlsafe", "compare_digest"}
"""What tests may take from `secrets`: a name that is as good as any other."""


def unseeded(source: str) -> Iterator[str]:
    """Yield what draws without a seed."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = {one.name for node in nodes if isinstance(node, ast.Import) for one in node.names}
    fine: set[ast.AST] = set()
    for node in nodes:
        for type_ in (getattr(node, name, None) for name in ("annotation", "returns")):
            fine.update(ast.walk(type_) if isinstance(type_, ast.AST) else ())
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "random.Random" and node.args:
            fine.add(node.func)
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module in ("random", "secrets"):
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name not in NAMES)
        elif isinstance(node, ast.Attribute) and node not in fine:
            module, _, name = ast.unparse(node).rpartition(".")
            if module in imported & {"random", "secrets"} and name not in NAMES:
                yield f"{module}.{name}"


def test_no_test_draws_without_a_seed() -> None:
    found = {
        str(file.relative_to(TESTS)): faults
        for file in sorted(TESTS.rglob("*.py"))
        if re.search(r"\b(random|secrets)\b", text := file.read_text())
        and (faults := list(unseeded(text)))
    }

    assert found == {}, "draw from the fixture `chance`, or from random.Random(a number)"


def test_properties_are_tried_with_the_same_examples_unless_they_are_fuzzed(request) -> None:
    fuzzed = request.config.getoption("hypothesis_profile") == "fuzz"

    assert settings().derandomize is not fuzzed
    assert settings().deadline is None


@each_row(
    ("source", "found"),
    [
        ("import random\nrandom.Random()", ["random.Random"]),
        ("import random\nfield(default_factory=random.Random)", ["random.Random"]),
        ("from random import choice", ["random.choice"]),
        ("import secrets\nsecrets.randbelow(3) == 0", ["secrets.randbelow"]),
        ("import random\nrandom.Random(7).choice('ab')", []),
        ("import random\ndef drawn(chance: random.Random) -> random.Random: ...", []),
        ("import secrets\nsecrets.token_hex(20)", []),
    ],
)
def test_a_draw_is_found_unless_it_repeats(source: str, found: list[str]) -> None:
    assert list(unseeded(source)) == found


# ── tables ────────────────────────────────────────────────────────────────────────


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
