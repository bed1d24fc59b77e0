"""Reduce untrusted text to its visible characters, and cut it, for every chat's markup.

Control characters, those without width, and those that change the direction of reading are left
out. Lengths are in UTF-16 units after escaping, the longest way in which a chat may count.
"""

import re
import unicodedata
from collections.abc import Callable

from bridge.core.log_text import harmless

ELLIPSIS = "…"
NOTHING = "-"
"""Replaces a text without visible characters, since chats allow no empty text."""

_SPACE = re.compile(r"\s+")

_FAR_ENOUGH = 50_000
"""The most characters of a text to process; no place shows more than 4096."""

_STACKED = 3
"""The most combining marks on one letter; more would reach into the lines above."""

_NAME = re.compile(
    r"`(?P<quoted>[^`]+)`"
    r"|(?P<address>\bhttps?://[^\s`<>|\"]{1,500}(?<![.,;:)]))"
    r"|(?P<path>(?<![\w\"'/*.@+-])[\w.@+-]{0,100}[/*]"
    r"(?:[\w./*{}!?@+\[\]:-]|\([\w./*{}!?@+\[\]:|,-]*\)|,(?=\S))*(?<![.:]))"
)
"""Quoted names, addresses, and paths without the brackets around them."""

_SHORTEST_CODE = 4

Form = Callable[[str, int], str]
"""Formats untrusted text in a chat's markup, within a limit."""


def clean(text: str) -> str:
    """Return the visible characters of a text on one line."""
    return _SPACE.sub(" ", _visible(text[:_FAR_ENOUGH])).strip()


def clean_lines(text: str) -> str:
    """Return the same, line by line."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ").split("\n")
    return "\n".join(_visible(line).rstrip() for line in lines)


def prose(text: str, limit: int, *, calm: Form, code: Form) -> str:
    """Return our own sentence with untrusted names in it; format paths and addresses as code.

    Args:
        calm: escapes text that is clean already, and keeps its spaces.
        code: writes text as inline code; "" if nothing of it is visible.
    """
    line, shown, end = clean(text), "", 0
    for found in _NAME.finditer(line):
        shown += calm(line[end : found.start()], limit - units(shown))
        end, room = found.start(), limit - units(shown)
        if room < _SHORTEST_CODE:
            break
        end = found.end()
        shown += code(found["quoted"] or found["address"] or found["path"], room) or calm(
            found[0], room
        )
    return shown + calm(line[end:], limit - units(shown))


def cut(text: str, limit: int, form: Callable[[str], str] = str) -> str:
    """Replace each character by its form, as many as fit; never split a form."""
    pieces: list[str] = []
    length, room = 0, 0
    for char in text:
        piece = form(char)
        length += units(piece)
        if length > limit:
            return "".join(pieces[:room]).rstrip() + ELLIPSIS if limit > 0 else ""
        pieces.append(piece)
        if length < limit:
            room = len(pieces)
    return "".join(pieces)


def units(text: str) -> int:
    """Return a text's length in UTF-16, the longest way of counting."""
    return len(text) + sum(char > "\uffff" for char in text)


def _visible(text: str) -> str:
    """Return the visible characters, without marks that would reach into the lines above."""
    if text.isascii() and text.isprintable():
        return text
    seen: list[str] = []
    marks = 0
    for char in harmless(text, unseen=""):
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        if marks <= _STACKED:
            seen.append(char)
    return "".join(seen)


# ── The end of a log in blocks of code ──────────────────────────────────────────────────────────

_LONGEST_LINE = 800
_FENCES = len("```\n\n```")


def code_blocks(text: str, limit: int, most: int, form: Callable[[str], str]) -> list[str]:
    """Return the end of an untrusted text as blocks of code, each within the limit.

    Args:
        most: the most blocks.
        form: escapes a character; it must replace backticks, which would end a block.
    """
    lines = clean_lines(text).strip("\n").split("\n")
    room = limit - _FENCES
    chunks: list[list[str]] = [[]]
    left = room - 2  # the first line says if something is left out
    while lines:
        escaped = cut(lines.pop(), _LONGEST_LINE, form)
        left -= units(escaped) + 1
        if left < 0 and len(chunks) == most:
            chunks[-1].append(ELLIPSIS)
            break
        if left < 0:
            chunks.append([])
            left = room - 2 - units(escaped) - 1
        chunks[-1].append(escaped)
    return ["```\n" + "\n".join(reversed(chunk)) + "\n```" for chunk in reversed(chunks)]
