"""A parser of JavaScript's regular expressions without flags, as V8 in Node 20 reads them.

A pattern's owner can write most of that language into a glob (`(?<=a)b` goes through as
it stands), so all of it is read.
"""

import re
from dataclasses import dataclass, field

from bridge.core.matching.regex import (
    JS_SPACES,
    At,
    Back,
    Chars,
    Group,
    Look,
    Node,
    Place,
    Ranges,
    Repeat,
    complement,
    either,
    joined,
    normalised,
    of,
)

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
    """The meaning of an escape, and the index after it.

    Attributes:
        char: the unit, if it means one; else None.
    """

    ranges: Ranges
    end: int
    char: str | None = None


def read_escape(text: str, at: int, *, in_class: bool, named: bool) -> Escape:
    r"""Read the escape whose backslash is at `at`; not `\b`, and no reference to a group.

    Args:
        named: the expression has named groups, which makes `\k` special.

    Raises:
        BadExpression: nothing follows the backslash, or `\k` is misused.
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
    """Read the class whose `[` is at `at`; return its members and the index after its `]`.

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


# ── A parser of JavaScript's regular expressions without flags, as V8 in Node 20 reads them ─────

MAX_GROUPS_DEEP = 160  # a glob of our greatest nesting, 50, needs three for each `!(`

