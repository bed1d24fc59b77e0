"""Match the watch paths of many apps against one push, with shared work done once.

Each distinct pattern is compiled and tried once, whichever apps use it; what the lists mean is in
`watch_paths`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TypeAlias

from bridge.core.matching import Glob, GlobError, Meter, Picomatch
from bridge.core.matching.anchors import (
    AnchorKind,
    Outline,
    Pushed,
    in_subtree,
    outline,
    surely_ends,
)
from bridge.core.matching.watch_paths import Hit, Semantics

AT_ONCE = 10_000  # files of one push that an index looks at together


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
        """Return whether the pattern alone matches.

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


Meters: TypeAlias = defaultdict[Entry, Meter]


@dataclass(frozen=True, slots=True)
class Watch:
    """The list of one app; a broken pattern is in it as its error."""

    entries: tuple[Entry | GlobError, ...]
    semantics: Semantics
    excludes_some: bool
    only_excludes: bool


class Decision:
    """Gives the verdict for one app after the other.

    Sets of files are numbers: bit `n` is the file at place `n` of the push.
    """

    def __init__(
        self, pushed: Pushed, candidates: Mapping[Entry, Sequence[int]], meters: Meters
    ) -> None:
        """Prepare.

        Args:
            candidates: for each entry the places of the files that it may match, or that it
                may take away if it excludes; none for all other entries.
            meters: what is left to each entry for this push.
        """
        self._files = pushed.files
        self._odd = pushed.odd
        self._candidates = candidates
        self._firsts: dict[Entry, int | None] = {}
        self._masks: dict[Entry, int] = {}
        self._errors: dict[Entry, GlobError] = {}
        self._meters = meters
        self._hits: dict[tuple[Entry, int, int], Hit] = {}

    def verdict(self, watch: Watch) -> Hit | GlobError | None:
        """Decide as `WatchPaths.first_match` does, but return its error."""
        try:
            if watch.semantics == "exclude":
                for entry in watch.entries:
                    if isinstance(entry, GlobError):
                        return entry
            if not watch.excludes_some:
                return self._any(watch)
            entries = [entry for entry in watch.entries if isinstance(entry, Entry)]
            return self._likely(entries) or self._by_masks(watch, entries)
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


# ── The watch paths of many apps, decided together ──────────────────────────────────────────────


