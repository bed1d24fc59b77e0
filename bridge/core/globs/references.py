"""Does a reference have anything to refer to?

`\\1` is the empty text as long as group 1 has read nothing, and each round of a repetition
forgets the groups inside it. Where that can be seen in the expression, the reference goes,
and usually the need to try out choices with it.
"""

from bridge.core.globs.syntax import EMPTY, Alt, Back, Group, Look, Node, Repeat, Seq

_Groups = frozenset[int]


def settled(expression: Node) -> Node:
    """Replace references that can only mean the empty text."""
    return _settle(expression, frozenset(), back=False)[0]


def groups_in(node: Node) -> _Groups:
    """Give the numbers of the groups inside `node`."""
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
    """Tell whether there is a reference inside `node`."""
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
        The node, and the groups that may have read something behind it.
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
