"""What a single pattern means, and a list of them."""

import pytest

from bridge.core.errors import Rejected
from bridge.core.matching import Glob, GlobError, GlobThrows, GlobUnsupported
from bridge.core.matching.translate import translate
from bridge.core.matching.watch_paths import Hit, WatchPaths
from tests.worlds.rows import each_row


@each_row(
    ("pattern", "matching", "other"),
    [
        ("src/**", "src src/ src/a src/a/b.ts", "src/.env src/a/.b/c srcs other/src/a"),
        ("src/*", "src/a src/a/", "src src/ src/a/b src/.a"),
        ("**/*.md", "a.md docs/a.md a/b/c.md", "a.mdx docs/.a.md .a/b.md"),
        ("**", "a a/b", ".a a/.b"),
        ("{apps,packages}/web/**", "apps/web/a packages/web/a", "libs/web/a apps/a"),
        ("apps/{1..3}/*", "apps/1/a apps/3/a", "apps/4/a apps/12/a"),
        ("+(a|b)/*", "a/x abba/x", "c/x /x"),
        ("!(*.test).ts", "a.ts", "a.test.ts"),
        ("!docs/**", "src/a", "docs/a docs"),
        ("[^a]x", "bx", "ax /x"),
        ("[id]", "i d [id]", "id"),
        ("[[:digit:]]x", "1x", "ax"),
        (r"a\*b", "a*b", "axb"),
        (r"(a|b)/\1", "a/a b/b", "a/b b/a"),
        ("(a", "(a", "a"),
    ],
)
def test_a_pattern_matches_what_micromatch_says(pattern, matching, other):
    glob = Glob(pattern)

    assert [path for path in matching.split() if not glob.matches(path)] == []
    assert [path for path in other.split() if glob.matches(path)] == []


@each_row("pattern", ["", "constructor", "toString", "__proto__"])
def test_what_throws_in_javascript_is_told_apart(pattern):
    with pytest.raises(GlobThrows) as caught:
        Glob(pattern)

    assert caught.value.javascript == "TypeError"
    assert caught.value.pattern == pattern
    assert isinstance(caught.value, Rejected)


def test_the_later_picomatch_reads_risky_repetitions_literally():
    assert Glob("+(a|aa)").matches("aaa")
    assert not Glob("+(a|aa)", "2.3.2").matches("aaa")
    assert translate("+(a|aa)", "2.3.2").source == r"^(?:\+\(a\|aa\))$"
    assert translate("*(*(a))", "2.3.2").source == "^(?:(?=.)a*)$"


@each_row(
    ("pattern", "code"),
    [("a" * 1025, "too_long"), ("(" * 51 + ")" * 51, "too_deep"), ("a/" + "\\" * 4, "freezes")],
)
def test_what_we_refuse_has_a_code_and_a_reason(pattern, code):
    with pytest.raises(GlobUnsupported) as caught:
        Glob(pattern)

    assert caught.value.code == code
    assert caught.value.reason in str(caught.value)
    assert len(str(caught.value)) < 250


def test_too_large_an_expression_is_refused_when_it_is_asked():
    glob = Glob(r"[(((a*){9,9999}){9,9999}){9999}\]")

    with pytest.raises(GlobError, match="too large"):
        glob.matches("a")


# ── what a list means, under both rules ────────────────────────────────────────


def test_the_first_pattern_wins_then_the_first_file():
    watch = WatchPaths.compile(["docs/**", "src/**"], "any")

    assert watch.first_match(["src/a", "docs/b", "docs/c"]) == Hit("docs/**", 0, "docs/b")
    assert watch.first_match(["src/a", "src/b"]) == Hit("src/**", 1, "src/a")
    assert watch.first_match([]) is None
    assert watch.first_match(path for path in ["x", "src/a"]) == Hit("src/**", 1, "src/a")
