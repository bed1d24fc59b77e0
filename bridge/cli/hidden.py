"""Secrets that somebody types or pipes; they are never words of a command line."""

import sys
from collections.abc import Sequence

import typer

from bridge.core.errors import Rejected


def ask_hidden(names: Sequence[str]) -> dict[str, str]:
    """The values of these, from a hidden prompt each, or from standard input.

    Standard input is the whole value of a single name; of several each has a line.
    """
    if not names:
        return {}
    if sys.stdin.isatty():
        return {name: typer.prompt(name, hide_input=True, err=True) for name in names}
    text = sys.stdin.read()
    if len(names) == 1:
        return {names[0]: _value(names[0], text.removesuffix("\n").removesuffix("\r"))}
    lines = text.splitlines()
    if len(lines) != len(names):
        raise Rejected(
            f"standard input has {len(lines)} lines, but {', '.join(names)} need one each,"
            " in this order"
        )
    return {name: _value(name, line) for name, line in zip(names, lines, strict=True)}


def _value(name: str, value: str) -> str:
    if not value:
        raise Rejected(f"standard input has no value for {name}; pipe one, or run on a terminal")
    return value
