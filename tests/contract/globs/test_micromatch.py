"""Beside the real micromatch, on patterns that nobody has thought of."""

from typing import Any

import pytest

from bridge.core.matching import GlobThrows, GlobUnsupported
from bridge.core.matching.watch_paths import WatchPaths
from tests.contract.globs.micromatch_in_node import VERSIONS, Node, unavailable
from tests.oracles.node_tools import missing

ROUNDS = 1_000

PIECES = [
    *("a", "b", "ab", "/", ".", "*", "?", "!", "+", "@", "(", ")", "[", "]", "{", "}", "|", ","),
    *("\\", '"', "^", "$", "-", ":", ";", "0", "1", " ", "é", "😀", "\n", "\u2028", "\0"),
    *("**", "**/", "/**", "***", "!(", "+(", "*(", "?(", "@(", "./", "../", "..", ".md", ".ts"),
    *("(?:", "(?=", "(?!", "(?<=", "(?<!", "(?<n>", "\\k<n>", "\\1", "\\b", "\\d", "\\x41", "\\c"),
    *("[^", "[!", "[[:alpha:]]", "[[:digit:]", "[[:toString:]]", "[a{2}", "\\]", "{1..3}", "{a,b}"),
    *("src", "constructor", "(a|b)", "(a)", "(*)", "+(a|aa)", "*(*(a))", "*.js", "|)"),
]
LISTS = ["src/**", "!docs/**", "**/*.md", "apps/*/src/!(*.test).ts", "!(docs)/**", "{a,b}/**", ""]


@pytest.fixture(scope="module", params=VERSIONS)
def node(request):
    if reason := unavailable():
        missing(f"no micromatch to compare with: {reason}")
    running = Node(request.param)
    yield running
    running.close()


def random_patterns(chance):
    def pattern():
        if chance.random() < 0.1:
            return chance.choice(LISTS)
        return "".join(chance.choices(PIECES, k=chance.randint(1, 9)))

    return [pattern() for _ in range(chance.choice([1, 1, 1, 2, 3]))]


def random_path(chance, patterns):
    if chance.random() < 0.4:
        return "".join(chance.choices(["a", "b", "/", ".", "1", "A", "-", "src", ".md"], k=5))
    out = []
    for char in chance.choice(patterns) or "x":
        if char in "*?!+@()[]{}|\\":
            out.append(chance.choice(["", "", "", char, "a", "b", "x/y"]))
        else:
            out.append(char if chance.random() < 0.8 else chance.choice(["a", "/", "."]))
    return "".join(out) or "a"


def ours(patterns, semantics, files, version):
    try:
        return WatchPaths.compile(patterns, semantics, version).first_match(files)
    except GlobThrows as error:
        return error.javascript


def disagrees(answer, mine):
    """Tell whether our hit (or the name of our error) is not what Node answered."""
    if "error" in answer:
        return mine != answer["error"]
    if isinstance(mine, str):
        return True
    if isinstance(answer["ok"], bool):
        return (mine is not None) is not answer["ok"]
    return mine.file not in answer["ok"] if mine else bool(answer["ok"])


@pytest.mark.slow
def test_random_patterns_are_answered_as_by_the_original(node, chance):
    differences: list[tuple[Any, ...]] = []
    for _ in range(ROUNDS):
        patterns = random_patterns(chance)
        files = list(dict.fromkeys(random_path(chance, patterns) for _ in range(5)))
        answers = node.answers(patterns, files)
        asked = [("any", files, answers["some"]), ("exclude", files, answers["match"])]
        asked += [("any", [file], answers["each"][at]) for at, file in enumerate(files)]
        for semantics, some_files, answer in asked:
            if answer.get("error") == "TIMEOUT":
                continue
            try:
                mine = ours(patterns, semantics, some_files, node.version)
            except GlobUnsupported as error:
                differences.append((patterns, some_files, str(error)))
                continue
            if disagrees(answer, mine):
                differences.append((semantics, patterns, some_files, answer, mine))

    assert differences == []
