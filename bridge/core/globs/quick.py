"""Python's own `re` for the expressions and paths on which it can't run away.

`re` tries choices one after the other, so the number of ways to read a path bounds its
work. That number is estimated from the tree: a loop over single units may stop at each of
the `n` units of the path, so with `k` loops there are about `n` to the power of `k` ways.
Loops over anything longer are never left to `re`.
"""

import re
from typing import NamedTuple

from bridge.core.globs.escapes import NOT_NEWLINE
from bridge.core.globs.syntax import (
    LAST_UNIT,
    Alt,
    At,
    Back,
    Chars,
    Group,
    Look,
    Node,
    Place,
    Ranges,
    Repeat,
    Seq,
    complement,
)

WAYS_LIMIT = 10_000  # a fifth of a millisecond at worst
MAX_DEPTH = 20  # Python's compiler calls itself for each level


class Ways(NamedTuple):
    """How many ways there are to read a path of length n: `times * n**loops`."""

    times: int
    loops: int

    def for_length(self, size: int) -> int:
        return int(self.times * (size + 1) ** self.loops)


class _Unsafe(Exception):
    """Not for `re`."""


class Quick:
    """An expression in Python's words; may be asked where `suits`."""

    __slots__ = ("_limit", "_pattern", "_ways")

    def __init__(self, ways: Ways, source: str) -> None:
        self._ways = ways
        self._limit = _longest(ways)
        self._pattern = re.compile(source)

    def suits(self, path: str) -> bool:
        """Tell whether `path` is short enough to be read in all possible ways.

        Nothing unprintable either: `.` stops at fewer sorts of newline here than there, and
        a class that says so costs more to compile than all the rest.
        """
        return len(path) <= self._limit and path.isprintable()

    def matches(self, path: str) -> bool:
        """Tell whether the expression matches somewhere in `path`."""
        return self._pattern.search(path) is not None


def quick(expression: Node) -> Quick | None:
    """Give the expression for `re`; None where it would not be safe."""
    try:
        return Quick(ways(expression), written(expression))
    except _Unsafe:
        return None


def harmless(expression: Node, size: int) -> bool:
    """Tell whether trying out all ways to read a path of `size` is no work worth a word."""
    try:
        return ways(expression).for_length(size) <= WAYS_LIMIT
    except _Unsafe:
        return False


def _longest(number: Ways) -> int:
    """Give the greatest length of path on which the ways stay within the limit."""
    size = 0
    while size < LAST_UNIT and number.for_length(2 * size + 1) <= WAYS_LIMIT:
        size = 2 * size + 1
    return size


def ways(node: Node, room: int = MAX_DEPTH) -> Ways:
    """Estimate, from above, how many ways there are to read a path.

    Raises:
        _Unsafe: too many, or not to be said.
    """
    if not room:
        raise _Unsafe
    room -= 1
    match node:
        case Chars() | At(Place.START | Place.END):
            return Ways(1, 0)
        case Seq(parts):
            return _product([ways(part, room) for part in parts])
        case Alt(options):
            counts = [ways(option, room) for option in options]
            return Ways(sum(count.times for count in counts), max(c.loops for c in counts))
        case Repeat(body, _, None) if _reads_one(body):
            return Ways(1, 1)
        case Repeat(body, _, 1):
            inner = ways(body, room)
            return Ways(inner.times + 1, inner.loops)
        case Look(body, behind=False):
            return ways(body, room)
        case Group(_, body):
            return ways(body, room)
        case _:
            raise _Unsafe


def _product(counts: list[Ways]) -> Ways:
    times, loops = 1, 0
    for count in counts:
        times *= count.times
        loops += count.loops
        if times > WAYS_LIMIT:
            raise _Unsafe
    return Ways(times, loops)


def _reads_one(body: Node) -> bool:
    """Tell whether a round of a loop reads one unit, in one way."""
    match body:
        case Chars():
            return True
        case Seq((*looks, Chars())):
            return all(isinstance(look, Look) and ways(look).loops == 0 for look in looks)
        case _:
            return False


def written(node: Node) -> str:
    """Write an expression for `re`."""
    match node:
        case Chars(ranges):
            return "." if ranges == NOT_NEWLINE else _class(ranges)
        case Seq(parts):
            return "".join(map(written, parts))
        case Alt(options):
            return f"(?:{'|'.join(map(written, options))})"
        case Repeat(body, least, most, lazy):
            count = f"{{{least},{'' if most is None else most}}}"
            return f"(?:{written(body)}){count}{'?' if lazy else ''}"
        case At(Place.START):
            return r"\A"
        case At(Place.END):
            return r"\Z"
        case Look(body, _, negative):
            return f"(?{'!' if negative else '='}{written(body)})"
        case Group(_, body):
            return f"(?:{written(body)})"
        case At() | Back():
            raise _Unsafe


def _class(ranges: Ranges) -> str:
    if not ranges:
        return "(?!)"
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return re.escape(chr(ranges[0][0]))
    outside = complement(ranges)
    if not outside:
        return r"[\s\S]"
    sign, members = ("^", outside) if len(outside) < len(ranges) else ("", ranges)
    return f"[{sign}{''.join(f'{_unit(low)}-{_unit(high)}' for low, high in members)}]"


def _unit(unit: int) -> str:
    return f"\\u{unit:04x}"
