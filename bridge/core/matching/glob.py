"""A compiled pattern."""

import re
from typing import NamedTuple, Protocol

from bridge.core.matching.anchors import Outline, outline_of
from bridge.core.matching.automaton import Automaton, Meter, TooCostly, is_word
from bridge.core.matching.backtrack import Backtracker
from bridge.core.matching.graph import (
    PLACE_GATES,
    Graph,
    RefersBack,
    TooLarge,
    build,
    mirrored,
    settled,
)
from bridge.core.matching.regex import (
    LAST_UNIT,
    NOTHING,
    Alt,
    At,
    Back,
    Chars,
    GlobUnsupported,
    Group,
    Look,
    Node,
    Place,
    Ranges,
    Repeat,
    Seq,
    complement,
    to_units,
)
from bridge.core.matching.regex_parser import NOT_NEWLINE, BadExpression, TooDeep, parse
from bridge.core.matching.translate import Picomatch, translate

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
        """Return whether `path` is short enough to be read in all possible ways.

        Nothing unprintable either: `.` stops at fewer sorts of newline here than there, and
        a class that says so costs more to compile than all the rest.
        """
        return len(path) <= self._limit and path.isprintable()

    def matches(self, path: str) -> bool:
        """Return whether the expression matches somewhere in `path`."""
        return self._pattern.search(path) is not None


def quick(expression: Node) -> Quick | None:
    """Return the expression for `re`; None if it would not be safe."""
    try:
        return Quick(ways(expression), written(expression))
    except _Unsafe:
        return None


def harmless(expression: Node, size: int) -> bool:
    """Return whether trying all ways to read a path of `size` costs next to nothing."""
    try:
        return ways(expression).for_length(size) <= WAYS_LIMIT
    except _Unsafe:
        return False


def _longest(number: Ways) -> int:
    """Return the greatest length of path on which the ways stay within the limit."""
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
    """Return whether a round of a loop reads one unit, in one way."""
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


# ── Match a parsed expression against a path, in the cheapest safe way ──────────────────────────

WORK_LIMIT = 200_000  # node visits, or about 40 ms

_START, _END = PLACE_GATES[Place.START], PLACE_GATES[Place.END]
_EDGE, _NO_EDGE = PLACE_GATES[Place.WORD_EDGE], PLACE_GATES[Place.NO_WORD_EDGE]


class _Engine(Protocol):
    def matches(self, path: str, meter: Meter) -> bool: ...


class Matcher:
    """An expression that can be asked in time linear in the path.

    Each way is prepared when it is first needed: most are asked about short paths only.
    """

    __slots__ = ("_engine", "_expression", "_quick")

    def __init__(self, expression: Node, *, allow_quick: bool = True) -> None:
        """Prepare.

        Args:
            allow_quick: tests compare the two ways.

        Raises:
            TooLarge.
        """
        self._expression = expression
        self._quick = quick(expression) if allow_quick else None
        self._engine: _Engine | None = None if self._quick else _engine(expression)

    def matches(self, path: str, shared: Meter | None = None) -> bool:
        """Return whether the expression matches somewhere in `path` (units, at least one).

        Args:
            shared: counts down over many paths.

        Raises:
            TooCostly: this path would need more work than allowed.
            TooLarge.
        """
        if self._quick is not None and self._quick.suits(path):
            return self._quick.matches(path)
        if self._engine is None:
            self._engine = _engine(self._expression)
        meter = Meter(WORK_LIMIT)
        answer = self._engine.matches(path, meter)
        if shared is not None:
            shared.spend(WORK_LIMIT - meter.left)
        return answer


def _engine(expression: Node) -> _Engine:
    """Choose between automaton and backtracker."""
    try:
        return _Forward(expression)
    except RefersBack:
        expression = settled(expression)
    try:
        return _Forward(expression)
    except RefersBack:
        return Backtracker(expression)


