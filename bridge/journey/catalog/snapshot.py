"""The apps by the repository that they deploy from, and what each of them watches."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache

from bridge.core.decision import Matcher, Policy
from bridge.core.events import RefPushed, Repository
from bridge.core.globs import GlobError
from bridge.core.watch import App
from bridge.core.watch_paths.index import WatchIndex
from bridge.core.watch_paths.patterns import Hit

Snapshot = Mapping[str, tuple[App, ...]]
"""Apps by the keys of the repository that they deploy from; never changed once made."""


class Watched:
    """The watch paths of all apps, compiled together by repository and kept warm.

    Safe to ask in any thread while another updates it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._indexes: dict[str, WatchIndex] = {}
        self._added: dict[str, dict[str, tuple[str, ...] | None]] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Take what has changed: a few apps cost as little as they are."""
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
        """The verdicts for one push, worked out for all apps when the first one asks."""

        @cache
        def verdicts() -> dict[str, Hit | GlobError]:
            found: dict[str, Hit | GlobError] = {}
            for key in _keys_of_repository(push.repository):
                if (index := self._indexes.get(key)) is not None:
                    found |= index.decide(push.paths or ())
            return found

        return lambda app: verdicts().get(app.id)


def index(apps: Iterable[App]) -> Snapshot:
    """Apps by repository, so that a push looks only at those that it may concern."""
    found: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        for key in _keys_of_app(app):
            found[key].append(app)
    return {key: tuple(sorted(those, key=lambda app: app.label)) for key, those in found.items()}


def apps_of(snapshot: Snapshot, repository: Repository) -> tuple[App, ...]:
    """The apps that may deploy from a repository, each once, by label."""
    found = {
        app.id: app for key in _keys_of_repository(repository) for app in snapshot.get(key, ())
    }
    return tuple(sorted(found.values(), key=lambda app: app.label))


def _keys_of_app(app: App) -> Iterable[str]:
    source = app.source
    if source is None:
        return
    if source.url is not None:
        yield f"url {source.url}"
    elif source.repository_id is not None:
        yield f"{source.type} #{source.repository_id}"
    elif source.repository is not None:
        yield f"{source.type} {source.repository.lower()}"


def _keys_of_repository(repository: Repository) -> Iterable[str]:
    yield f"{repository.host} #{repository.id}"
    yield f"{repository.host} {repository.name.lower()}"
    yield from (f"url {url}" for url in repository.urls)
