"""The files of one push, looked up by what patterns are anchored to."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from bridge.core.globs.anchors import AnchorKind

Texts: TypeAlias = Mapping[str, Any]
"""The texts of all anchors of one kind; only the keys matter here."""

Found: TypeAlias = Iterator[tuple[str, list[int]]]
"""Those texts that the push has, each with the places of its files, ascending."""


class Pushed:
    """Changed files, by place.

    Attributes:
        files: as listed by the host.
        place: for each path where it comes first.
    """

    __slots__ = ("_blob", "_directories", "_names", "files", "place")

    def __init__(self, files: list[str]) -> None:
        self.files = files
        self.place = dict(zip(reversed(files), range(len(files) - 1, -1, -1), strict=True))
        directories: dict[str, list[int]] = {}
        names: dict[str, list[int]] = {}
        for at, path in enumerate(files):
            directory, _, name = path.rpartition("/")
            if not name:
                name = directory.rpartition("/")[2]
            if directory in directories:
                directories[directory].append(at)
            else:
                directories[directory] = [at]
            if name in names:
                names[name].append(at)
            else:
                names[name] = [at]
        self._directories = directories
        self._names = names
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
        return _LOOKUPS[kind](self, texts) if texts and self.files else iter(())

    def equal(self, texts: Texts) -> Found:
        """Find files by their whole path."""
        for text in self.place.keys() & texts.keys():
            yield text, [self.place[text]]

    def under(self, texts: Texts) -> Found:
        """Find files in, or called as, one of these directories."""
        below: dict[str, list[list[int]]] = {}
        for directory, places in self._directories.items():
            for upper in _upwards(directory):
                if upper in texts:
                    below.setdefault(upper, []).append(places)
        for text in self.place.keys() & texts.keys():
            # `apps/**` matches `apps` itself.
            below.setdefault(text, []).append([self.place[text]])
        return _merged(below)

    def named(self, texts: Texts) -> Found:
        """Find files by their last segment."""
        for name in self._names.keys() & texts.keys():
            yield name, self._names[name]

    def with_extension(self, texts: Texts) -> Found:
        """Find files by what is behind the last dot of their last segment."""
        found: dict[str, list[list[int]]] = {}
        for name, places in self._names.items():
            _, dot, extension = name.rpartition(".")
            if dot and extension in texts:
                found.setdefault(extension, []).append(places)
        return _merged(found)

    def starting(self, texts: Texts) -> Found:
        """Find files by how their first segment starts."""
        lengths = {len(text) for text in texts}
        found: dict[str, list[list[int]]] = {}
        for directory, places in self._directories.items():
            for first, its_places in self._first_segments(directory, places):
                for text in {first[:length] for length in lengths} & texts.keys():
                    found.setdefault(text, []).append(its_places)
        return _merged(found)

    def _first_segments(self, directory: str, places: list[int]) -> Iterable[tuple[str, list[int]]]:
        if directory:
            return [(directory.partition("/")[0], places)]
        return [(self.files[at], [at]) for at in places]

    def with_segment(self, texts: Texts) -> Found:
        """Find files by any of their segments."""
        found: dict[str, list[list[int]]] = {}
        for directory, places in self._directories.items():
            for segment in texts.keys() & directory.split("/"):
                found.setdefault(segment, []).append(places)
        for name in self._names.keys() & texts.keys():
            found.setdefault(name, []).append(self._names[name])
        return _merged(found)

    def holding(self, texts: Texts) -> Found:
        """Find files by any part of their path."""
        if self._blob is None:
            self._blob = "\n".join(self.files)
        for text in texts:
            if text in self._blob:
                yield text, [at for at, path in enumerate(self.files) if text in path]


_LOOKUPS: dict[AnchorKind, Callable[[Pushed, Texts], Found]] = {
    AnchorKind.WHOLE: Pushed.equal,
    AnchorKind.UNDER: Pushed.under,
    AnchorKind.NAMED: Pushed.named,
    AnchorKind.STARTS: Pushed.starting,
    AnchorKind.EXTENSION: Pushed.with_extension,
    AnchorKind.SEGMENT: Pushed.with_segment,
    AnchorKind.HOLDS: Pushed.holding,
}


def _upwards(directory: str) -> Iterator[str]:
    """Give a directory and all above it; "" is the top."""
    while directory:
        yield directory
        directory = directory.rpartition("/")[0]
    yield ""


def _merged(found: Mapping[str, Collection[list[int]]]) -> Found:
    for text, lists in found.items():
        if len(lists) == 1:
            yield text, next(iter(lists))
        else:
            yield text, sorted({place for places in lists for place in places})