class _Forward:
    """The automaton of a whole expression, and what it has to be told about each position."""

    def __init__(self, expression: Node) -> None:
        first = expression.parts[:1] if isinstance(expression, Seq) else ()
        graph = build(expression, anywhere=first != (At(Place.START),))
        self._automaton = Automaton(graph)
        self._surroundings = _Surroundings(graph) if graph.behinds or graph.uses_words else None

    def matches(self, path: str, meter: Meter) -> bool:
        if self._surroundings is None:
            return self._automaton.holds(path, meter)
        gates = self._surroundings.gates(path, meter)
        return self._automaton.holds_at(path, gates, meter)[0]


class _Surroundings:
    """Finds out, for each position of a path, what its look-behinds and word edges say.

    A look-behind is a look-ahead on the mirrored path.
    """

    def __init__(self, graph: Graph) -> None:
        self._uses_words = graph.uses_words
        self._behinds = [(_Fits(mirrored(look.body)), look, gate) for look, gate in graph.behinds]

    def gates(self, path: str, meter: Meter) -> list[int]:
        size = len(path)
        gates = [0] * (size + 1)
        gates[0] |= _START
        gates[size] |= _END
        if self._uses_words:
            meter.spend(size)
            words = [False, *map(is_word, path), False]
            for at in range(size + 1):
                gates[at] |= _EDGE if words[at] is not words[at + 1] else _NO_EDGE
        for fits, look, gate in self._behinds:
            answers = fits.at_each(path[::-1], meter)
            for at, answer in enumerate(reversed(answers)):
                if answer is not look.negative:
                    gates[at] |= gate
        return gates


class _Fits:
    """An expression that is asked at every position of a path."""

    def __init__(self, expression: Node) -> None:
        graph = build(expression, anywhere=False)
        self._automaton = Automaton(graph)
        self._surroundings = _Surroundings(graph)

    def at_each(self, path: str, meter: Meter) -> list[bool]:
        return self._automaton.holds_at(path, self._surroundings.gates(path, meter), meter)


# ── A compiled pattern ──────────────────────────────────────────────────────────────────────────


class Glob:
    """A pattern as micromatch understands it, ready to be asked.

    Attributes:
        source: the regular expression that picomatch would build.
        expression: the same, parsed; matches nothing where JavaScript would not compile it.
        excludes: a list takes it as an exclusion: `!glob` or `!(glob)…`.

    >>> Glob("apps/**/*.ts").matches("apps/web/index.ts")
    True
    """

    __slots__ = ("_matcher", "excludes", "expression", "pattern", "source")

    def __init__(self, pattern: str, version: Picomatch = "2.3.1") -> None:
        """Translate `pattern`.

        Raises:
            GlobThrows: micromatch throws at it.
            GlobUnsupported: we refuse it; the reason says why.
        """
        translation = translate(to_units(pattern), version, written=pattern)
        self.pattern = pattern
        self.source = translation.source
        self.excludes = translation.excludes
        self.expression = self._parsed()
        self._matcher: Matcher | None = None

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"

    def _parsed(self) -> Node:
        try:
            return parse(self.source)
        except BadExpression:
            # picomatch swallows the error and puts a never matching expression there.
            return NOTHING
        except TooDeep:
            raise self._refusal("it is nested too deep", "too_deep") from None

    @property
    def outline(self) -> Outline:
        """What a path must have to match, as far as the expression tells."""
        return outline_of(self.expression)

    def matches(self, path: str, meter: Meter | None = None) -> bool:
        """Return whether `micromatch.isMatch(path, pattern)`.

        Args:
            meter: limits the work on many paths together; one path has its own limit.

        Raises:
            GlobUnsupported: the answer can't be had at a bounded cost.
        """
        if not path or path == self.pattern:
            return bool(path)
        try:
            if self._matcher is None:
                self._matcher = Matcher(self.expression)
            return self._matcher.matches(to_units(path), meter)
        except TooCostly:
            why = "deciding it would take too long; write it simpler"
        except TooLarge:
            why = "it expands to too large an expression; simplify it"
        raise self._refusal(why, "too_costly")

    def _refusal(self, why: str, code: str) -> GlobUnsupported:
        return GlobUnsupported(self.pattern, why, code=code)
