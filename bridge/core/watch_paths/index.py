"""The watch paths of many apps, decided together.

Patterns that apps share are compiled and asked once. Each hangs on its most telling
literal part (`globs/anchors.py`), so a push only meets the patterns that it can match.
"""

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock

from bridge.core.globs import Glob, GlobError, Picomatch
from bridge.core.globs.anchors import AnchorKind, outline
from bridge.core.globs.pushed import Pushed
from bridge.core.watch_paths.patterns import Hit, Semantics
from bridge.core.watch_paths.push import Decision, Entry, Watch


class WatchIndex:
    """Which apps does a push concern, and why. Safe under threads; updates are incremental.

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
        """Decide for all apps; those whom the push does not concern are left out.

        The verdicts are those of `WatchPaths.first_match`, app by app.
        """
        with self._lock:
            pushed = Pushed(list(files))
            candidates = self._candidates(pushed)
            concerned = dict(self._unconditional)
            for entry in candidates:
                if not (entry.excludes and self._semantics == "exclude"):
                    concerned.update(entry.users)
            decision = Decision(pushed, candidates)
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
            self._hang(entry)
        entry.users[app] = None
        return entry

    def _new_entry(self, pattern: str) -> Entry:
        known = outline(pattern)
        if known:
            return Entry(pattern, self._picomatch, known, known.negated)
        glob = Glob(pattern, self._picomatch)
        return Entry(pattern, self._picomatch, glob.outline, glob.excludes, glob)

    def _hang(self, entry: Entry) -> None:
        """Put a new entry where a push will find it."""
        for holder in self._holders(entry):
            holder[entry] = None

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


def _add_places(found: dict[Entry, Sequence[int]], entry: Entry, places: Sequence[int]) -> None:
    known = found.get(entry)
    found[entry] = places if known is None else sorted({*known, *places})
