"""From the tree of an expression to a graph, ready to be walked from its end to its start.

Every node says "from here on it fits". A char node holds at a position when its unit is
there and the node after it holds at the next one; all other nodes hold when a node
after them does, at the same position, and their gate (a condition on the position) is
open. So what holds at one position follows from what holds at the next: reading the path
backwards, a look-ahead is one more node whose value is known by the time it is asked for.

Each look-ahead is a *part* of its own, its gate opened or shut by how its part turns out;
equal look-aheads share one part, and a part comes after those that it asks.
"""

from dataclasses import dataclass, field

from bridge.core.matching.regex import (
    EMPTY,
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
)

_Groups = frozenset[int]


def settled(expression: Node) -> Node:
    """Replace references that can only mean the empty text."""
    return _settle(expression, frozenset(), back=False)[0]


def groups_in(node: Node) -> _Groups:
    """Return the numbers of the groups inside `node`."""
    match node:
        case Seq(parts) | Alt(parts):
            return frozenset().union(*map(groups_in, parts))
        case Repeat(body) | Look(body):
            return groups_in(body)
        case Group(number, body):
            return groups_in(body) | {number}
        case _:
            return frozenset()


def refers_back(node: Node) -> bool:
    """Return whether there is a reference inside `node`."""
    match node:
        case Seq(parts) | Alt(parts):
            return any(map(refers_back, parts))
        case Repeat(body) | Look(body) | Group(_, body):
            return refers_back(body)
        case _:
            return isinstance(node, Back)


def _settle(node: Node, known: _Groups, *, back: bool) -> tuple[Node, _Groups]:
    """Settle `node`, given the groups that may have read something before it.

    Returns:
        The node, and the groups that may have read something after it.
    """
    match node:
        case Back(number):
            return (node if number in known else EMPTY), known
        case Seq(parts):
            return _sequence(parts, known, back=back)
        case Alt(options):
            pairs = [_settle(option, known, back=back) for option in options]
            after = known.union(*[groups for _, groups in pairs])
            return Alt(tuple(option for option, _ in pairs)), after
        case Repeat(body, least, most, lazy):
            settled_body, after = _settle(body, known - groups_in(body), back=back)
            return Repeat(settled_body, least, most, lazy), known | after
        case Look(body, behind, negative):
            settled_body, after = _settle(body, known, back=behind)
            return Look(settled_body, behind, negative), known if negative else after
        case Group(number, body):
            settled_body, after = _settle(body, known, back=back)
            return Group(number, settled_body), after | {number}
        case _:
            return node, known


def _sequence(parts: tuple[Node, ...], known: _Groups, *, back: bool) -> tuple[Node, _Groups]:
    """Settle one part after the other, in the order in which they are read."""
    done: list[Node] = []
    for part in reversed(parts) if back else parts:
        settled_part, known = _settle(part, known, back=back)
        done.append(settled_part)
    return Seq(tuple(reversed(done) if back else done)), known


# ── From the tree of an expression to a graph, ready to be walked from its end to its start ─────

MAX_NODES = 20_000

# Gates that depend on the position only; look-behinds and then look-aheads follow.
PLACE_GATES = {Place.START: 1, Place.END: 2, Place.WORD_EDGE: 4, Place.NO_WORD_EDGE: 8}
FIRST_FREE_GATE = 16


class TooLarge(Exception):
    """The graph would have more than `MAX_NODES` nodes."""


class RefersBack(Exception):
    """A reference to a group: no finite graph can remember what the group has read."""


@dataclass(slots=True)
class Part:
    """A look-ahead, or (last) the expression itself.

    Attributes:
        accept: the node that always holds: everything has been read.
        root: bit of the part's first node.
        chars: bits of its char nodes.
        asks: gates that occur in it.
        gate, negative: what a look-ahead opens, and when.
    """

    gate: int = 0
    negative: bool = False
    accept: int = 0
    root: int = 0
    chars: int = 0
    asks: int = 0


@dataclass(slots=True)
class Graph:
    """An expression to be read backwards.

    Attributes:
        above: for each node the nodes that hold when it does, each with a gate (0: open).
        wakes: for each node, bits that are set when it holds: char nodes in front of it,
            roots of parts.
        node_of: for the bit of a char node, by its number, the node.
        sets: for each set of units, the bits of the char nodes that read one of them.
        behinds: look-behinds with their gates; their values come from outside.
    """

    above: list[list[tuple[int, int]]] = field(default_factory=list)
    wakes: list[int] = field(default_factory=list)
    node_of: list[int] = field(default_factory=list)
    sets: dict[Ranges, int] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    behinds: list[tuple[Look, int]] = field(default_factory=list)
    uses_words: bool = False


