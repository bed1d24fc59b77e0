"""Two ways in which picomatch writes its expression without looking at single characters."""

import re

from bridge.core.globs.pieces import (
    DOT,
    GLOBSTAR,
    IN_SEGMENT,
    IN_SEGMENT_NO_DOT,
    NO_DOT_AHEAD,
    NOT_EMPTY,
    SLASH,
    STAR,
    WHOLE_PATTERNS,
)

_ANY_DIRECTORY = f"(?:{NO_DOT_AHEAD}{GLOBSTAR}{SLASH})?"

_COMMON = {
    "*": f"{NO_DOT_AHEAD}{NOT_EMPTY}{STAR}",
    ".*": f"{DOT}{NOT_EMPTY}{STAR}",
    "*.*": f"{NO_DOT_AHEAD}{STAR}{DOT}{NOT_EMPTY}{STAR}",
    "*/*": f"{NO_DOT_AHEAD}{STAR}{SLASH}{NOT_EMPTY}{NO_DOT_AHEAD}{STAR}",
    "**": f"{NO_DOT_AHEAD}{GLOBSTAR}",
    "**/*": f"{_ANY_DIRECTORY}{NO_DOT_AHEAD}{NOT_EMPTY}{STAR}",
    "**/*.*": f"{_ANY_DIRECTORY}{NO_DOT_AHEAD}{STAR}{DOT}{NOT_EMPTY}{STAR}",
    "**/.*": f"{_ANY_DIRECTORY}{DOT}{NOT_EMPTY}{STAR}",
}

# The earliest dot behind which only word characters follow; `.` is no newline in JavaScript.
_EXTENSION = re.compile(r"([^\n\r\u2028\u2029]*?)\.([A-Za-z0-9_]+)\Z")

_NEEDS_TOKENS = re.compile(r"\A[*!]|[/()\[\]{}\"]")
_SYMBOL_RUN = re.compile(r"(\\?)(([^A-Za-z0-9_])(\3*))")
_BACKSLASHES = re.compile(r"\\+")


def common_glob(glob: str) -> str | None:
    """Write the handful of globs that most people use, e.g. `**/*.test.ts`; else None."""
    source = _with_extensions(WHOLE_PATTERNS.get(glob, glob).removeprefix("./"))
    return None if source is None else f"{source}{SLASH}?"


def _with_extensions(glob: str) -> str | None:
    endings = []
    while glob not in _COMMON:
        found = _EXTENSION.match(glob)
        if found is None:
            return None
        glob = found[1]
        endings.append(f"{DOT}{found[2]}")
    return _COMMON[glob] + "".join(reversed(endings))


def plain_glob(glob: str) -> str | None:
    """Write a glob without slashes, groups, classes and quotes; None when it has one.

    A row of the same symbol counts as one here: `++` becomes "one or more plus signs" and
    `||` an alternative. That is how the original behaves.
    """
    if _NEEDS_TOKENS.search(glob):
        return None
    output = _SYMBOL_RUN.sub(_symbols, glob)
    if any(run[3] == "\\" for run in _SYMBOL_RUN.finditer(glob)):
        output = _BACKSLASHES.sub(_halved, output)
    return f"^(?:{output})$"


def _symbols(run: re.Match[str]) -> str:
    escape, symbol, more = run[1], run[3], run[4]
    if symbol == "\\":
        return run[0]
    if symbol == "?":
        rest = IN_SEGMENT * len(more)
        if escape:
            return f"{escape}?{rest}"
        return (IN_SEGMENT_NO_DOT if run.start() == 0 else IN_SEGMENT) + rest
    if symbol == ".":
        return DOT * len(run[2])
    if symbol == "*":
        return f"{escape}*{STAR if more else ''}" if escape else STAR
    return run[0] if escape else f"\\{run[0]}"


def _halved(row: re.Match[str]) -> str:
    return "\\\\" if len(row[0]) % 2 == 0 else "\\"
