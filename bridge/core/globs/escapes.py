"""Backslash escapes and classes of JavaScript's regular expressions (without flags).

The forgiving grammar of the language's annex B: what is no escape stands for itself.
"""

import re
from dataclasses import dataclass

from bridge.core.globs.syntax import Ranges, complement, normalised, of
from bridge.core.globs.units import JS_SPACES

DIGITS: Ranges = ((48, 57),)
WORDS: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
SPACES: Ranges = of(JS_SPACES)
NEWLINES = of("\n\r\u2028\u2029")
NOT_NEWLINE = complement(NEWLINES)

_SETS = {
    "d": DIGITS,
    "D": complement(DIGITS),
    "s": SPACES,
    "S": complement(SPACES),
    "w": WORDS,
    "W": complement(WORDS),
}
_CONTROLS = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL = re.compile(r"[0-3][0-7]{0,2}|[4-7][0-7]?")
_HEX = {"x": re.compile(r"[0-9A-Fa-f]{2}"), "u": re.compile(r"[0-9A-Fa-f]{4}")}


class BadExpression(Exception):
    """JavaScript would not compile it."""


@dataclass(frozen=True, slots=True)
class Escape:
    """What an escape stands for, and the index behind it.

    Attributes:
        char: the unit, when it stands for one; else None.
    """

    ranges: Ranges
    end: int
    char: str | None = None


def read_escape(text: str, at: int, *, in_class: bool, named: bool) -> Escape:
    """Read the escape whose backslash is at `at`; not `\\b`, and no reference to a group.

    Args:
        named: the expression has named groups, which makes `\\k` special.
    Raises:
        BadExpression: nothing follows the backslash, or `\\k` is misused.
    """
    if at + 1 >= len(text):
        raise BadExpression("\\ at end of pattern")
    char = text[at + 1]
    if char in _SETS:
        return Escape(_SETS[char], at + 2)
    if char in _CONTROLS:
        return _unit(_CONTROLS[char], at + 2)
    if char == "c":
        return _control(text, at, in_class=in_class)
    if char in _HEX and (digits := _HEX[char].match(text, at + 2)):
        return _unit(chr(int(digits[0], 16)), digits.end())
    if octal := _OCTAL.match(text, at + 1):
        return _unit(chr(int(octal[0], 8)), octal.end())
    if char == "k" and named:
        raise BadExpression("Invalid named reference")
    if char == "b" and in_class:
        return _unit("\b", at + 2)
    return _unit(char, at + 2)


def _control(text: str, at: int, *, in_class: bool) -> Escape:
    follower = text[at + 2 : at + 3]
    is_letter = follower.isascii() and follower.isalpha()
    if is_letter or (in_class and follower.isascii() and (follower.isdigit() or follower == "_")):
        return _unit(chr(ord(follower) & 31), at + 3)
    return _unit("\\", at + 1)


def _unit(char: str, end: int) -> Escape:
    return Escape(((ord(char), ord(char)),), end, char)


def read_class(text: str, at: int, *, named: bool) -> tuple[Ranges, int]:
    """Read the class whose `[` is at `at`; give its members and the index behind its `]`.

    Raises:
        BadExpression: it has no end, or a range runs backwards.
    """
    at += 1
    negative = text[at : at + 1] == "^"
    at += negative
    found: list[tuple[int, int]] = []
    while True:
        if at >= len(text):
            raise BadExpression("Unterminated character class")
        if text[at] == "]":
            break
        first = _member(text, at, named=named)
        at = first.end
        if text[at : at + 1] != "-" or text[at + 1 : at + 2] in ("]", ""):
            found += first.ranges
            continue
        last = _member(text, at + 1, named=named)
        at = last.end
        found += _range(first, last)
    ranges = normalised(found)
    return (complement(ranges) if negative else ranges), at + 1


def _member(text: str, at: int, *, named: bool) -> Escape:
    if text[at] == "\\":
        return read_escape(text, at, in_class=True, named=named)
    return _unit(text[at], at + 1)


def _range(first: Escape, last: Escape) -> Ranges:
    if first.char is None or last.char is None:
        return (*first.ranges, (45, 45), *last.ranges)
    if first.char > last.char:
        raise BadExpression("Range out of order in character class")
    return ((ord(first.char), ord(last.char)),)
