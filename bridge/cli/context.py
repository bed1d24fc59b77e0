"""Shared by most commands: the settings, the stores, an event loop."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from bridge.core.errors import Ambiguous, BridgeError, NotFound, Rejected

if TYPE_CHECKING:
    from bridge.settings import Settings


T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="BRIDGE_CONFIG",
        show_default=False,
        help="Settings file; default: bridge.yaml, if it exists.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
Follow = Annotated[
    bool,
    typer.Option(
        "--follow", "-f", help="Show its steps until it ends, or a person has to open a gate."
    ),
]


def found(look: Callable[[], bool]) -> bool:
    """Return the result of a check of a path; False if there can be no such path.

    pathlib raises for arguments that are too long for a name, or that lead to unreadable folders.
    """
    try:
        return look()
    except (OSError, ValueError):
        return False


while_it_runs = ExitStack()
"""Ends with the command."""


def settings_of(config: Path | None) -> "Settings":
    """Return the settings: from the file, the environment and set-up; raise Rejected.

    Their secrets are hidden in whatever this command shows of other things.
    """
    from bridge.app.stored_settings import Stored
    from bridge.core.masking import always_hidden
    from bridge.settings import read_settings, secrets_of

    settings = read_settings(config, os.environ, Stored())
    while_it_runs.enter_context(always_hidden(secrets_of(settings)))
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


# ── Exit codes, stable for scripts ────────────────────────────────────────────────────────────────

ENDED_BADLY = 3
NOT_FOUND = 4
HELD_BACK = 5
EXIT_CODES = {
    0: "all is well",
    1: "it could not be done",
    2: "wrong usage, settings or input",
    ENDED_BADLY: "a followed deployment did not end well",
    NOT_FOUND: "there is nothing by that name",
    HELD_BACK: "a followed deployment is held until a person opens a gate",
    130: "interrupted",
}

_CODES: dict[type[BridgeError], int] = {
    Ambiguous: 2,
    NotFound: NOT_FOUND,
    Rejected: 2,
    BridgeError: 1,
}


def exit_code_of(error: BridgeError) -> int:
    """Return the exit code for an error; the first class that fits decides."""
    return next(code for kind, code in _CODES.items() if isinstance(error, kind))


# ── Secrets, typed or piped; never given on a command line ────────────────────────────────────────


def ask_hidden(names: Sequence[str]) -> dict[str, str]:
    """Return the values of these names, each from a hidden prompt, or from standard input.

    Standard input holds the whole value of a single name, or one line for each of several.
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
