"""What a path must have for a pattern to match it, seen without compiling the pattern.

Only *tame* patterns are read: segments of ordinary characters, `*`, `?`, `**` and simple
braces, perhaps behind one `!`. Nearly all real watch paths are tame. They never throw, and
their literal parts are exactly what they look like; of all others nothing is claimed.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from bridge.core.globs.pieces import INHERITED
from bridge.core.globs.translate import MAX_LENGTH

MAX_TEXTS = 16  # an anchor of more alternatives than that tells too little

_SAFE = r"[\w@~%=. -]"
_BRACES = rf"\{{(?:(?!\.\.){_SAFE})*(?:,(?:(?!\.\.){_SAFE})*)+\}}"
_SEGMENT = rf"(?:\*\*(?=/|\Z)|(?:{_SAFE}|\?|\*(?!\*)|{_BRACES})*)"
_TAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_WILD = re.compile(r"[*?]|\{[^}]*\}")
_ENDING = re.compile(r"\*\*/\*((?:\.\w+)+)", re.ASCII)
_BRACED = re.compile(r"\{([^}]*)\}")


class AnchorKind(StrEnum):
    """Where in the path the telling text is, from most to least telling."""

    WHOLE = "whole"  # it is the path
    UNDER = "under"  # the path is in this directory, however deep, or is it
    NAMED = "named"  # the last segment
    STARTS = "starts"  # the first segment starts with it
    EXTENSION = "extension"  # behind the last dot of the last segment
    SEGMENT = "segment"  # one of the segments
    HOLDS = "holds"  # somewhere


@dataclass(frozen=True, slots=True)
class Anchor:
    """A matching path has one of `texts` in the place that `kind` says.

    A slash at the very end of the path does not count. The path that equals the pattern
    matches too, whatever it has.
    """

    kind: AnchorKind
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """What is known of a tame pattern.

    Attributes:
        negated: it starts with `!`; the rest of the outline is about what follows.
        anchor: None when it has no literal part of use.
        subtree: it is `<this directory>/**`.
        ending: it is `**/*<this ending>`, as of `**/*.test.ts`.
    """

    negated: bool
    anchor: Anchor | None
    subtree: str | None = None
    ending: str | None = None


def outline(pattern: str) -> Outline | None:
    """Describe a tame pattern; None for any other."""
    negated = pattern.startswith("!")
    body = pattern[negated:].removeprefix("./")
    if not body or len(pattern) > MAX_LENGTH or body.startswith("./") or pattern in INHERITED:
        return None
    if _TAME.fullmatch(body) is None:
        return None
    segments = body.split("/")
    if not _WILD.search(body):
        return Outline(negated, Anchor(AnchorKind.WHOLE, (body,)))
    subtree = None
    if segments[-1] == "**" and len(segments) > 1:
        directory = body[: -len("/**")]
        if all(segments) and not _WILD.search(directory):
            subtree = directory
    ending = _ENDING.fullmatch(body)
    return Outline(negated, _anchor(segments), subtree, ending[1] if ending else None)


def surely_ends(path: str, ending: str) -> bool:
    """Tell whether `**/*<ending>` surely matches `path`, which is printable; False: ask it."""
    return path.endswith(ending) and path[0] != "." and "/." not in path


def in_subtree(path: str, directory: str) -> bool:
    """Tell whether `directory/**` matches `path`; both printable."""
    if not path.startswith(directory):
        return False
    rest = path[len(directory) :]
    return not rest or (rest[0] == "/" and "/." not in rest)


def _anchor(segments: list[str]) -> Anchor | None:
    last = segments[-1]
    if directories := _directories(segments):
        return Anchor(AnchorKind.UNDER, directories)
    if last and not _WILD.search(last):
        return Anchor(AnchorKind.NAMED, (last,))
    if start := _WILD.split(segments[0], maxsplit=1)[0]:
        return Anchor(AnchorKind.STARTS, (start,))
    if extensions := _extensions(last):
        return Anchor(AnchorKind.EXTENSION, extensions)
    whole = [segment for segment in segments if segment and not _WILD.search(segment)]
    if whole:
        return Anchor(AnchorKind.SEGMENT, (max(whole, key=len),))
    longest = max((run for segment in segments for run in _WILD.split(segment)), key=len)
    return Anchor(AnchorKind.HOLDS, (longest,)) if longest else None


def _directories(segments: list[str]) -> tuple[str, ...]:
    """Give the directories of which a match must be in one; the most exact that can be told."""
    choices: list[list[str]] = []
    count = 1
    for segment in segments[:-1]:
        options = _spelled_out(segment)
        count *= len(options)
        if not options or count > MAX_TEXTS:
            break
        choices.append(options)
    if not choices:
        return ()
    return tuple(dict.fromkeys("/".join(choice) for choice in product(*choices)))


def _spelled_out(segment: str) -> list[str]:
    """Give all texts that a segment without `*` and `?` stands for; none if it has some."""
    if "*" in segment or "?" in segment:
        return []
    pieces = _BRACED.split(segment)  # literal, alternatives, literal, …
    options = [piece.split(",") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    total = 1
    for option in options:
        total *= len(option)
    return ["".join(choice) for choice in product(*options)] if total <= MAX_TEXTS else []


def _extensions(segment: str) -> tuple[str, ...]:
    """Give what may stand behind the last dot of a wild last segment."""
    cut = max(segment.rfind("*"), segment.rfind("?"))
    tails = _spelled_out(segment[cut + 1 :])
    if not all("." in tail for tail in tails):
        return ()
    return tuple(dict.fromkeys(tail.rpartition(".")[2] for tail in tails))
