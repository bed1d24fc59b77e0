"""Find the nearest pattern and file if no pattern matched, and why they did not match.

The matcher itself proves every cause: without that one difference, the pattern matches the file. If
there is no single cause, the most similar pair is named. Work is bounded: of many files, only those
that share most words with a pattern are tried.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nlargest

from bridge.core.matching import Glob, GlobError, Meter, Picomatch
from bridge.core.matching.watch_paths import Semantics

MOST_PATTERNS = 50
MOST_FILES = 30
"""How many of each are compared closely."""

_PLAIN_NAME = re.compile(r"[\w@.-]+")

ALIKE = 0.6
"""How alike, from 0 to 1, a file must look for it to be worth naming."""


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A pattern and a file that nearly met.

    Attributes:
        code: what kept them apart, stable, e.g. "case".
        sentence: the same for people, with what to write instead where that is known.
    """

    code: str
    pattern: str
    file: str
    sentence: str


def near_miss(
    patterns: Sequence[str] | None,
    files: Sequence[str] | None,
    semantics: Semantics = "exclude",
    picomatch: Picomatch = "2.3.1",
) -> NearMiss | None:
    """Return the nearest miss of a list that matches none of the files; None if none is near."""
    asked = _Asked(picomatch)
    globs = [glob for one in (patterns or ())[:MOST_PATTERNS] if (glob := asked.glob(one))]
    listed = list(files or ())
    if semantics == "exclude" and (taken_away := _excluded(globs, listed, asked)) is not None:
        return taken_away
    near = {
        pattern: [file for file in those if not asked.matches(pattern, file)]
        for pattern, those in _nearest_files(globs, listed)
    }
    for cause in _CAUSES:
        for pattern, those in near.items():
            for file in those:
                found = cause(pattern, file)
                if (
                    found is not None
                    and found.can_match
                    and asked.matches(found.pattern, found.file)
                ):
                    return NearMiss(found.code, pattern, file, f"`{file}` {found.words}.")
    return _most_alike(near)


class _Asked:
    """Matches patterns that are met again and again, all of them at a bounded cost."""

    def __init__(self, picomatch: Picomatch) -> None:
        self._picomatch = picomatch
        self._meter = Meter()
        self._globs: dict[str, Glob | None] = {}

    def glob(self, pattern: str) -> Glob | None:
        """Return the compiled pattern; None if that can't be done, and lint tells why."""
        if pattern not in self._globs:
            try:
                self._globs[pattern] = Glob(pattern, self._picomatch)
            except GlobError:
                self._globs[pattern] = None
        return self._globs[pattern]

    def matches(self, pattern: str, file: str) -> bool:
        """Return whether it does; False, too, where that can't be told."""
        glob = self.glob(pattern)
        try:
            return glob is not None and glob.matches(file, self._meter)
        except GlobError:
            return False


def _excluded(globs: Sequence[Glob], files: Sequence[str], asked: _Asked) -> NearMiss | None:
    """Return a file that a pattern lets in and a later one takes away."""
    if globs and all(glob.excludes for glob in globs):
        found = (_taken_away("was changed", file, globs, asked) for file in files[:1])
        return next(found, None)
    for index, glob in enumerate(globs):
        if glob.excludes or not any(later.excludes for later in globs[index:]):
            continue
        for file in files:
            if asked.matches(glob.pattern, file):
                let_in = f"matches `{glob.pattern}`"
                return _taken_away(let_in, file, globs[index + 1 :], asked)
    return None


def _taken_away(let_in: str, file: str, later: Sequence[Glob], asked: _Asked) -> NearMiss | None:
    for glob in reversed(later):
        if glob.excludes and not asked.matches(glob.pattern, file):
            sentence = f"`{file}` {let_in}, but `{glob.pattern}` excludes it."
            return NearMiss("excluded", glob.pattern, file, sentence)
    return None


# ── without one difference ───────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Without:
    """Pattern and file without one difference between them, and the words for it."""

    code: str
    pattern: str
    file: str
    words: str

    @property
    def can_match(self) -> bool:
        """False where a name in the pattern is none of the file's: spares compiling it."""
        names = {part for part in self.pattern.split("/") if _PLAIN_NAME.fullmatch(part)}
        return names <= set(self.file.split("/"))


