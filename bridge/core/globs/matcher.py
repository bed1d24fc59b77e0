"""Asks a parsed expression whether it matches a path, by the cheapest safe way.

quick        `re`, where its work is bounded             most patterns, usual paths
automaton    deterministic, linear in the path           everything else, but
backtracker  choice by choice, under a limit             references to a group
"""

from typing import Protocol

from bridge.core.globs.automaton import Automaton, Meter, is_word
from bridge.core.globs.backtrack import Backtracker
from bridge.core.globs.graph import PLACE_GATES, Graph, RefersBack, build, mirrored
from bridge.core.globs.quick import quick
from bridge.core.globs.references import settled
from bridge.core.globs.syntax import At, Node, Place, Seq

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
        """Tell whether the expression matches somewhere in `path` (units, at least one).

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
        graph = build(expression, anywhere=not _starts_at_start(expression))
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


def _starts_at_start(expression: Node) -> bool:
    return isinstance(expression, Seq) and expression.parts[:1] == (At(Place.START),)
