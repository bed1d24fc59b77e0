"""Asks a parsed expression whether it matches a path."""

from bridge.core.globs.automaton import Automaton, Meter, is_word
from bridge.core.globs.backtrack import Backtracker
from bridge.core.globs.graph import PLACE_GATES, Graph, RefersBack, build, mirrored
from bridge.core.globs.references import settled
from bridge.core.globs.syntax import NOTHING, At, Node, Place, Seq

WORK_LIMIT = 250_000  # node visits, or about 50 ms

_START, _END = PLACE_GATES[Place.START], PLACE_GATES[Place.END]
_EDGE, _NO_EDGE = PLACE_GATES[Place.WORD_EDGE], PLACE_GATES[Place.NO_WORD_EDGE]


class Matcher:
    """An expression that can be asked in time linear in the path."""

    def __init__(self, expression: Node) -> None:
        self._backtracker: Backtracker | None = None
        anywhere = not _starts_at_start(expression)
        try:
            graph = build(expression, anywhere=anywhere)
        except RefersBack:
            graph = self._without_references(expression, anywhere=anywhere)
        self._automaton = Automaton(graph)
        self._surroundings = _Surroundings(graph) if graph.behinds or graph.uses_words else None

    def _without_references(self, expression: Node, *, anywhere: bool) -> Graph:
        expression = settled(expression)
        try:
            return build(expression, anywhere=anywhere)
        except RefersBack:
            self._backtracker = Backtracker(expression)
            return build(NOTHING, anywhere=False)

    def matches(self, path: str, meter: Meter | None = None) -> bool:
        """Tell whether the expression matches somewhere in `path` (units, at least one).

        Raises:
            TooCostly: this path would need more work than allowed.
        """
        meter = meter or Meter(WORK_LIMIT)
        if self._backtracker is not None:
            return self._backtracker.matches(path, meter)
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
            mirrored_answers = fits.at_each(path[::-1], meter)
            for at, answer in enumerate(reversed(mirrored_answers)):
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
