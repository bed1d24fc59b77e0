"""Many apps together are decided as each alone."""

from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.matching import Glob, GlobError, Meter, watch_index
from bridge.core.matching.watch_index import WatchIndex
from bridge.core.matching.watch_paths import Hit, WatchPaths

SETTINGS = settings(suppress_health_check=list(HealthCheck))

WORDS = ["a", "b", "ab", ".a", "a.b", "src", "md", "x.md", "..", "é", "a b"]
SEGMENTS = st.one_of(
    st.sampled_from([*WORDS, "**", "*", "*.md", "*.{md,x}", "a*", "{a,b}", "?", "*a*", "[ab]"]),
    st.sampled_from(["@(a|b)", "!(a)", "+(a|b).md", "", "{a,b}*", "*.a.b", "(a|b)"]),
)
PATTERNS = st.builds(
    lambda sign, segments: sign + "/".join(segments),
    st.sampled_from(["", "", "", "", "!", "./", "!./", "/"]),
    st.lists(SEGMENTS, min_size=1, max_size=4),
)
PATHS = st.builds(
    lambda segments, end: "/".join(segments) + end,
    st.lists(st.sampled_from([*WORDS, "b.md", "aa", "*"]), min_size=1, max_size=4),
    st.sampled_from(["", "", "", "", "/", "\n"]),
)


def alone(patterns, semantics, files):
    try:
        return WatchPaths.compile(patterns, semantics).first_match(files)
    except GlobError as error:
        return str(error)


@SETTINGS
@given(
    st.lists(st.lists(PATTERNS, min_size=1, max_size=4), min_size=1, max_size=12),
    st.lists(PATHS, max_size=8),
    st.sampled_from(["any", "exclude"]),
    st.sampled_from([1, 3, watch_index.AT_ONCE]),
)
def test_an_index_decides_as_each_list_alone(lists, files, semantics, at_once):
    """Also where it looks at some of the files after the others."""
    index = WatchIndex(semantics)
    for number, patterns in enumerate(lists):
        index.add(str(number), patterns)

    with patch.object(watch_index, "AT_ONCE", at_once):
        verdicts = index.decide(files)

    for number, patterns in enumerate(lists):
        verdict = verdicts.get(str(number))
        plain = str(verdict) if isinstance(verdict, GlobError) else verdict
        assert plain == alone(patterns, semantics, files), patterns


@SETTINGS
@given(
    st.sampled_from(["**/*.md", "!**/*.md", "**/*.test.ts", "!./**/*._a.B9"]),
    st.lists(
        st.sampled_from(
            ["a", "/", ".", ".md", "x.md", ".test.ts", "._a.B9", "**/*.md", "!", "\\", "\n"]
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_the_shortcut_for_an_ending_says_what_the_glob_says(pattern, parts):
    path = "".join(parts)
    index = WatchIndex("any")
    index.add("app", [pattern])

    assert ("app" in index.decide([path])) is Glob(pattern).matches(path, Meter())


@SETTINGS
@given(st.lists(PATTERNS, min_size=1, max_size=8))
def test_what_is_added_and_removed_leaves_nothing(patterns):
    index = WatchIndex()
    for number in range(3):
        index.add(str(number), patterns)
    for number in range(3):
        index.remove(str(number))

    assert len(index) == 0
    assert not index._entries
    assert not index._unanchored
    assert not any(index._anchored.values())


def test_a_pattern_stays_for_the_apps_that_still_have_it():
    index = WatchIndex()
    index.add("web", ["src/**"])
    index.add("api", ["src/**"])

    index.remove("web")

    assert index.decide(["src/a"]) == {"api": Hit("src/**", 0, "src/a")}


def test_apps_without_patterns_are_known_and_left_out():
    index = WatchIndex()
    index.add("all", None)
    index.add("also", [])
    index.add("web", ["a"])

    assert index.always == {"all", "also"}
    assert index.decide(["a"]) == {"web": Hit("a", 0, "a")}


def test_the_index_may_change_while_it_decides():
    index = WatchIndex()

    def work(number):
        for turn in range(30):
            index.add(f"app{number}", [f"dir{number}/**", "shared/*", f"*/{turn}.md"])
            verdicts = index.decide([f"dir{number}/a", "shared/b"])
            assert verdicts[f"app{number}"] == Hit(f"dir{number}/**", 0, f"dir{number}/a")
            if turn % 3 == 0:
                index.remove(f"app{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
