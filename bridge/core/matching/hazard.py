"""Would micromatch itself take forever?

Tried out, not guessed: the expression is run as V8 would run it, on a few paths made to
hurt, and the steps are counted.
"""

from collections.abc import Iterator
from itertools import pairwise

from bridge.core.matching.anchors import lead
from bridge.core.matching.automaton import Meter, TooCostly
from bridge.core.matching.backtrack import STEP_COST, Backtracker
from bridge.core.matching.glob import harmless
from bridge.core.matching.graph import TooLarge
from bridge.core.matching.regex import Alt, Chars, Group, Look, Node, Repeat, Seq

PATH_LENGTH = 48
STEPS = 60_000  # a growth with the fourth power of the length, or worse, gets there
MAX_LITERALS = 6


def freezes(expression: Node) -> bool:
    """Tell whether a path of ordinary length makes a backtracking engine run away."""
    if harmless(expression, 3 * PATH_LENGTH):
        return False
    try:
        backtracker = Backtracker(expression)
    except TooLarge:
        return True
    for path in _hurtful_paths(expression):
        try:
            backtracker.matches(path, Meter(STEPS * STEP_COST))
        except TooCostly:
            return True
    return False


def _hurtful_paths(expression: Node) -> Iterator[str]:
    """Give paths that start as asked for, go on as liked, and end in disappointment."""
    beginning = lead(expression).texts[0]
    literals = list(dict.fromkeys(_literals(expression)))[:MAX_LITERALS] or ["a"]
    rows = [*literals, "".join(literals), *(f"{literal}/" for literal in literals)]
    for one, other in pairwise(literals):
        rows += [one + other, one + other + one]
    for row in dict.fromkeys(rows):
        yield f"{beginning}{(row * PATH_LENGTH)[:PATH_LENGTH]}\u00ff"


def _literals(node: Node) -> Iterator[str]:
    """Give characters that loops of the expression may like."""
    match node:
        case Chars(ranges) if ranges:
            first = chr(ranges[0][0])
            if first.isprintable() and first not in "/.":
                yield first
        case Seq(parts) | Alt(parts):
            for part in parts:
                yield from _literals(part)
        case Repeat(body) | Look(body) | Group(_, body):
            yield from _literals(body)
        case _:
            return
