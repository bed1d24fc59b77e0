"""What a list means, under both rules."""

from typing import Any

import pytest

from bridge.core.matching import GlobError, GlobThrows
from bridge.core.matching.watch_paths import Hit, Semantics, WatchPaths
from tests.worlds.rows import each_row


@pytest.mark.parametrize("patterns", [None, [], ()])
def test_no_patterns_watch_everything(patterns):
    watch = WatchPaths.compile(patterns)

    assert watch.always
    assert watch.first_match(["a"]) is None
    assert not WatchPaths.compile(["a"]).always


def test_the_first_pattern_wins_then_the_first_file():
    watch = WatchPaths.compile(["docs/**", "src/**"], "any")

    assert watch.first_match(["src/a", "docs/b", "docs/c"]) == Hit("docs/**", 0, "docs/b")
    assert watch.first_match(["src/a", "src/b"]) == Hit("src/**", 1, "src/a")
    assert watch.first_match([]) is None
    assert watch.first_match(path for path in ["x", "src/a"]) == Hit("src/**", 1, "src/a")


@each_row(
    ("patterns", "files", "any_hit", "exclude_hit"),
    [
        (["src/**", "!**/*.md"], ["src/a.md"], (0, "src/a.md"), None),
        (["src/**", "!**/*.md"], ["other"], (1, "other"), None),
        (["src/**", "!**/*.md"], ["src/a.md", "src/b"], (0, "src/a.md"), (0, "src/b")),
        (["!**/*.md", "src/**"], ["src/a.md"], (1, "src/a.md"), (1, "src/a.md")),
        (["src/**", "!src/*.md", "src/a.md"], ["src/a.md"], (0, "src/a.md"), (0, "src/a.md")),
        (["!docs/**"], ["docs/a"], None, None),
        (["!docs/**"], ["docs/a", "b"], (0, "b"), (0, "b")),
        (["!docs/**", "!b"], ["docs/a", "b"], (0, "b"), None),
        (["!docs/**", "!b"], ["docs/a", "c"], (0, "c"), (0, "c")),
        (["!(docs)/**", "a/b"], ["docs/a"], None, None),
    ],
)
def test_the_two_rules_differ_in_what_an_exclamation_mark_does(
    patterns, files, any_hit, exclude_hit
):
    answers: list[tuple[Semantics, Any]] = [("any", any_hit), ("exclude", exclude_hit)]
    for semantics, wanted in answers:
        hit = WatchPaths.compile(patterns, semantics).first_match(files)
        assert (hit and (hit.index, hit.file)) == wanted, semantics


def test_a_broken_pattern_raises_at_once_where_all_are_needed():
    with pytest.raises(GlobThrows):
        WatchPaths.compile(["src/**", ""])
    with pytest.raises(GlobError):
        WatchPaths.compile([""], "any")


def test_a_broken_pattern_does_no_harm_while_an_earlier_one_matches():
    watch = WatchPaths.compile(["src/**", "", "docs/**"], "any")

    assert watch.first_match(["src/a"]) == Hit("src/**", 0, "src/a")
    with pytest.raises(GlobThrows):
        watch.first_match(["docs/a"])


def test_the_version_of_picomatch_is_a_choice():
    assert WatchPaths.compile(["+(a|aa)"]).first_match(["aaa"])
    assert not WatchPaths.compile(["+(a|aa)"], picomatch="2.3.2").first_match(["aaa"])
