"""The ways to decide an expression agree, and none of them runs away."""

import gc
import random
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.matching import Glob, GlobError
from bridge.core.matching.automaton import Meter
from bridge.core.matching.backtrack import Backtracker
from bridge.core.matching.glob import Matcher
from bridge.core.matching.regex import Alt, At, Chars, Look, Place, Repeat, Seq
from tests.worlds.rows import each_row

LIMIT = 0.1  # seconds
UNITS = st.sampled_from([Chars(((97, 97),)), Chars(((98, 98),)), Chars(((97, 98),)), Chars(())])
PLACES = st.sampled_from([At(place) for place in Place])
EXPRESSIONS = st.recursive(
    UNITS | PLACES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: Seq(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: Alt(tuple(options))),
        st.builds(Repeat, inner, st.integers(0, 2), st.sampled_from([2, 3, None]), st.booleans()),
        st.builds(Look, inner, st.booleans(), st.booleans()),
    ),
    max_leaves=8,
)
QUICKLY = settings(
    max_examples=2 * settings().max_examples, suppress_health_check=list(HealthCheck)
)

PIECES = [
    *("a", "b", "/", ".", "*", "**", "?", "!", "+", "@", "(", ")", "[", "]", "{", "}", "|", ","),
    *("\\", '"', "^", "$", "-", ":", "!(", "+(", "*(", "?(", "@(", "(?=", "(?!", "(?<=", "(?<!"),
    *("[^", "[:alpha:]", "..", "1", "\\1", "\\b", "(?<n>", "\\k<n>", "{a,b}", "{1..3}", "😀", "\n"),
]
PATTERNS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).map("".join)
REPEATED = st.builds(
    lambda head, part, times, tail: (head + part * times + tail)[:1024],
    PATTERNS,
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
    st.integers(1, 1024),
    PATTERNS,
)
PATHS = st.builds(
    lambda part, times, tail: (part * times + tail)[:4096],
    st.text("ab/.1😀-[(", min_size=1, max_size=6),
    st.integers(1, 4096),
    st.text("ab/.c", max_size=3),
)


@QUICKLY
@given(EXPRESSIONS, st.text("abc", min_size=1, max_size=8))
def test_automaton_and_backtracker_agree_on_any_expression(expression, path):
    assert Matcher(expression).matches(path) == Backtracker(expression).matches(path, Meter())


def answer_in_time(pattern, path):
    taken = seconds(pattern, path)
    if taken > LIMIT:
        # Once more: the machine may have had a bad moment, the pattern has it each time.
        taken = seconds(pattern, path)
    assert taken < LIMIT, f"{taken:.3f} s for {pattern!r} on {path[:20]!r}… of {len(path)}"


def seconds(pattern, path):
    gc.disable()  # other tests' garbage is not this pattern's fault
    try:
        start = time.thread_time()
        with suppress(GlobError):
            Glob(pattern).matches(path)
        return time.thread_time() - start
    finally:
        gc.enable()


@QUICKLY
@given(PATTERNS | REPEATED, PATHS)
def test_no_pattern_takes_long_or_raises_anything_but_a_glob_error(pattern, path):
    answer_in_time(pattern, path)


@each_row(
    "pattern",
    [
        "*a*a*a*a*a*a*b",
        "+([a-z]|[a-y])1",
        "(a+)+b",
        "+(" * 40 + "a" + ")" * 40 + "b",
        "!(" * 40 + "a" + ")" * 40,
        "**/a/" * 200 + "b",
        "?" * 500 + "a*",
        "{a,a}" * 200 + "b",
        "+(a|" + "|".join("a" * size for size in range(2, 40)) + ")b",
        r"(*)\1" * 200,
        "!(a)" * 250,
        r"[(a{20}){20}\]" * 70,
        "(?<=a*b)" * 120,
    ],
)
@each_row("path", ["ab" * 2048, "/aab" * 1024])
def test_hostile_patterns_are_answered_or_refused_in_time(pattern, path):
    answer_in_time(pattern, path)


def test_the_work_on_many_paths_together_has_its_own_limit():
    glob = Glob("+(ab|a|b)" + "?" * 100 + "a*")
    chance = random.Random(1)
    paths = ["".join(chance.choices("ab", k=300)) for _ in range(20)]
    meter = Meter(20_000)

    assert any(glob.matches(path) for path in paths)
    with pytest.raises(GlobError, match="too long"):
        [glob.matches("b" + path, meter) for path in paths]


def test_threads_may_share_a_pattern():
    chance = random.Random(2)
    pattern = "*(*a*|b?)+(a|b)*/" * 3 + "**"
    paths = ["".join(chance.choices("ab/", k=30)) for _ in range(400)]
    alone = [Matcher(Glob(pattern).expression).matches(path) for path in paths]

    for _ in range(5):
        shared = Matcher(Glob(pattern).expression, allow_quick=False)
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(shared.matches, paths)) == alone