class WatchIndex:
    """Finds the apps that a push affects, and why. Thread-safe; updates are incremental.

    >>> index = WatchIndex()
    >>> index.add("web", ["apps/web/**"])
    >>> index.decide(["apps/web/a.ts"])
    {'web': Hit(pattern='apps/web/**', index=0, file='apps/web/a.ts')}
    """

    def __init__(self, semantics: Semantics = "exclude", picomatch: Picomatch = "2.3.1") -> None:
        self._semantics = semantics
        self._picomatch = picomatch
        self._lock = Lock()
        self._watches: dict[str, Watch] = {}
        self._entries: dict[str, Entry] = {}
        self._anchored: dict[AnchorKind, dict[str, dict[Entry, None]]] = {
            kind: {} for kind in AnchorKind
        }
        self._unanchored: dict[Entry, None] = {}
        # Apps that are concerned whatever the anchors say.
        self._always: dict[str, None] = {}
        self._unconditional: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._watches)

    @property
    def always(self) -> frozenset[str]:
        """Apps without patterns: every push deploys them, and `decide` leaves them out."""
        with self._lock:
            return frozenset(self._always)

    def add(self, app: str, patterns: Sequence[str] | None) -> None:
        """Watch `patterns` for `app`, instead of what it had.

        A broken pattern is no error here: `decide` gives it as that app's verdict.
        """
        with self._lock:
            self._remove(app)
            if not patterns:
                self._always[app] = None
                return
            entries = tuple(self._entry(pattern, app) for pattern in patterns)
            kept = [entry for entry in entries if isinstance(entry, Entry)]
            excludes_some = self._semantics == "exclude" and any(entry.excludes for entry in kept)
            only_excluding = excludes_some and all(entry.excludes for entry in kept)
            self._watches[app] = Watch(entries, self._semantics, excludes_some, only_excluding)
            if only_excluding or len(kept) < len(entries):
                self._unconditional[app] = None

    def remove(self, app: str) -> None:
        """Forget `app`; nothing happens if it is not there."""
        with self._lock:
            self._remove(app)

    def decide(self, files: Iterable[str]) -> dict[str, Hit | GlobError]:
        """Decide for all apps; omit those that the push does not affect.

        The verdicts are those of `WatchPaths.first_match`, app by app. Of many files some are
        looked at after the others: what that takes is several times as large as the files.
        """
        left, meters = iter(files), Meters(Meter)
        with self._lock:
            found = self._decide(list(islice(left, AT_ONCE)), meters)
            while some := list(islice(left, AT_ONCE)):
                for app, verdict in self._decide(some, meters).items():
                    found[app] = _first_of(found.get(app), verdict)
        return found

    def _decide(self, files: list[str], meters: Meters) -> dict[str, Hit | GlobError]:
        pushed = Pushed(files)
        candidates = self._candidates(pushed)
        concerned = dict(self._unconditional)
        for entry in candidates:
            if not (entry.excludes and self._semantics == "exclude"):
                concerned.update(entry.users)
        decision = Decision(pushed, candidates, meters)
        verdicts = {app: decision.verdict(self._watches[app]) for app in concerned}
        return {app: verdict for app, verdict in verdicts.items() if verdict is not None}

    def _entry(self, pattern: str, app: str) -> Entry | GlobError:
        entry = self._entries.get(pattern)
        if entry is None:
            try:
                entry = self._new_entry(pattern)
            except GlobError as error:
                return error
            self._entries[pattern] = entry
            for holder in self._holders(entry):  # where a push will find it
                holder[entry] = None
        entry.users[app] = None
        return entry

    def _new_entry(self, pattern: str) -> Entry:
        known = outline(pattern)
        if known:
            return Entry(pattern, self._picomatch, known, known.negated)
        glob = Glob(pattern, self._picomatch)
        return Entry(pattern, self._picomatch, glob.outline, glob.excludes, glob)

    def _holders(self, entry: Entry) -> Iterator[dict[Entry, None]]:
        known = entry.outline
        matches_most = entry.excludes and (self._semantics == "any" or not known.negated)
        if known.anchor is None or matches_most:
            yield self._unanchored
            return
        for text in known.anchor.texts:
            yield self._anchored[known.anchor.kind].setdefault(text, {})

    def _remove(self, app: str) -> None:
        self._always.pop(app, None)
        self._unconditional.pop(app, None)
        watch = self._watches.pop(app, None)
        for entry in watch.entries if watch else ():
            if isinstance(entry, GlobError):
                continue
            entry.users.pop(app, None)
            if not entry.users and entry.pattern in self._entries:
                del self._entries[entry.pattern]
                self._unhang(entry)

    def _unhang(self, entry: Entry) -> None:
        for holder in self._holders(entry):
            holder.pop(entry, None)
        anchor = entry.outline.anchor
        if anchor is None:
            return
        texts = self._anchored[anchor.kind]
        for text in anchor.texts:
            if text in texts and not texts[text]:
                del texts[text]

    def _candidates(self, pushed: Pushed) -> dict[Entry, Sequence[int]]:
        """Find the entries that may match, each with the places of the files to ask about."""
        found: dict[Entry, Sequence[int]] = {}
        for kind, texts in self._anchored.items():
            for text, places in pushed.having(kind, texts).items():
                for entry in texts[text]:
                    _add_places(found, entry, places)
        for pattern, places in pushed.equal(self._entries).items():
            _add_places(found, self._entries[pattern], places)
        everything = range(len(pushed.files))
        for entry in self._unanchored:
            found[entry] = everything
        return found


def _first_of(one: Hit | GlobError | None, later: Hit | GlobError) -> Hit | GlobError:
    """Return the verdict for two parts of the files: a hit counts before a pattern's error."""
    if one is None or (isinstance(one, GlobError) and isinstance(later, Hit)):
        return later
    if isinstance(one, Hit) and isinstance(later, Hit) and later.index < one.index:
        return later
    return one


def _add_places(found: dict[Entry, Sequence[int]], entry: Entry, places: Sequence[int]) -> None:
    known = found.get(entry)
    found[entry] = places if known is None else sorted({*known, *places})
