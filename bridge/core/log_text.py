"""Logs as text that grows: its lines, and which of them are new."""

import re

_ENOUGH = 50
_LONGEST_SECRET = 4096
_BLANK = re.compile(r"\s")

_STEERING = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\-_]|\([A-Z0-9])"
)
"""Escape sequences: colours, cursor moves, links and titles of a terminal (ECMA-48)."""


def lines_of(text: str) -> list[str]:
    """Return the lines without colours; of a line that was written over, as a progress bar
    is, return its last version."""
    if not text.strip():
        return []  # the server answers with a line break where it has no log
    lines = _STEERING.sub("", text.replace("\r\n", "\n")).split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines]


def shorten(text: str, most: int) -> str:
    """Return a line of at most `most` characters; what is too long is cut in its middle.

    Errors begin with what went wrong and end with where or with an exit code.
    """
    if len(text) <= most:
        return text
    tail = most * 2 // 5
    return f"{text[: most - tail - 3].rstrip()} … {text[-tail:].lstrip()}"


def end_of(text: str, most: int) -> str:
    """Return the end of a text, of at most `most` characters.

    A word that is cut through goes as well: the rest of a secret would not be known for one.
    """
    if len(text) <= most:
        return text
    begin = len(text) - most
    longest = min(begin + _LONGEST_SECRET, len(text))
    blank = _BLANK.search(text, begin, longest)
    return text[longest if blank is None else blank.end() :]


def news(before: str, now: str) -> list[str]:
    """The lines of a tail that an earlier one did not have.

    Once a log is longer than a tail, its beginning moves: then what was seen is looked for by
    its end, and when that has scrolled away, all is new.
    """
    if now.startswith(before):
        return lines_of(now[len(before) :])
    old, new = lines_of(before), lines_of(now)
    seen = old[-_ENOUGH:]
    if not seen:
        return new
    for end in range(len(new), len(seen) - 1, -1):
        if new[end - len(seen) : end] == seen:
            return new[end:]
    return new
