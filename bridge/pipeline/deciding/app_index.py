"""The apps by repository, with their watch paths compiled together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from bridge.core.apps import App
from bridge.core.decision import Matcher, Policy
from bridge.core.events import RefPushed, Repository
from bridge.core.matching import GlobError
from bridge.core.matching.watch_index import WatchIndex
from bridge.core.matching.watch_paths import Hit

AppIndex = Mapping[str, tuple[App, ...]]
"""Apps by the keys of the repository that they deploy from; immutable."""


class Watched:
    """The watch paths of all apps, compiled together by repository and cached.

    Safe to read in any thread while another updates it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._indexes: dict[str, WatchIndex] = {}
        self._added: dict[str, dict[str, tuple[str, ...] | None]] = {}

    def update(self, snapshot: AppIndex) -> None:
        """Apply what has changed, at a cost proportional to the change."""
        for key in [key for key in self._indexes if key not in snapshot]:
            del self._indexes[key], self._added[key]
        for key, apps in snapshot.items():
            index = self._indexes.setdefault(
                key, WatchIndex(self._policy.semantics, self._policy.picomatch)
            )
            added = self._added.setdefault(key, {})
            wanted = {app.id: app.watched for app in apps}
            for id_ in [id_ for id_ in added if id_ not in wanted]:
                index.remove(id_)
                del added[id_]
            for id_, patterns in wanted.items():
                if id_ not in added or added[id_] != patterns:
                    index.add(id_, patterns)
                    added[id_] = patterns

    def matcher(self, push: RefPushed) -> Matcher:
        """Return the matches for one push, computed for all apps at the first call."""

        @cache
        def verdicts() -> dict[str, Hit | GlobError]:
            found: dict[str, Hit | GlobError] = {}
            for key in _keys_of_repository(push.repository):
                if (index := self._indexes.get(key)) is not None:
                    found |= index.decide(push.paths or ())
            return found

        return lambda app: verdicts().get(app.id)


def index(apps: Iterable[App]) -> AppIndex:
    """Return apps by repository, so a push only considers those that it may affect."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for key in keys_of_app(app):
            found[key].append(app)
    return {key: tuple(sorted(those, key=lambda app: app.label)) for key, those in found.items()}


def apps_of(snapshot: AppIndex, repository: Repository) -> tuple[App, ...]:
    """Return the apps that may deploy from a repository, each once, by label."""
    found = {
        app.id: app for key in _keys_of_repository(repository) for app in snapshot.get(key, ())
    }
    return tuple(sorted(found.values(), key=lambda app: app.label))


def keys_of_app(app: App) -> Iterable[str]:
    """Yield the keys of the repository whose pushes deploy an app; none if none do.

    The apps of previews are deployed by their pull requests.
    """
    source = app.source
    if source is None or app.marker:
        return
    if source.url is not None:
        yield f"url {source.url}"
    elif source.repository_id is not None:
        yield f"{source.type} #{source.repository_id}"
        if source.repository is not None:  # for a repository without a number
            yield f"{source.type} named {source.repository.lower()}"
    elif source.repository is not None:
        yield f"{source.type} {source.repository.lower()}"


def _keys_of_repository(repository: Repository) -> Iterable[str]:
    which = f"#{repository.id}" if repository.numbered else f"named {repository.id}"
    yield f"{repository.kind} {which}"
    yield f"{repository.kind} {repository.name.lower()}"
    yield from (f"url {url}" for url in repository.urls)
