"""What a single pattern means."""

import pytest

from bridge.core.errors import Rejected
from bridge.core.matching import Glob, GlobError, GlobThrows, GlobUnsupported
from bridge.core.matching.translate import translate
from tests.worlds.rows import each_row


@each_row(
    ("pattern", "matching", "other"),
    [
        ("src/**", "src src/ src/a src/a/b.ts", "src/.env src/a/.b/c srcs other/src/a"),
        ("src/*", "src/a src/a/", "src src/ src/a/b src/.a"),
        ("src", "src", "src/ src/a"),
        ("src/", "src/", "src src/a"),
        ("./src/**", "src/a", "./src/a"),
        ("/apps/**", "/apps/a", "apps/a"),
        ("**/*.md", "a.md docs/a.md a/b/c.md", "a.mdx docs/.a.md .a/b.md"),
        ("**", "a a/b", ".a a/.b"),
        (".github/**", ".github/workflows/ci.yml", ".github/.x github/a"),
        ("{apps,packages}/web/**", "apps/web/a packages/web/a", "libs/web/a apps/a"),
        ("apps/{1..3}/*", "apps/1/a apps/3/a", "apps/4/a apps/12/a"),
        ("{10..2}", "0 1 2", "10 3"),
        ("@(a|b)/*", "a/x b/x", "c/x ab/x"),
        ("+(a|b)/*", "a/x abba/x", "c/x /x"),
        ("?(a)b", "b ab", "aab"),
        ("*(a)b", "b ab aab", "cb"),
        ("!(*.test).ts", "a.ts", "a.test.ts"),
        ("!docs/**", "src/a", "docs/a docs"),
        ("!!docs/**", "docs/a", "src/a"),
        ("[a-c]x", "ax cx", "dx"),
        ("[^a]x", "bx", "ax /x"),
        ("[!a]x", "!x ax", "bx"),
        ("[id]", "i d [id]", "id"),
        ("[[:digit:]]x", "1x", "ax"),
        (r"a\*b", "a*b", "axb"),
        ('a/"*"', "a/*", "a/b"),
        ("(?<=a)b|ab", "ab", "b"),
        ("a(?=b)*", "ab abc", "ac a"),
        (r"(a|b)/\1", "a/a b/b", "a/b b/a"),
        (r"*\bx*", "a-x", "ax"),
        ("a++b", "a+b a++b", "a++c ab"),
        ("(a", "(a", "a"),
        ("a)b", "a)b", "ab"),
    ],
)
def test_a_pattern_matches_what_micromatch_says(pattern, matching, other):
    glob = Glob(pattern)

    assert [path for path in matching.split() if not glob.matches(path)] == []
    assert [path for path in other.split() if glob.matches(path)] == []


def test_units_count_not_characters():
    assert Glob("??").matches("😀")
    assert not Glob("?").matches("😀")
    assert Glob("😀/*").matches("😀/a")


def test_newlines_are_matched_by_stars_but_not_by_globstars():
    assert Glob("*").matches("a\nb")
    assert not Glob("**").matches("a\nb")
    assert not Glob("!a").matches("a\nb")
    assert not Glob("!a").matches("a\u2028b")


def test_a_path_that_equals_the_pattern_matches_and_the_empty_one_never_does():
    assert Glob("a(b").matches("a(b")
    assert Glob("[z-a]").matches("[z-a]")
    assert Glob("!a").matches("!a")
    assert not Glob("**").matches("")


def test_excluding_is_known_of_negations_only():
    assert Glob("!a").excludes
    assert Glob("!(a)").excludes
    assert not Glob("!!a").excludes
    assert not Glob("a/!(b)").excludes


@pytest.mark.parametrize("pattern", ["", "constructor", "toString", "__proto__"])
def test_what_throws_in_javascript_is_told_apart(pattern):
    with pytest.raises(GlobThrows) as caught:
        Glob(pattern)

    assert caught.value.javascript == "TypeError"
    assert caught.value.pattern == pattern
    assert isinstance(caught.value, Rejected)


def test_inherited_names_are_ordinary_in_the_later_picomatch():
    assert Glob("toString", "2.3.2").matches("toString")
    assert Glob("./toString").matches("toString")


def test_the_later_picomatch_reads_risky_repetitions_literally():
    assert Glob("+(a|aa)").matches("aaa")
    assert not Glob("+(a|aa)", "2.3.2").matches("aaa")
    assert translate("+(a|aa)", "2.3.2").source == r"^(?:\+\(a\|aa\))$"
    assert translate("*(*(a))", "2.3.2").source == "^(?:(?=.)a*)$"


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        ("a" * 1025, "too_long"),
        ("(" * 51 + ")" * 51, "too_deep"),
        ("a/" + "\\" * 4, "freezes"),
    ],
)
def test_what_we_refuse_has_a_code_and_a_reason(pattern, code):
    with pytest.raises(GlobUnsupported) as caught:
        Glob(pattern)

    assert caught.value.code == code
    assert caught.value.reason in str(caught.value)
    assert len(str(caught.value)) < 250


def test_more_than_javascript_takes_throws():
    with pytest.raises(GlobThrows) as caught:
        Glob("a" * 65537)

    assert caught.value.javascript == "SyntaxError"


def test_too_large_an_expression_is_refused_when_it_is_asked():
    glob = Glob(r"[(((a*){9,9999}){9,9999}){9999}\]")

    with pytest.raises(GlobError, match="too large"):
        glob.matches("a")
