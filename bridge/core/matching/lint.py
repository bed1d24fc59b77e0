"""Find likely mistakes in a list of watch paths, and suggest corrections.

Catastrophic backtracking in micromatch is measured, not guessed: the expression runs as V8 would
run it, on a few adversarial paths, and the steps are counted.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Literal, TypeAlias

from bridge.core.matching import Glob, GlobError, GlobThrows, Picomatch
from bridge.core.matching.anchors import lead, outline
from bridge.core.matching.automaton import Meter, TooCostly
from bridge.core.matching.backtrack import STEP_COST, Backtracker
from bridge.core.matching.glob import harmless
from bridge.core.matching.graph import TooLarge
from bridge.core.matching.regex import NOTHING, Alt, Chars, Group, Look, Node, Repeat, Seq
from bridge.core.matching.watch_paths import Semantics, compiled

PATH_LENGTH = 48
STEPS = 60_000  # a growth with the fourth power of the length, or worse, gets there
MAX_LITERALS = 6


def freezes(expression: Node) -> bool:
    """Return whether a path of ordinary length makes a backtracking engine run away."""
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
    """Yield adversarial paths: a matching start, many repetitions, and a mismatch at the end."""
    beginning = lead(expression).texts[0]
    literals = list(dict.fromkeys(_literals(expression)))[:MAX_LITERALS] or ["a"]
    rows = [*literals, "".join(literals), *(f"{literal}/" for literal in literals)]
    for one, other in pairwise(literals):
        rows += [one + other, one + other + one]
    for row in dict.fromkeys(rows):
        yield f"{beginning}{(row * PATH_LENGTH)[:PATH_LENGTH]}\u00ff"


def _literals(node: Node) -> Iterator[str]:
    """Yield characters that loops of the expression may match."""
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


# ── remarks ─────────────────────────────────────────────────────────────────────────────────────

Level: TypeAlias = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one pattern.

    Attributes:
        code: stable, e.g. "leading_slash".
        index: the pattern's place in the list, from 0.
        level: "error" where the pattern can't do what it is there for, "warning" where it
            probably does not, "note" where it is good to know.
    """

    code: str
    pattern: str
    index: int
    sentence: str
    remedy: str
    level: Level = "warning"

    @property
    def words(self) -> str:
        return f"{self.says} {self.remedy}"

    @property
    def says(self) -> str:
        return said_of(self.pattern, self.sentence)


def said_of(pattern: str, sentence: str) -> str:
    """Return a finding's sentence about its pattern."""
    return f"`{pattern}`: {sentence[0].lower()}{sentence[1:]}"


_Problem: TypeAlias = tuple[str, Level, str, str]
"""Code, level, sentence, remedy."""

# Files without an extension that people do name; others of that look are directories.
_KNOWN_FILES = re.compile(r"[A-Z].*|.*(file|rc|ignore|lock)")
_PATTERN_END = re.compile(r"\*$|\.\w+$")
_DIRECTORY_SUBTREE = re.compile(r"[\w@.{},-]+(/[\w@.{},-]+)*/\*\*")
_COMMA_OUTSIDE = re.compile(r",(?![^{}]*\})")


def lint(
    patterns: Sequence[str] | None, semantics: Semantics = "exclude", picomatch: Picomatch = "2.3.1"
) -> list[Finding]:
    """Find likely mistakes, in the order of the list."""
    listed = list(patterns or ())
    globs = [compiled(pattern, picomatch) for pattern in listed]
    findings = []
    for index, (pattern, glob) in enumerate(zip(listed, globs, strict=True)):
        misspelt = (check(pattern, pattern.removeprefix("!")) for check in _SPELLING)
        problems = [*_broken(glob), *chain(*misspelt), *_in_the_list(index, globs, semantics)]
        hopeless = any(level == "error" for _, level, _, _ in problems)
        findings += [
            Finding(code, pattern, index, sentence, remedy, level)
            for code, level, sentence, remedy in problems
            if not (hopeless and (level == "note" or code == "bare_directory"))
        ]
    return findings


