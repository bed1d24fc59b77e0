"""No test depends on what chance brings: each draws the same in each run, but for `make fuzz`."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.worlds.rows import each_row

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


def test_properties_are_tried_with_the_same_examples_unless_they_are_fuzzed(
    request: pytest.FixtureRequest,
) -> None:
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
