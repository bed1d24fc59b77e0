"""The files of one push, looked up by what patterns are anchored to."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from bridge.core.globs.anchors import AnchorKind

Texts: TypeAlias = Mapping[str, object]
"""The texts of all anchors of one kind; only the keys matter here."""

Found: TypeAlias = dict[str, list[int]]
"""Those texts that the push has, each with the places of its files, ascending."""


class Pushed:
    """Changed files, by place.

    Every look-up first asks which texts occur at all, with sets, and collects places for
    those only: of a big push, most files concern nobody.

    Attributes:
        files: as listed by the host.
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
        """Find files by their whole path."""
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
        """Find files by their last segment."""
        return _grouped(self._names, {name: (name,) for name in texts.keys() & self._names})

    def with_extension(self, texts: Texts) -> Found:
        """Find files by what is behind the last dot of their last segment."""
        extensions = [name.rpartition(".")[2] for name in self._names]
        return _grouped(extensions, {text: (text,) for text in texts.keys() & extensions})

    def starting(self, texts: Texts) -> Found:
        """Find files by how their first segment starts."""
        firsts = [path.partition("/")[0] for path in self.files]
        lengths = {len(text) for text in texts}
        starts = {first: {first[:size] for size in lengths} & texts.keys() for first in set(firsts)}
        return _grouped(firsts, {first: hits for first, hits in starts.items() if hits})

    def with_segment(self, texts: Texts) -> Found:
        """Find files by any of their segments."""
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
        """Find files by any part of their path."""
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
    """Give for each directory those of `texts` that are it or above it, if there are any."""
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