def _broken(glob: Glob | GlobError) -> Iterator[_Problem]:
    """Find patterns that fail here or in Dokploy."""
    if isinstance(glob, GlobThrows):
        sentence = "Dokploy's own check throws at this pattern, so its pushes deploy nothing."
        yield "throws", "error", sentence, _remedy_for_throwing(glob)
    elif isinstance(glob, GlobError) and glob.code == "freezes":
        sentence = "Dokploy's own check never comes back from this pattern."
        yield "freezes", "error", sentence, "Take the row of backslashes at its end away."
    elif isinstance(glob, GlobError):
        sentence = f"The pattern is refused: {glob.reason}."
        yield "unsupported", "error", sentence, "Write it shorter or simpler."
    elif freezes(glob.expression):
        sentence = "On some file names this pattern keeps Dokploy's own check busy for very long."
        yield "freezes", "warning", sentence, "Use fewer stars, or no group that is repeated."
    elif glob.expression == NOTHING:
        sentence = "Its brackets or signs do not fit together, so it never matches."
        yield "never_matches", "error", sentence, "Close each bracket; escape literal ones by \\."


def _remedy_for_throwing(error: GlobThrows) -> str:
    if not error.pattern:
        return "Remove the empty pattern; an empty list deploys on every push."
    return f"Write it as `./{error.pattern}`." if len(error.pattern) < 99 else "Make it shorter."


def _slashes(pattern: str, body: str) -> Iterator[_Problem]:
    if body.startswith("/"):
        sentence = "It never matches: paths in Git do not start with a slash."
        yield "leading_slash", "error", sentence, _instead(pattern, body.lstrip("/"))
    if body.endswith("/") and len(body) > 1:
        sentence = "It never matches: a slash at the end asks for a directory, Git lists files."
        yield "trailing_slash", "error", sentence, _instead(pattern, f"{body.rstrip('/')}/**")
    if "//" in body:
        sentence = "It never matches: paths in Git have single slashes."
        yield "double_slash", "error", sentence, _instead(pattern, re.sub("/+", "/", body))


def _dots(pattern: str, body: str) -> Iterator[_Problem]:
    if body.startswith("./"):
        sentence = "The `./` in front has no effect."
        yield "leading_dot_slash", "note", sentence, _instead(pattern, body.removeprefix("./"))
    if {".", ".."} & set(body.removeprefix("./").split("/")):
        sentence = "It never matches: paths in Git have no `.` and `..` segments."
        yield "dot_segment", "error", sentence, "Write the path from the top of the repository."


def _separators(pattern: str, body: str) -> Iterator[_Problem]:
    if re.search(r"\\[\w.*]", body):
        sentence = "A backslash escapes the next character; it does not separate directories."
        yield "backslash", "warning", sentence, _instead(pattern, body.replace("\\", "/"))
    if _COMMA_OUTSIDE.search(body):
        sentence = "Outside braces a comma is part of the name, it does not separate patterns."
        parts = ", ".join(f"`{part.strip()}`" for part in _COMMA_OUTSIDE.split(pattern))
        yield "comma", "warning", sentence, f"Save separate patterns: {parts}."
    if pattern != pattern.strip():
        sentence = "The space at its start or end is part of the name it asks for."
        yield "surrounding_space", "error", sentence, _instead(pattern, body.strip())
    elif len(words := body.split()) > 1 and all(map(_PATTERN_END.search, words)):
        sentence = "A space is part of the name, it does not separate patterns."
        parts = ", ".join(f"`{part}`" for part in pattern.split())
        yield "space", "warning", sentence, f"Save separate patterns: {parts}."


def _classes(pattern: str, body: str) -> Iterator[_Problem]:
    if re.search(r"(?<!\\)\[!(?=[^\]]+\])", body):
        sentence = "`[!x]` does not negate here: it matches an exclamation mark, or x."
        yield "bang_class", "warning", sentence, _instead(pattern, body.replace("[!", "[^"))


def _dotfiles(pattern: str, body: str) -> Iterator[_Problem]:
    if pattern in ("*", "**", "**/*"):
        sentence = "It leaves out whatever has a name that starts with a dot, such as `.github`."
        remedy = "Add `**/.*` and `**/.*/**`, or save no patterns to deploy on every push."
        yield "dotfiles", "warning", sentence, remedy
    elif _DIRECTORY_SUBTREE.fullmatch(pattern):
        sentence = "It leaves out files and directories whose names start with a dot."
        yield "dotfiles", "note", sentence, f"If they matter, add `{body}/.*` and `{body}/.*/**`."


