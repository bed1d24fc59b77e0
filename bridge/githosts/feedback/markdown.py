"""Markdown of untrusted texts: what others wrote stays text, whatever it contains. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from bridge.core.log_text import marked
from bridge.githosts.feedback.statuses import one_line

NOTHING = "\N{EN DASH}"
"""Fills a cell that has nothing to show."""

_FENCES = re.compile("`+")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9._~!$&'*+,;=:@%/?#-]*)?")


def code(text: str, most: int = 200) -> str:
    """Format untrusted text as code."""
    line = one_line(text, most)
    if not line:
        return NOTHING
    # A fence that the text does not contain; spaces keep the text's backticks from joining it.
    fence = "`" * (1 + max((len(run) for run in _FENCES.findall(line)), default=0))
    room = " " if "`" in line else ""
    return f"{fence}{room}{line}{room}{fence}"


def cell(text: str, most: int = 100) -> str:
    r"""Format untrusted text as code in a table.

    Pipes are replaced: one ends a cell even inside code, and renderers disagree on `\\|`.
    """
    return code(text.replace("|", "\N{BROKEN BAR}"), most)


def link(words: str, url: str | None) -> str:
    """Format our own text as a link to a known address, or as plain text without one."""
    return f"[{words}]({url})" if url and _LINK.fullmatch(url) else words


def row(cells: Iterable[str]) -> str:
    """Format one line of a table."""
    return f"| {' | '.join(cells)} |"


_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?").fullmatch


def commit(sha: str | None) -> str:
    """Return seven digits, which the host links; format anything but an object id as code."""
    if sha is None:
        return NOTHING
    return sha[:7] if _SHA(sha) else cell(sha, 12)


def moment(at: float) -> str:
    """Return a time in seconds since 1970 for people, in UTC to the minute."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


LONGEST_LINE = 160
"""Characters of a line in a block of code."""


def code_block(lines: Iterable[str], indent: str) -> list[str]:
    """Format untrusted lines as a block of code, without blank ones, inside an indented item."""
    cut = [marked(line.expandtabs(4).rstrip())[:LONGEST_LINE] for line in lines]
    return [f"{indent}    {line}" for line in cut if line.strip()]