_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]+)(?:(,)([0-9]*))?\})(\??)")
_BRACED = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_NAMED = re.compile(r"\(\?<(?![=!])([^>]*)>")
_DIGITS = re.compile(r"[1-9][0-9]*")
_REFERENCE = re.compile(r"\\k<([^>]*)>")
_CAPTURE = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]?|(\((?!\?)|\(\?<(?![=!]))", re.DOTALL)
_SIMPLE_COUNTS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


class TooDeep(Exception):
    """More groups within groups than we are willing to follow."""


@dataclass(slots=True)
class _Open:
    """A group that waits for its `)`.

    Attributes:
        kind: as written: "(", "(?:", "(?=", "(?!", "(?<=" or "(?<!".
    """

    kind: str
    number: int = 0
    options: list[Node] = field(default_factory=list)
    parts: list[Node] = field(default_factory=list)

    def next_option(self) -> None:
        self.options.append(joined(self.parts))
        self.parts = []

    def body(self) -> Node:
        self.next_option()
        return either(self.options)


def parse(source: str) -> Node:
    """Read an expression.

    Raises:
        BadExpression: JavaScript would not compile it.
        TooDeep: groups are nested more than `MAX_GROUPS_DEEP` deep.
    """
    return _Parser(source).parse()


def is_valid(source: str) -> bool:
    """Return whether JavaScript would compile it."""
    try:
        parse(source)
    except (BadExpression, TooDeep):
        return False
    return True


class _Parser:
    def __init__(self, source: str) -> None:
        self._source = source
        self._at = 0
        self._stack = [_Open("")]
        self._groups = 0
        openers = [found[1] for found in _CAPTURE.finditer(source) if found[1]]
        self._group_count = len(openers)
        self._named = any(opener != "(" for opener in openers)
        self._names: dict[str, int] = {}
        self._wanted_names: list[str] = []
        self._refers_back = "\\" in source and self._find_references()

    def parse(self) -> Node:
        source = self._source
        while self._at < len(source):
            self._step(source[self._at])
        if len(self._stack) > 1:
            raise BadExpression("Unterminated group")
        if any(name not in self._names for name in self._wanted_names):
            raise BadExpression("Invalid named capture referenced")
        return self._stack[0].body()

    def _step(self, char: str) -> None:
        if char == "|":
            self._at += 1
            self._stack[-1].next_option()
        elif char == "(":
            self._open()
        elif char == ")":
            self._close()
        elif char in "^$":
            self._at += 1
            self._stack[-1].parts.append(At(Place.START if char == "^" else Place.END))
        elif char == "\\":
            self._escape()
        elif char in "*+?" or (char == "{" and _BRACED.match(self._source, self._at)):
            raise BadExpression("Nothing to repeat")
        else:
            self._char(char)

    def _char(self, char: str) -> None:
        if char == "[":
            ranges, self._at = read_class(self._source, self._at, named=self._named)
        else:
            ranges = NOT_NEWLINE if char == "." else ((ord(char), ord(char)),)
            self._at += 1
        self._add(Chars(ranges))

    def _add(self, atom: Node) -> None:
        """Append an atom with the quantifier that may follow it."""
        found = _QUANTIFIER.match(self._source, self._at)
        if found:
            self._at = found.end()
            least, most = _counts(found)
            atom = Repeat(atom, least, most, lazy=found[5] == "?")
        self._stack[-1].parts.append(atom)

    def _open(self) -> None:
        source, at = self._source, self._at
        kinds = ("(?:", "(?=", "(?!", "(?<=", "(?<!")
        kind = next((kind for kind in kinds if source.startswith(kind, at)), "(")
        self._at += len(kind)
        number = 0
        if kind == "(":
            self._groups += 1
            number = self._groups
            if source.startswith("(?", at):
                self._name(number)
        if len(self._stack) > MAX_GROUPS_DEEP:
            raise TooDeep
        self._stack.append(_Open(kind, number))

    def _name(self, number: int) -> None:
        found = _NAMED.match(self._source, self._at - 1)
        if found is None:
            raise BadExpression("Invalid group")
        if not found[1].replace("$", "_").isidentifier():
            raise BadExpression("Invalid capture group name")
        if found[1] in self._names:
            raise BadExpression("Duplicate capture group name")
        self._names[found[1]] = number
        self._at = found.end()

    def _close(self) -> None:
        if len(self._stack) == 1:
            raise BadExpression("Unmatched ')'")
        self._at += 1
        group = self._stack.pop()
        body = group.body()
        if group.kind in ("(?<=", "(?<!"):
            # The only groups that take no quantifier.
            negative = group.kind == "(?<!"
            self._stack[-1].parts.append(Look(body, behind=True, negative=negative))
        elif group.kind in ("(?=", "(?!"):
            self._add(Look(body, behind=False, negative=group.kind == "(?!"))
        elif group.number and self._refers_back:
            self._add(Group(group.number, body))
        else:
            self._add(body)

    def _escape(self) -> None:
        follower = self._source[self._at + 1 : self._at + 2]
        if follower in ("b", "B"):
            self._at += 2
            place = Place.WORD_EDGE if follower == "b" else Place.NO_WORD_EDGE
            self._stack[-1].parts.append(At(place))
            return
        if (number := self._reference()) is not None:
            self._add(Back(number))
            return
        escape = read_escape(self._source, self._at, in_class=False, named=self._named)
        self._at = escape.end
        self._add(Chars(escape.ranges))

    def _reference(self) -> int | None:
        r"""Read `\1` or `\k<name>`; None if it means something else."""
        if self._named and (found := _REFERENCE.match(self._source, self._at)):
            self._at = found.end()
            self._wanted_names.append(found[1])
            return self._number_of(found[1])
        digits = _DIGITS.match(self._source, self._at + 1)
        if digits is None or int(digits[0]) > self._group_count:
            return None
        self._at = digits.end()
        return int(digits[0])

    def _number_of(self, name: str) -> int:
        """Return a named group's number, even when it opens later on."""
        number = 0
        for found in _CAPTURE.finditer(self._source):
            if not found[1]:
                continue
            number += 1
            named = _NAMED.match(self._source, found.start())
            if named and named[1] == name:
                return number
        return 0

    def _find_references(self) -> bool:
        """Return whether anything may refer back; a guess that errs towards yes."""
        if self._named and "\\k" in self._source:
            return True
        return self._group_count > 0 and re.search(r"\\[1-9]", self._source) is not None


def _counts(found: re.Match[str]) -> tuple[int, int | None]:
    if found[1]:
        return _SIMPLE_COUNTS[found[1]]
    least = int(found[2])
    if not found[3]:
        return least, least
    most = int(found[4]) if found[4] else None
    if most is not None and most < least:
        raise BadExpression("numbers out of order in {} quantifier")
    return least, most