def _bare_directory(pattern: str, body: str) -> Iterator[_Problem]:
    if outline(pattern) is None:
        return
    last = body.rpartition("/")[2]
    if re.fullmatch(r"[\w@-]+", last) and not _KNOWN_FILES.fullmatch(last):
        sentence = "It matches only a file of exactly that name, nothing in a directory."
        yield "bare_directory", "warning", sentence, f"For the directory write `{body}/**`."


def _unclosed(_pattern: str, body: str) -> Iterator[_Problem]:
    text = re.sub(r"\\.", "", body)
    if any(text.count(opener) != text.count(closer) for opener, closer in ("()", "[]", "{}")):
        sentence = "A bracket in it has no partner, so it is part of the name or spoils the rest."
        yield "unclosed", "warning", sentence, "Close it, or write a backslash before it."


def _instead(pattern: str, body: str) -> str:
    return f"Write `{'!' if pattern.startswith('!') else ''}{body}`."


_SPELLING: tuple[Callable[[str, str], Iterator[_Problem]], ...] = (
    _slashes,
    _dots,
    _separators,
    _classes,
    _dotfiles,
    _bare_directory,
    _unclosed,
)


def _in_the_list(
    index: int, globs: Sequence[Glob | GlobError], semantics: Semantics
) -> Iterator[_Problem]:
    """Find mistakes that depend on the pattern's place in the list."""
    glob = globs[index]
    if isinstance(glob, GlobError):
        return
    if glob.excludes:
        yield from _without_effect(index, globs, semantics)
    elif (cover := _cover(index, globs)) is not None:
        sentence = f"`{cover}` already matches everything it does."
        yield "redundant", "note", sentence, "Remove it."


def _without_effect(
    index: int, globs: Sequence[Glob | GlobError], semantics: Semantics
) -> Iterator[_Problem]:
    lets_in = [isinstance(glob, Glob) and not glob.excludes for glob in globs]
    behind = lets_in[index + 1 :]
    before = [glob.pattern for glob in globs[:index] if isinstance(glob, Glob)]
    if globs[index].pattern in _NOTHING_LEFT and not any(behind) and not any(map(_dotted, before)):
        sentence = "It excludes every file, except where a name in its path starts with a dot."
        yield "excludes_everything", "error", sentence, "Name the files that deploy."
    elif semantics == "any" and len(globs) > 1:
        sentence = "It excludes nothing: alone it matches nearly every file, and that is enough."
        remedy = 'Remove it, or decide lists with the "exclude" meaning.'
        yield "negation_does_not_exclude", "error", sentence, remedy
    elif semantics == "exclude" and any(lets_in) and not any(lets_in[:index]):
        sentence = "It excludes nothing: later patterns include again what it excludes."
        yield "exclusion_too_early", "warning", sentence, "Move it to the end of the list."


_NOTHING_LEFT = ("!**", "!**/*")


def _dotted(pattern: str) -> bool:
    """Return whether a pattern may be there for names that start with a dot."""
    return pattern.removeprefix("./").startswith(".") or "/." in pattern


def _cover(index: int, globs: Sequence[Glob | GlobError]) -> str | None:
    """Return another pattern that matches everything this one does; of equals, keep the first."""
    glob = globs[index]
    for other_index, other in enumerate(globs):
        if other_index == index or isinstance(other, GlobError) or other.excludes:
            continue
        first, last = sorted((index, other_index))
        between = globs[first:last]
        if any(isinstance(each, Glob) and each.excludes for each in between):
            continue  # it may include again what was excluded
        if isinstance(glob, Glob) and _covers(other, glob, earlier=other_index < index):
            return other.pattern
    return None


def _covers(other: Glob, glob: Glob, *, earlier: bool) -> bool:
    if other.source == glob.source:
        return earlier
    covering, covered = outline(other.pattern), outline(glob.pattern)
    if covering is None or covered is None or covering.subtree is None or covered.anchor is None:
        return False
    body = glob.pattern.removeprefix("./")
    if not body.startswith(f"{covering.subtree}/") or "{" in body:
        return False
    return "/." not in body[len(covering.subtree) :]
