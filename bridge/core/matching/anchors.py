"""Anchors: text that a path must contain for a pattern to match, found without compiling it.

Only *tame* patterns are read: segments of ordinary characters, `*`, `?`, `**` and simple
braces, perhaps after one `!`. Nearly all real watch paths are tame. They never throw, and
their literal parts are exactly what they look like. Nothing is claimed about other patterns.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product, takewhile
from typing import NamedTuple, TypeAlias

from bridge.core.matching.draft import INHERITED
from bridge.core.matching.graph import mirrored
from bridge.core.matching.regex import Alt, At, Chars, Group, Look, Node, Place, Repeat, Seq
from bridge.core.matching.translate import MAX_LENGTH

MAX_TEXTS = 16  # an anchor with more alternatives is not selective enough

_SAFE = r"[\w@~%=. -]"
_BRACES = rf"\{{(?:(?!\.\.){_SAFE})*(?:,(?:(?!\.\.){_SAFE})*)+\}}"
_SEGMENT = rf"(?:\*\*(?=/|\Z)|(?:{_SAFE}|\?|\*(?!\*)|{_BRACES})*)"
_TAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_WILD = re.compile(r"[*?]|\{[^}]*\}")
_ENDING = re.compile(r"\*\*/\*((?:\.\w+)+)", re.ASCII)
_BRACED = re.compile(r"\{([^}]*)\}")


class AnchorKind(StrEnum):
    """Where in the path the anchor's text is, from most to least selective."""

    WHOLE = "whole"  # it is the path
    UNDER = "under"  # the path is in this directory, however deep, or is it
    NAMED = "named"  # the last segment
    STARTS = "starts"  # the first segment starts with it
    EXTENSION = "extension"  # after the last dot of the last segment
    SEGMENT = "segment"  # one of the segments
    HOLDS = "holds"  # somewhere


