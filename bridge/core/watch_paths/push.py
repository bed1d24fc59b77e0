"""One push against the lists of many apps, with all that they share worked out once."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.globs import Glob, GlobError, Meter, Picomatch
from bridge.core.globs.anchors import Outline, in_subtree, surely_ends
from bridge.core.globs.pushed import Pushed
from bridge.core.watch_paths.patterns import Hit, Semantics


@dataclass(slots=True, eq=False)
class Entry:
    """A pattern, whoever uses it; compiled when it is first asked.

    Attributes:
        users: the apps whose lists have it.
    """

    pattern: str
    picomatch: Picomatch
    outline: Outline
    excludes: bool
    glob: Glob | None = None
    users: dict[str, None] = field(default_factory=dict)

    def matches(self, path: str, meter: Meter) -> bool:
        """Tell whether the pattern alone matches.

        Raises:
            GlobError: it can't be decided at a bounded cost.
        """
        known = self.outline
        if known.subtree and not known.negated and path.isprintable():
            return in_subtree(path, known.subtree) or path == self.pattern
        if known.ending and path.isprintable() and surely_ends(path, known.ending):
            return not known.negated or path == self.pattern
        if self.glob is None:
            self.glob = Glob(self.pattern, self.picomatch)
        return self.glob.matches(path, meter)


@dataclass(frozen=True, slots=True)
class Watch:
    """The list of one app; a broken pattern stands in it as its error."""

    entries: tuple[Entry | GlobError, ...]
    semantics: Semantics
    excludes_some: bool
    only_excludes: bool


class Decision:
    """Gives the verdict for one app after the other.

    Sets of files are numbers: bit `n` is the file at place `n` of the push.
    """

    def __init__(self, pushed: Pushed, candidates: Mapping[Entry, Sequence[int]]) -> None:
        """Prepare.

        Args:
            candidates: for each entry the places of the files that it may match, or that it
                may take away if it excludes; none for all other entries.
        """
        self._files = pushed.files
        self._odd = pushed.odd
        self._candidates = candidates
        self._firsts: dict[Entry, int | None] = {}
        self._masks: dict[Entry, int] = {}
        self._errors: dict[Entry, GlobError] = {}
        self._meters: defaultdict[Entry, Meter] = defaultdict(Meter)
        self._hits: dict[tuple[Entry, int, int], Hit] = {}

    def verdict(self, watch: Watch) -> Hit | GlobError | None:
        """Decide as `WatchPaths.first_match` does, but return its error."""
        try:
            if watch.semantics == "exclude":
                for entry in watch.entries:
                    if isinstance(entry, GlobError):
                        return entry
            return self._excluding(watch) if watch.excludes_some else self._any(watch)
        except GlobError as error:
            return error

    def _any(self, watch: Watch) -> Hit | None:
        candidates = self._candidates
        for index, entry in enumerate(watch.entries):
            if isinstance(entry, GlobError):
                raise entry
            if entry in candidates and (place := self._first(entry)) is not None:
                return self._hit(entry, index, place)
        return None

    def _excluding(self, watch: Watch) -> Hit | None:
        entries = [entry for entry in watch.entries if isinstance(entry, Entry)]
        return self._likely(entries) or self._by_masks(watch, entries)

    def _likely(self, entries: Sequence[Entry]) -> Hit | None:
        """Try the first file of the first entry that has one: mostly, nothing objects."""
        for index, entry in enumerate(entries):
            if entry.excludes or entry not in self._candidates:
                continue
            place = self._first(entry)
            if place is None:
                continue
            stays = all(not self._takes_away(later, place) for later in entries[index + 1 :])
            return self._hit(entry, index, place) if stays else None
        return None

    def _takes_away(self, entry: Entry, place: int) -> bool:
        if not entry.excludes or (entry not in self._candidates and place not in self._odd):
            return False
        return not self._matches(entry, place)

    def _by_masks(self, watch: Watch, entries: Sequence[Entry]) -> Hit | None:
        left = (1 << len(self._files)) - 1 if watch.only_excludes else 0
        for entry in entries:
            mask = self._mask(entry)
            left = left & ~mask if entry.excludes else left | mask
        if not left:
            return None
        if watch.only_excludes:
            return self._hit(entries[0], 0, _lowest(left))
        for index, entry in enumerate(entries):
            if not entry.excludes and (survivors := left & self._mask(entry)):
                return self._hit(entry, index, _lowest(survivors))
        return None

    def _hit(self, entry: Entry, index: int, place: int) -> Hit:
        hit = self._hits.get((entry, index, place))
        if hit is None:
            hit = Hit(entry.pattern, index, self._files[place])
            self._hits[entry, index, place] = hit
        return hit

    def _first(self, entry: Entry) -> int | None:
        """Find the first file that `entry` matches."""
        if entry not in self._firsts:
            self._firsts[entry] = next(
                (at for at in self._candidates[entry] if self._matches(entry, at)), None
            )
        return self._firsts[entry]

    def _mask(self, entry: Entry) -> int:
        """Find all files that `entry` matches or, if it excludes, takes away."""
        mask = self._masks.get(entry)
        if mask is None:
            places: Iterable[int] = self._candidates.get(entry, ())
            if entry.excludes and self._odd:
                places = {*places, *self._odd}
            mask = 0
            for at in places:
                if self._matches(entry, at) is not entry.excludes:
                    mask |= 1 << at
            self._masks[entry] = mask
        return mask

    def _matches(self, entry: Entry, at: int) -> bool:
        if entry in self._errors:
            raise self._errors[entry]
        try:
            return entry.matches(self._files[at], self._meters[entry])
        except GlobError as error:
            self._errors[entry] = error
            raise


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1
