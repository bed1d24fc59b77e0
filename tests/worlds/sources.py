"""The package's own source, and what it imports."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import bridge

PACKAGE = Path(bridge.__file__).parent


@cache
def modules() -> tuple[tuple[str, str], ...]:
    """Every module of the package by its dotted name, with its source."""
    found: list[tuple[str, str]] = []
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ("bridge", *file.relative_to(PACKAGE).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append((name, file.read_text()))
    return tuple(found)


parsed = cache(ast.parse)


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Every statement below a node, without a look into expressions: none is in there."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            yield child
            yield from statements(child)


@cache
def imported(source: str) -> tuple[str, ...]:
    """The dotted names that a source imports; `from a import b` counts as `a.b`."""
    found: list[str] = []
    for node in statements(parsed(source)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            here = "." * node.level + (node.module or "")
            found += (f"{here}.{alias.name}" for alias in node.names)
    return tuple(found)
