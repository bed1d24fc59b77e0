"""Nothing reads a meaning out of a sentence: what behaviour hangs on is a fact beside the text."""

import ast
from collections.abc import Iterator

from tests.worlds.sources import modules, parsed

SENTENCES = {"error", "evidence", "note", "outcome", "reason", "says", "trigger", "why"}
"""The attributes and variables that hold text for people."""

READS = {
    *("startswith", "endswith", "partition", "rpartition", "removeprefix", "removesuffix"),
    *("split", "match", "fullmatch", "search", "find", "index"),
}

READ = {
    "bridge.core.failure _VERDICT.match(error)": "the backend's own words, which have no facts",
    "bridge.core.health.fate said.note.removesuffix": "cuts off the way back, a fact of its own",
    "bridge.pipeline.gates.commands reason.split": "white space in what somebody types",
    "bridge.views.states note.removeprefix": "leaves out what the heading says",
    "bridge.app.doctor.settings self.says.endswith": "what stands between two sentences",
    "bridge.app.doctor.services says.removeprefix": "leaves out what the heading says",
    'bridge.app.doctor.services "can\'t be" in finding.says': "finds a library's words again",
    "bridge.app.doctor.itself 'certificate' in why": "a library's words",
    "bridge.app.doctor.itself 'TLS' in why": "a library's words",
    "bridge.app.unmatched one.says.partition": "tells a warning once, whatever is near it",
}
"""Where a sentence is read all the same, and why no behaviour hangs on it; no line joins."""


def test_no_meaning_is_read_out_of_a_sentence() -> None:
    found = {
        f"{name} {read}"
        for name, source in modules()
        if not name.startswith("bridge.embedded")
        for read in _reads(parsed(source))
    }

    assert found == set(READ)


def _reads(tree: ast.AST) -> Iterator[str]:
    """The calls and comparisons that look into a sentence."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=text, attr=attr)) if attr in READS:
                if _is_sentence(text):
                    yield ast.unparse(node.func)
                elif any(map(_is_sentence, node.args)):
                    yield ast.unparse(node)
            case ast.Compare(left=ast.Constant(value=str()), ops=[ast.In() | ast.NotIn()]):
                if _is_sentence(node.comparators[0]):
                    said = ast.unparse(node)
                    yield said.replace(" not in ", " in ")


def _is_sentence(node: ast.AST) -> bool:
    return getattr(node, "attr", None) in SENTENCES or getattr(node, "id", None) in SENTENCES


def test_a_planted_look_into_a_sentence_is_found() -> None:
    for planted in (
        'note.endswith("; verified")',
        'one.outcome.partition(": ")[0]',
        "_NUMBER.fullmatch(delivery.error)",
        '"disconnect" in note.says',
    ):
        assert list(_reads(ast.parse(planted)))