def _case(pattern: str, file: str) -> _Without | None:
    words = f"differs from `{pattern}` only in upper and lower case"
    return _Without("case", pattern.lower(), file.lower(), words)


def _dot(pattern: str, file: str) -> _Without | None:
    shown = re.sub(r"(^|/)\.+", r"\1", file)
    words = f"would match `{pattern}`, but stars leave out names that start with a dot"
    return _Without("dot", pattern, shown, words) if shown != file else None


def _star(pattern: str, file: str) -> _Without | None:
    deeper = re.sub(r"(^|/)\*(?=[^*/]*$)", r"\1**/*", pattern)
    words = f"lies deeper than `{pattern}` reaches: `*` stays in one directory, `{deeper}` does not"
    return _Without("star", deeper, file, words) if deeper != pattern else None


def _directory(pattern: str, file: str) -> _Without | None:
    subtree = f"{pattern.rstrip('/')}/**"
    words = f"lies in `{pattern}`, which asks for a file of that name: write `{subtree}`"
    return _Without("directory", subtree, file, words)


_NOT_LITERAL = re.compile(r"[*?\[\]{}()!\\]")
"""Characters that have a meaning in patterns."""


def _level_missing(pattern: str, file: str) -> _Without | None:
    first, _, rest = file.partition("/")
    if not rest or _NOT_LITERAL.search(first):
        return None
    words = f"lies one directory deeper than `{pattern}` asks for: write `{first}/{pattern}`"
    return _Without("level", pattern, rest, words)


def _levels_missing(pattern: str, file: str) -> _Without | None:
    anywhere = f"**/{pattern}"
    words = f"lies deeper than `{pattern}` asks for: write `{anywhere}`"
    return _Without("level", anywhere, file, words)


def _level_too_many(pattern: str, file: str) -> _Without | None:
    first, _, rest = pattern.partition("/")
    words = f"does not lie in `{first}`, as `{pattern}` asks for: write `{rest}`"
    # without words of its own the rest would match nearly everything
    telling = rest.strip("*/") and _PLAIN_NAME.fullmatch(first)
    return _Without("level", rest, file, words) if telling else None


_CAUSES: tuple[Callable[[str, str], _Without | None], ...] = (
    _case,
    _dot,
    _star,
    _directory,
    _level_missing,
    _levels_missing,
    _level_too_many,
)


# ── what only looks alike ────────────────────────────────────────────────────


def _nearest_files(
    globs: Sequence[Glob], files: Sequence[str]
) -> Iterator[tuple[str, Sequence[str]]]:
    """For each pattern the files that share most words with it, the first ones first."""
    many = len(files) > MOST_FILES
    spoken = [_words(file) for file in files] if many else []
    for glob in globs:
        if glob.excludes:
            continue
        words = _words(glob.pattern)
        shared = [len(words & those) for those in spoken]
        nearest = nlargest(MOST_FILES, range(len(shared)), key=shared.__getitem__)
        yield glob.pattern, [files[place] for place in nearest] if many else files


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.lower()))


def _most_alike(near: Mapping[str, Sequence[str]]) -> NearMiss | None:
    pairs = (
        (_likeness(pattern, file), pattern, file)
        for pattern, those in near.items()
        for file in those
    )
    likeness, pattern, file = max(pairs, key=lambda pair: pair[0], default=(0.0, "", ""))
    if likeness < ALIKE:
        return None
    return NearMiss("alike", pattern, file, f"`{file}` came nearest to `{pattern}`.")


def _likeness(pattern: str, file: str) -> float:
    """Return how alike they are, segment by segment; stars do not count."""
    asked = pattern.split("/")
    telling = [segment for segment in asked if segment.strip("*")]
    pairs = [pair for pair in zip(asked, file.split("/"), strict=False) if pair[0].strip("*")]
    cut = ((one.lower()[:100], other.lower()[:100]) for one, other in pairs)
    ratios = (SequenceMatcher(None, *pair, autojunk=False).ratio() for pair in cut)
    return sum(ratios) / len(telling) if telling else 0.0
