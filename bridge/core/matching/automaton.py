"""Run the graph: a deterministic automaton that is built while paths are read.

A state is the set of char nodes that wait for their unit. States and the steps between
them are cached, so a path costs one dictionary look-up a unit once a similar one has been
seen. New work is counted against a limit, so no pattern can block us.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

from bridge.core.matching.graph import PLACE_GATES, Graph, Part
from bridge.core.matching.regex import Place, Ranges
from bridge.core.matching.regex_parser import WORDS

MAX_STATES = 2_000
PUSH_LIMIT = 2_000_000  # for one pattern and all files of a push: about 0.4 s
STEP_COST = 8  # of one part at one position, against one for each node visited

_START = PLACE_GATES[Place.START]
_END = PLACE_GATES[Place.END]

# Wakes of which the farthest is less than six char nodes away are worked out in one go.
_SHAPES = 64
_DISTANCES = [[far for far in range(6) if shape >> far & 1] for shape in range(_SHAPES)]


class TooCostly(Exception):
    """A match needs more work than allowed."""


@dataclass(slots=True)
class Meter:
    """Counts work down; runs out with `TooCostly`."""

    left: int = PUSH_LIMIT

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise TooCostly


@dataclass(slots=True, eq=False)
class State:
    """Which char nodes wait, and the steps from here that are known.

    Attributes:
        last_steps: for the first unit of a path: does the whole expression hold?
    """

    waiting: int
    steps: "dict[str, State]" = field(default_factory=dict)
    last_steps: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class _Spread:
    """What follows at one position, for one part and one setting of its gates.

    Attributes:
        always: bits that the part's end wakes.
        known: bits of the char nodes that have been followed up.
        shifts: of those, groups that all wake the same bits relative to their own.
        others: what each of the rest wakes.
    """

    always: int
    known: int = 0
    shifts: dict[int, int] = field(default_factory=dict)
    rest: int = 0
    others: dict[int, int] = field(default_factory=dict)


class Automaton:
    """Decides for one expression. Safe under threads: only what is new needs the lock."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._lock = Lock()
        self._spreads: dict[tuple[int, int], _Spread] = {}
        self._readers: dict[str, int] = {}
        self._states: dict[int, State] = {}
        self._end: State | None = None

    def holds(self, path: str, meter: Meter) -> bool:
        """Return whether the expression matches `path` from its start; at least one unit long.

        Raises:
            TooCostly.
        """
        state = self._end or self._at_end(meter)
        for char in path[:0:-1]:
            state = state.steps.get(char) or self._step(state, char, meter)
        first = path[0]
        known = state.last_steps.get(first)
        if known is None:
            known = self._settle(state.waiting & self._read_by(first), _START, meter)[1]
            state.last_steps[first] = known
        return known

    def holds_at(self, path: str, gates: Sequence[int], meter: Meter) -> list[bool]:
        """Return for each position, including the one after the end, whether it matches there.

        Args:
            gates: for each position the gates that its surroundings open.
        """
        size = len(path)
        waiting, holds = self._settle(0, gates[size], meter)
        answers = [holds]
        for at in range(size - 1, -1, -1):
            hits = waiting & self._read_by(path[at])
            waiting, holds = self._settle(hits, gates[at], meter)
            answers.append(holds)
        answers.reverse()
        return answers

    def _at_end(self, meter: Meter) -> State:
        self._end = State(self._settle(0, _END, meter)[0])
        return self._end

    def _step(self, state: State, char: str, meter: Meter) -> State:
        waiting, _ = self._settle(state.waiting & self._read_by(char), 0, meter)
        following = self._states.get(waiting)
        if following is None:
            if len(self._states) >= MAX_STATES:
                self._states = {}
                self._end = None
            following = State(waiting)
            self._states[waiting] = following
        state.steps[char] = following
        return following

    def _read_by(self, char: str) -> int:
        bits = self._readers.get(char)
        if bits is None:
            bits = 0
            for ranges, readers in self._graph.sets.items():
                if has_unit(ranges, ord(char)):
                    bits |= readers
            if len(self._readers) >= MAX_STATES:
                self._readers = {}
            self._readers[char] = bits
        return bits

    def _settle(self, hits: int, gates: int, meter: Meter) -> tuple[int, bool]:
        """Work out one position from the char nodes that hold there and its open gates."""
        meter.spend(STEP_COST * len(self._graph.parts))
        waiting = 0
        woken = 0
        with self._lock:
            for number, part in enumerate(self._graph.parts):
                woken = self._woken(number, part, hits & part.chars, gates & part.asks, meter)
                waiting |= woken
                if part.gate and bool(woken & part.root) is not part.negative:
                    gates |= part.gate
        return waiting, bool(woken & self._graph.parts[-1].root)

    def _woken(self, number: int, part: Part, hits: int, gates: int, meter: Meter) -> int:
        spread = self._spreads.get((number, gates))
        if spread is None:
            if len(self._spreads) >= MAX_STATES:
                self._spreads = {}
            spread = _Spread(self._follow(part.accept, gates, meter))
            self._spreads[number, gates] = spread
        if fresh := hits & ~spread.known:
            self._learn(spread, fresh, gates, meter)
        woken = spread.always
        for shape, group in spread.shifts.items():
            if members := hits & group:
                meter.spend(1)
                for distance in _DISTANCES[shape]:
                    woken |= members << distance
        singles = hits & spread.rest
        while singles:
            lowest = singles & -singles
            woken |= spread.others[lowest]
            singles ^= lowest
            meter.spend(1)
        return woken

    def _learn(self, spread: _Spread, fresh: int, gates: int, meter: Meter) -> None:
        """Follow up char nodes that hold for the first time under these gates."""
        while fresh:
            bit = fresh & -fresh
            fresh ^= bit
            place = bit.bit_length() - 1
            woken = self._follow(self._graph.node_of[place], gates, meter)
            shape = woken >> place
            if woken and shape << place == woken and shape < _SHAPES:
                spread.shifts[shape] = spread.shifts.get(shape, 0) | bit
            elif woken:
                spread.others[bit] = woken
                spread.rest |= bit
            spread.known |= bit

    def _follow(self, node: int, gates: int, meter: Meter) -> int:
        """Return the bits of all nodes that wake up when `node` holds."""
        above, wakes = self._graph.above, self._graph.wakes
        woken = 0
        seen = {node}
        queue = [node]
        while queue:
            current = queue.pop()
            woken |= wakes[current]
            for upper, gate in above[current]:
                if upper not in seen and (not gate or gate & gates):
                    seen.add(upper)
                    queue.append(upper)
        meter.spend(len(seen))
        return woken


def has_unit(ranges: Ranges, unit: int) -> bool:
    """Return whether `unit` is in one of `ranges`."""
    return any(low <= unit <= high for low, high in ranges)


def is_word(char: str) -> bool:
    r"""Return whether JavaScript's `\w` takes `char`."""
    return has_unit(WORDS, ord(char))
