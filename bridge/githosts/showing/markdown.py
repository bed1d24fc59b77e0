"""Others' words in a comment, so that they are nothing but words.

Both hosts render Markdown first and look for mentions, references and quick actions in what
is left of it, but never inside code. So every text that is not ours becomes one code span on
one line that never begins it: no entity, backslash or zero-width trick has to be right.
https://github.github.com/gfm/#code-spans
"""

import re
from collections.abc import Iterable

NOTHING = "\N{EN DASH}"
"""What stands where there is nothing to show."""

_FENCES = re.compile("`+")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def one_line(text: str, most: int) -> str:
    """The first line of a text that says something, without what breaks lines, hides or turns
    the direction of reading; cut at `most` characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not line.isprintable():
        line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def code(text: str, most: int = 200) -> str:
    """A text that is not ours, as code."""
    line = one_line(text, most)
    if not line:
        return NOTHING
    # A fence that the text does not hold; the spaces keep its own backticks from joining it.
    fence = "`" * (1 + max((len(run) for run in _FENCES.findall(line)), default=0))
    room = " " if "`" in line else ""
    return f"{fence}{room}{line}{room}{fence}"


def cell(text: str, most: int = 100) -> str:
    r"""A text that is not ours, as code in a table.

    A pipe ends a cell even inside code, and whether `\\|` does depends on who renders it; so
    there is none.
    """
    return code(text.replace("|", "\N{BROKEN BAR}"), most)


def link(words: str, url: str | None) -> str:
    """Our own words as a link to an address that we know; only the words where it is none."""
    return f"[{words}]({url})" if url and _LINK.fullmatch(url) else words


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"
