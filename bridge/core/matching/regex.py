"""Text as JavaScript sees it: a row of UTF-16 code units.

A character outside the basic plane is two units there, so `?` does not match an
emoji and `??` does. Every other module of this package works on unit strings only.
"""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from bridge.core.errors import Rejected

# What String.prototype.trim removes; str.strip() would also take \x1c-\x1f and \x85.
JS_SPACES = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def to_units(text: str) -> str:
    """Return `text` with each character beyond U+FFFF split into its surrogate pair."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    return "".join(map(chr, array("H", text.encode("utf-16-le", "surrogatepass"))))


# ── What may be wrong with a pattern ────────────────────────────────────────────────────────────


class GlobError(Rejected):
    """A pattern that gives neither "match" nor "no match".

    Attributes:
        reason: one clause for people, without the pattern.
        code: stable and machine-readable, e.g. "throws" or "too_costly".
    """

    default_code: ClassVar[str] = "broken"

    def __init__(self, pattern: str, reason: str, *, code: str | None = None) -> None:
        super().__init__(f"watch path {_shortened(pattern)!r}: {reason}")
        self.pattern = pattern
        self.reason = reason
        self.code = code or self.default_code


class GlobThrows(GlobError):
    """The JavaScript original throws.

    Attributes:
        javascript: name of its error, e.g. "TypeError".
    """

    default_code = "throws"

    def __init__(self, pattern: str, reason: str, *, javascript: str = "TypeError") -> None:
        super().__init__(pattern, reason)
        self.javascript = javascript


class GlobUnsupported(GlobError):
    """Refused by us, with a reason, instead of being run."""

    default_code = "unsupported"


def _shortened(pattern: str) -> str:
    return pattern if len(pattern) <= 80 else f"{pattern[:77]}..."


# ── The tree of a regular expression: what decides whether there is a match ─────────────────────

Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Sorted, disjoint, inclusive ranges of code units."""

LAST_UNIT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Chars:
    """One code unit out of a set; an empty set matches nothing."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Seq:
    """One after another; none at all matches the empty text."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Alt:
    """Any one of them."""

    options: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` to `most` times; None is without end.

    Attributes:
        lazy: tries few before many. That matters only to what a group has read.
    """

    body: "Node"
    least: int
    most: int | None
    lazy: bool = False


class Place(StrEnum):
    """A condition on where we are that reads nothing."""

    START = "start"
    END = "end"
    WORD_EDGE = "word_edge"
    NO_WORD_EDGE = "no_word_edge"


@dataclass(frozen=True, slots=True)
class At:
    """Matches the empty text at such a place only."""

    place: Place


@dataclass(frozen=True, slots=True)
class Look:
    """Matches the empty text where `body` fits (or, negated, does not fit) from here on.

    Attributes:
        behind: fits up to here, instead.
    """

    body: "Node"
    behind: bool
    negative: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A numbered group; kept only in expressions that refer back to one."""

    number: int
    body: "Node"


@dataclass(frozen=True, slots=True)
class Back:
    """What group `number` has matched."""

    number: int


Node: TypeAlias = Chars | Seq | Alt | Repeat | At | Look | Group | Back

NOTHING = Chars(())
EMPTY = Seq(())


def normalised(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Sort and merge."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Return all units that are not in `ranges`."""
    gaps: list[tuple[int, int]] = []
    low = 0
    for start, end in ranges:
        if low < start:
            gaps.append((low, start - 1))
        low = end + 1
    if low <= LAST_UNIT:
        gaps.append((low, LAST_UNIT))
    return tuple(gaps)


def of(chars: str) -> Ranges:
    """Return the ranges of single characters."""
    return normalised((ord(char), ord(char)) for char in chars)


def joined(parts: list[Node]) -> Node:
    """Return the nodes one after the other."""
    return parts[0] if len(parts) == 1 else Seq(tuple(parts))


def either(options: list[Node]) -> Node:
    """Return an alternative of the nodes."""
    return options[0] if len(options) == 1 else Alt(tuple(options))
