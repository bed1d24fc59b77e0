"""What is probably not meant, and what to write instead."""

from bridge.core.matching.lint import lint
from tests.worlds.rows import each_row


def codes(patterns, semantics="exclude"):
    return [finding.code for finding in lint(patterns, semantics)]


@each_row(
    ("pattern", "code", "remedy"),
    [
        ("/apps/web/**", "leading_slash", "Write `apps/web/**`."),
        ("!/apps/web/**", "leading_slash", "Write `!apps/web/**`."),
        ("src/", "trailing_slash", "Write `src/**`."),
        ("a//b/*", "double_slash", "Write `a/b/*`."),
        ("./src/*", "leading_dot_slash", "Write `src/*`."),
        ("a/../b/*", "dot_segment", "Write the path from the top of the repository."),
        (r"src\web", "backslash", "Write `src/web`."),
        ("a/*,b/*", "comma", "Save separate patterns: `a/*`, `b/*`."),
        (" src/*", "surrounding_space", "Write `src/*`."),
        ("a/* b/*.md", "space", "Save separate patterns: `a/*`, `b/*.md`."),
        ("[!a]*", "bang_class", "Write `[^a]*`."),
        (
            "**",
            "dotfiles",
            "Add `**/.*` and `**/.*/**`, or save no patterns to deploy on every push.",
        ),
        ("src/**", "dotfiles", "If they matter, add `src/**/.*` and `src/**/.*/**`."),
        ("apps/web", "bare_directory", "For the directory write `apps/web/**`."),
        ("(a", "unclosed", "Close it, or write a backslash before it."),
        ("[z-a]", "never_matches", "Close each bracket; escape literal ones by \\."),
        ("", "throws", "Remove the empty pattern; an empty list deploys on every push."),
        ("toString", "throws", "Write it as `./toString`."),
        ("a" * 1025, "unsupported", "Write it shorter or simpler."),
        ("*a*a*a*a*a*a*b", "freezes", "Use fewer stars, or no group that is repeated."),
        ("+([a-z]|[a-y])1", "freezes", "Use fewer stars, or no group that is repeated."),
        ("a/" + "\\" * 4, "freezes", "Take the row of backslashes at its end away."),
    ],
)
def test_a_pattern_gets_its_remedy(pattern, code, remedy):
    found = {finding.code: finding for finding in lint([pattern])}

    assert code in found
    assert found[code].remedy == remedy
    assert found[code].pattern == pattern
    assert found[code].sentence.endswith(".")


@each_row(
    "pattern",
    [
        "package.json",
        "Dockerfile",
        "**/*.{ts,tsx}",
        "apps/*/src/*.ts",
        "a b/*.md",
        "**/.env",
        "*.y?ml",
    ],
)
def test_ordinary_patterns_are_left_alone(pattern):
    assert lint([pattern]) == []


def test_a_negation_is_judged_by_the_rule_of_the_list():
    assert codes(["*.ts", "!docs/*"], "any") == ["negation_does_not_exclude"]
    assert codes(["*.ts", "!docs/*"]) == []
    assert codes(["!docs/*", "*.ts"]) == ["exclusion_too_early"]
    assert codes(["!docs/*", "!*.md"]) == []
    assert codes(["!docs/*"], "any") == []


def test_what_another_pattern_covers_is_redundant_unless_it_lets_in_again():
    assert codes(["a/*", "a/*"]) == ["redundant"]
    assert codes(["src/**", "src/web/*.ts"])[1:] == ["redundant"]
    assert codes(["src/**", "src/.env"])[1:] == []
    assert codes(["src/**", "!src/web/*", "src/web/*.ts"])[1:] == []