def build(expression: Node, *, anywhere: bool) -> Graph:
    """Make the graph of `expression`.

    Args:
        anywhere: a match may start at any position, not only at the first.

    Raises:
        TooLarge, RefersBack.
    """
    if anywhere:
        any_text = Repeat(Chars(((0, LAST_UNIT),)), 0, None)
        expression = Seq((any_text, expression))
    builder = _Builder()
    builder.part(expression, Part())
    return builder.graph


class _Builder:
    def __init__(self) -> None:
        self.graph = Graph()
        self._gates: dict[Look, int] = {}
        self._next_gate = FIRST_FREE_GATE
        self._built = 0

    def part(self, expression: Node, part: Part) -> None:
        part.accept = self._node()
        first = self._build(expression, part.accept, part)
        part.root = self._bit(first)
        self.graph.wakes[first] |= part.root
        self.graph.parts.append(part)

    def _node(self) -> int:
        graph = self.graph
        if len(graph.above) >= MAX_NODES:
            raise TooLarge
        graph.above.append([])
        graph.wakes.append(0)
        return len(graph.above) - 1

    def _bit(self, node: int) -> int:
        self.graph.node_of.append(node)
        return 1 << (len(self.graph.node_of) - 1)

    def _join(self, *below: int) -> int:
        """Add a node that holds when one of those after it does."""
        node = self._node()
        for target in below:
            self.graph.above[target].append((node, 0))
        return node

    def _build(self, expression: Node, behind: int, part: Part) -> int:
        """Add nodes for `expression` in front of node `behind`; give the first of them."""
        self._built += 1
        if self._built > 4 * MAX_NODES:
            # `(){9999}` in itself makes no nodes, but takes its time.
            raise TooLarge
        match expression:
            case Seq(pieces):
                for piece in reversed(pieces):
                    behind = self._build(piece, behind, part)
                return behind
            case Alt(options):
                return self._join(*[self._build(option, behind, part) for option in options])
            case Repeat():
                return self._repeat(expression, behind, part)
            case Group(_, body):
                return self._build(body, behind, part)
            case _:
                return self._leaf(expression, behind, part)

    def _leaf(self, expression: Chars | At | Look | Back, behind: int, part: Part) -> int:
        match expression:
            case Chars(ranges):
                return self._chars(ranges, behind, part)
            case At(place):
                self.graph.uses_words |= place in (Place.WORD_EDGE, Place.NO_WORD_EDGE)
                return self._gated(PLACE_GATES[place], behind, part)
            case Look():
                return self._gated(self._gate_of(expression), behind, part)
            case Back():
                raise RefersBack

    def _chars(self, ranges: Ranges, behind: int, part: Part) -> int:
        graph = self.graph
        node = self._node()
        bit = self._bit(node)
        graph.wakes[behind] |= bit
        graph.sets[ranges] = graph.sets.get(ranges, 0) | bit
        part.chars |= bit
        return node

    def _gated(self, gate: int, behind: int, part: Part) -> int:
        node = self._node()
        self.graph.above[behind].append((node, gate))
        part.asks |= gate
        return node

    def _repeat(self, repeat: Repeat, behind: int, part: Part) -> int:
        if repeat.least > MAX_NODES or (repeat.most or 0) > MAX_NODES:
            raise TooLarge
        first = behind
        copies = repeat.least
        if repeat.most is None:
            first = self._join(behind)
            body = self._build(repeat.body, first, part)
            self.graph.above[body].append((first, 0))
            if copies:
                # The loop's own body is one of the copies, or nesting would double each.
                first = body
                copies -= 1
        else:
            for _ in range(repeat.most - repeat.least):
                first = self._join(self._build(repeat.body, first, part), behind)
        for _ in range(copies):
            first = self._build(repeat.body, first, part)
        return first

    def _gate_of(self, look: Look) -> int:
        gate = self._gates.get(look)
        if gate is None:
            if not look.behind:
                # Its own gate is given out after those of the look-aheads inside it.
                part = Part(negative=look.negative)
                self.part(look.body, part)
                gate = part.gate = self._new_gate()
            else:
                if refers_back(look.body):
                    raise RefersBack
                gate = self._new_gate()
                self.graph.behinds.append((look, gate))
            self._gates[look] = gate
        return gate

    def _new_gate(self) -> int:
        gate = self._next_gate
        self._next_gate <<= 1
        return gate


def mirrored(expression: Node) -> Node:
    """Return the expression that fits the same texts read backwards."""
    match expression:
        case Seq(pieces):
            return Seq(tuple(mirrored(piece) for piece in reversed(pieces)))
        case Alt(options):
            return Alt(tuple(mirrored(option) for option in options))
        case Repeat(body, least, most, lazy):
            return Repeat(mirrored(body), least, most, lazy)
        case At(Place.START):
            return At(Place.END)
        case At(Place.END):
            return At(Place.START)
        case Look(body, behind, negative):
            return Look(mirrored(body), not behind, negative)
        case Group(number, body):
            return Group(number, mirrored(body))
        case _:
            return expression