@dataclass(frozen=True, slots=True)
class Anchor:
    """A matching path has one of `texts` in the place given by `kind`.

    A slash at the very end of the path is ignored. The path that equals the pattern also
    matches, regardless of the anchor.
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
    """Return whether `**/*<ending>` surely matches `path`, which is printable; False: ask it."""
    return path.endswith(ending) and path[0] != "." and "/." not in path


def in_subtree(path: str, directory: str) -> bool:
    """Return whether `directory/**` matches `path`; both printable."""
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
    """Return the directories of which a match must be in one; the most exact that can be told."""
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
    """Return all texts that a segment without `*` and `?` matches; none if it has any."""
    if "*" in segment or "?" in segment:
        return []
    pieces = _BRACED.split(segment)  # literal, alternatives, literal, …
    options = [piece.split(",") if at % 2 else [piece] for at, piece in enumerate(pieces)]
    total = 1
    for option in options:
        total *= len(option)
    return ["".join(choice) for choice in product(*options)] if total <= MAX_TEXTS else []


def _extensions(segment: str) -> tuple[str, ...]:
    """Return what may follow the last dot of a wild last segment."""
    cut = max(segment.rfind("*"), segment.rfind("?"))
    tails = _spelled_out(segment[cut + 1 :])
    if not all("." in tail for tail in tails):
        return ()
    return tuple(dict.fromkeys(tail.rpartition(".")[2] for tail in tails))


# ── Outlines of patterns that are not tame, read from their expressions ─────────────────────────

MAX_MEMBERS = 4  # of a class that is spelled out


class Lead(NamedTuple):
    """How all texts that fit begin.

    Attributes:
        whole: they do not only begin like that, they are that.
    """

    texts: tuple[str, ...]
    whole: bool


_UNKNOWN = Lead(("",), whole=False)
_NO_TEXT = Lead(("",), whole=True)


def outline_of(expression: Node) -> Outline:
    """Describe the pattern that has this expression."""
    match expression:
        case Seq((At(Place.START), Look(Seq((At(Place.START), body, At(Place.END))), _, True), *_)):
            return Outline(negated=True, anchor=_anchor_of_body(body))
        case Seq((At(Place.START), body, At(Place.END))):
            return Outline(negated=False, anchor=_anchor_of_body(body))
        case Chars(()):
            return Outline(negated=False, anchor=Anchor(AnchorKind.WHOLE, ()))
        case _:
            return Outline(negated=False, anchor=None)


def _anchor_of_body(body: Node) -> Anchor | None:
    # Cut before half a character: paths are looked up as text, not as units.
    starts = ["".join(takewhile(_is_whole, text)) for text in lead(body).texts]
    if all("/" in text for text in starts):
        return _made(AnchorKind.UNDER, [text.rpartition("/")[0] for text in starts])
    firsts = [text.partition("/")[0] for text in starts]
    if all(firsts):
        return _made(AnchorKind.STARTS, firsts)
    ends = [text[::-1].removesuffix("/") for text in lead(mirrored(body)).texts]
    extensions = [end.rpartition(".")[2] for end in ends if "." in end]
    fit = all("/" not in one and all(map(_is_whole, one)) for one in extensions)
    if len(extensions) == len(ends) and fit:
        return _made(AnchorKind.EXTENSION, extensions)
    return None


def _made(kind: AnchorKind, texts: Sequence[str]) -> Anchor:
    return Anchor(kind, tuple(dict.fromkeys(texts)))


def _is_whole(char: str) -> bool:
    """Return whether it is a character of its own, and no surrogate."""
    return not "\ud800" <= char <= "\udfff"


def lead(node: Node) -> Lead:
    """Tell how the texts begin that `node` fits."""
    match node:
        case Chars(ranges) if 0 < sum(high - low + 1 for low, high in ranges) <= MAX_MEMBERS:
            units = [unit for low, high in ranges for unit in range(low, high + 1)]
            return Lead(tuple(map(chr, units)), whole=True)
        case Seq(parts):
            return _lead_of_row(parts)
        case Alt(options):
            leads = [lead(option) for option in options]
            texts = tuple(dict.fromkeys(text for one in leads for text in one.texts))
            whole = all(one.whole for one in leads)
            return Lead(texts, whole) if len(texts) <= MAX_TEXTS else _UNKNOWN
        case Repeat(body, 0, 1):
            texts, whole = lead(body)
            return Lead((*texts, ""), whole)
        case Repeat(body, least, _) if least:
            return Lead(lead(body).texts, whole=False)
        case Group(_, body):
            return lead(body)
        case Look() | At():
            return _NO_TEXT
        case _:
            return _UNKNOWN


def _lead_of_row(parts: tuple[Node, ...]) -> Lead:
    texts: tuple[str, ...] = ("",)
    for part in parts:
        following = lead(part)
        if len(texts) * len(following.texts) > MAX_TEXTS:
            return Lead(texts, whole=False)
        texts = tuple("".join(pair) for pair in product(texts, following.texts))
        if not following.whole:
            return Lead(texts, whole=False)
    return Lead(texts, whole=True)


# ── The files of one push, looked up by the patterns' anchors ───────────────────────────────────

Texts: TypeAlias = Mapping[str, object]
"""The texts of all anchors of one kind; only the keys matter here."""

Found: TypeAlias = dict[str, list[int]]
"""Those texts that the push has, each with the places of its files, ascending."""


class Pushed:
    """Changed files, by place.

    Every look-up first finds which texts occur, with sets, and collects places only for those: in
    a big push, most files affect no app.

    Attributes:
        place: for each path where it comes first.
    """

    __slots__ = ("_blob", "_directories", "_names", "files", "place")

    def __init__(self, files: list[str]) -> None:
        self.files = files
        self.place = dict(zip(reversed(files), range(len(files) - 1, -1, -1), strict=True))
        splits = [path.rpartition("/") for path in files]
        self._directories = [split[0] for split in splits]
        self._names = [split[2] or split[0].rpartition("/")[2] for split in splits]
        self._blob: str | None = None

    @property
    def odd(self) -> list[int]:
        """Places of paths that are empty, or have a newline or the like in them.

        A negated pattern does not match those, whatever its anchor says.
        """
        if "".join(self.files).isprintable() and "" not in self.place:
            return []
        return [at for at, path in enumerate(self.files) if not path or not path.isprintable()]

    def having(self, kind: AnchorKind, texts: Texts) -> Found:
        """Find the files that have one of `texts` in the place that `kind` says."""
        return _LOOKUPS[kind](self, texts) if texts and self.files else {}

    def equal(self, texts: Texts) -> Found:
        return {text: [self.place[text]] for text in self.place.keys() & texts.keys()}

    def under(self, texts: Texts) -> Found:
        """Find files in, or called as, one of these directories."""
        directories = set(self._directories)
        found = _grouped(self._directories, _uppers_in(directories, texts))
        for text in self.place.keys() & texts.keys():
            # `apps/**` matches `apps` itself.
            found[text] = sorted({*found.get(text, ()), self.place[text]})
        return found

    def named(self, texts: Texts) -> Found:
        return _grouped(self._names, {name: (name,) for name in texts.keys() & self._names})

    def with_extension(self, texts: Texts) -> Found:
        """Find files by what follows the last dot of their last segment."""
        extensions = [name.rpartition(".")[2] for name in self._names]
        return _grouped(extensions, {text: (text,) for text in texts.keys() & extensions})

    def starting(self, texts: Texts) -> Found:
        firsts = [path.partition("/")[0] for path in self.files]
        lengths = {len(text) for text in texts}
        starts = {first: {first[:size] for size in lengths} & texts.keys() for first in set(firsts)}
        return _grouped(firsts, {first: hits for first, hits in starts.items() if hits})

    def with_segment(self, texts: Texts) -> Found:
        segments = {
            directory: hits
            for directory in set(self._directories)
            if (hits := texts.keys() & directory.split("/"))
        }
        found = _grouped(self._directories, segments)
        for name, places in self.named(texts).items():
            found[name] = sorted({*found.get(name, ()), *places})
        return found

    def holding(self, texts: Texts) -> Found:
        if self._blob is None:
            self._blob = "\n".join(self.files)
        return {
            text: [at for at, path in enumerate(self.files) if text in path]
            for text in texts
            if text in self._blob
        }


_LOOKUPS: dict[AnchorKind, Callable[[Pushed, Texts], Found]] = {
    AnchorKind.WHOLE: Pushed.equal,
    AnchorKind.UNDER: Pushed.under,
    AnchorKind.NAMED: Pushed.named,
    AnchorKind.STARTS: Pushed.starting,
    AnchorKind.EXTENSION: Pushed.with_extension,
    AnchorKind.SEGMENT: Pushed.with_segment,
    AnchorKind.HOLDS: Pushed.holding,
}


def _uppers_in(directories: set[str], texts: Texts) -> dict[str, tuple[str, ...]]:
    """Return for each directory those of `texts` that are it or above it, if there are any."""
    if len(directories) > len(texts) // 4:
        # A big push: most of it is in top directories where nobody looks.
        tops = {text.partition("/")[0] for text in texts}
        if "" not in tops:
            directories = {name for name in directories if name.partition("/")[0] in tops}
    known: dict[str, tuple[str, ...]] = {"": ("",) if "" in texts else ()}
    for directory in directories:
        below = []
        upper = directory
        while upper not in known:
            below.append(upper)
            upper = upper.rpartition("/")[0]
        hits = known[upper]
        for name in reversed(below):
            hits = (*hits, name) if name in texts else hits
            known[name] = hits
    return {directory: hits for directory in directories if (hits := known[directory])}


def _grouped(keys: list[str], texts_of: Mapping[str, Collection[str]]) -> Found:
    """Collect, for each text, the places whose key stands for it."""
    found: Found = {}
    if not texts_of:
        return found
    for at, key in enumerate(keys):
        if key in texts_of:
            for text in texts_of[key]:
                if text in found:
                    found[text].append(at)
                else:
                    found[text] = [at]
    return found
