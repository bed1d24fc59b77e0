"""Apps: what can be deployed, and on which pushes."""

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum

from bridge.core.checks import CheckPolicy
from bridge.core.errors import Ambiguous, NotFound
from bridge.core.events import Repository
from bridge.core.policies import PreviewPolicy, VerifyPolicy
from bridge.core.words import some


class AppKind(StrEnum):
    """The two things that Dokploy deploys from a source."""

    APPLICATION = "application"
    COMPOSE = "compose"


class Trigger(StrEnum):
    """What makes an app deploy."""

    PUSH = "push"  # a push to its branch
    TAG = "tag"  # a new or moved tag


class SourceType(StrEnum):
    """Where an app's code comes from, in the backend's own words."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GIT = "git"
    DOCKER = "docker"
    BITBUCKET = "bitbucket"
    GITEA = "gitea"
    DROP = "drop"
    RAW = "raw"


_NOT_PUSHED = frozenset({SourceType.DOCKER, SourceType.DROP, SourceType.RAW})
"""Kinds of source that pushes can't deploy."""

SHARE_COMMITS = frozenset({SourceType.GITHUB})
"""Kinds of source whose Git host has one store of commits for a repository and all its forks."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an app's code comes from.

    Attributes:
        repository_id: the host's numeric id as text, if the backend knows it (GitLab).
        repository: path with owner, e.g. "my-org/mono"; None for custom Git and Docker.
        url: normalised clone URL (see `refs.normalise_url`) of a custom Git source, or of one at
            a server of one's own whose address the backend knows (Gitea).
        branch: short name, e.g. "main" or "feature/a".
        image: of a Docker source, e.g. "nginx:1.27".
    """

    type: SourceType
    repository: str | None = None
    repository_id: str | None = None
    url: str | None = None
    branch: str | None = None
    image: str | None = None


class Prereleases(StrEnum):
    """The policy for pre-releases, such as 2.0.0-rc.1."""

    DEPLOY = "deploy"
    SKIP = "skip"
    ONLY = "only"


class Approvers(StrEnum):
    """Whose approvals count, besides that nobody approves their own."""

    RECOGNISED = "recognised"
    ANYONE = "anyone"


@dataclass(frozen=True, slots=True)
class Rules:
    """The bridge's own rules for an app, beyond its backend's record; None sets nothing.

    Attributes:
        trigger: replaces the backend's.
        branch: a name or glob; replaces the backend's branch.
        watch_paths: replace the backend's.
        tags: a glob that a tag must match, e.g. "v*".
        versions: a range that a tag's version must be in, e.g. ">=1.2 <2".
        tag_prefix: the text before a tag's version, e.g. "api-v"; other tags don't deploy.
        prereleases: by default "skip" if `versions` is set, else "deploy".
        only_newer: never deploy an older version after a newer one.
        skip_directives: False deploys whatever the commit message says.
        checks: the checks of a commit that a deployment waits for.
        approvals: how many people have to approve a commit.
        approvals_by: who these may be.
        after: labels of apps that must be live with the same commit first.
        soak: seconds that these must have been live.
        verify: how its deployments are verified; None believes the backend.
        pin: the backend has to build a branch of the bridge's own, at exactly one commit.
    """

    trigger: Trigger | None = None
    branch: str | None = None
    watch_paths: tuple[str, ...] | None = None
    tags: str | None = None
    versions: str | None = None
    tag_prefix: str | None = None
    prereleases: Prereleases | None = None
    only_newer: bool | None = None
    skip_directives: bool | None = None
    checks: CheckPolicy | None = None
    approvals: int | None = None
    approvals_by: Approvers | None = None
    after: tuple[str, ...] | None = None
    soak: float | None = None
    verify: VerifyPolicy | None = None
    pin: bool | None = None
    previews: PreviewPolicy | None = None

    def over(self, other: "Rules") -> "Rules":
        """Return these rules, filled up with the others where they set nothing."""
        said = {
            one.name: value
            for one in fields(self)
            if (value := getattr(self, one.name)) is not None
        }
        return replace(other, **said)


ONLY_IN_FILE = frozenset({"checks", "approvals", "approvals_by", "after", "soak", "previews"})
"""The rules that `bridge.yaml` alone sets: when to hold a deployment, and what previews may have.
Who may configure an app must not lift what holds it, nor give secrets to pull requests."""


@dataclass(frozen=True, slots=True)
class App:
    """An application or compose stack of a backend.

    Attributes:
        id: the backend's own id, e.g. "ZT6A95NobTiob085n0lpt".
        environment: its name; None if it is its project's default one.
        watch_paths: as stored; None or empty deploys on every push.
        rules: the bridge's own rules for it.
        auto_deploy: the backend deploys pushes by itself, too; see `deploys_twice`.
        page: the URL of the backend's page about it; None if unknown.
        url: the URL where it is served; None if unknown.
        marker: the text that the bridge made it with, beginning with `MARKER`; "" for the apps of
            other people.
        made_at: when it was created, in seconds since 1970 by the backend's clock; None if
            unknown.
        service: the backend's name of what runs of it, which may outlive the app; "" if unknown.
        stands_for: the label of the app that it previews, whose grants count for it, too; "" for
            the apps of other people.
        native_previews: the name of its backend for people, e.g. "Dokploy", if that makes previews
            of its pull requests by itself; else "".
    """

    id: str
    name: str
    project: str
    backend: str = "dokploy"
    environment: str | None = None
    kind: AppKind = AppKind.APPLICATION
    source: Source | None = None
    trigger: Trigger = Trigger.PUSH
    watch_paths: tuple[str, ...] | None = None
    auto_deploy: bool = False
    page: str | None = None
    url: str | None = None
    rules: Rules = Rules()
    marker: str = ""
    made_at: float | None = field(default=None, compare=False)
    service: str = field(default="", compare=False)
    stands_for: str = ""
    native_previews: str = ""

    @property
    def waits_for(self) -> Trigger:
        """Return its trigger, from our rules or else from the backend's record."""
        return self.rules.trigger or self.trigger

    @property
    def pushed(self) -> bool:
        """Return whether a push can deploy it: its source is a Git repository."""
        return self.source is not None and self.source.type not in _NOT_PUSHED

    @property
    def deploys_twice(self) -> bool:
        """Whether each push deploys twice: Auto Deploy is on, and the source is a Git one."""
        return self.auto_deploy and self.pushed

    @property
    def previewed(self) -> bool:
        """Return whether a rule gives its pull requests previews."""
        return self.rules.previews is not None and self.rules.previews.on

    @property
    def previews_twice(self) -> bool:
        """Return whether each pull request has two previews: the bridge's and the backend's own."""
        return self.previewed and self.native_previews != ""

    @property
    def branch(self) -> str | None:
        """The branch whose pushes deploy it: a name or glob of our rules, or the backend's name."""
        return self.rules.branch or (self.source.branch if self.source else None)

    @property
    def watched(self) -> tuple[str, ...] | None:
        """Its watch paths, by our rules or else the backend's record."""
        return self.watch_paths if self.rules.watch_paths is None else self.rules.watch_paths

    @property
    def verify(self) -> VerifyPolicy | None:
        """The policy that verifies its deployments; None if they are not verified."""
        policy = self.rules.verify
        return policy if policy is not None and policy.on else None

    @property
    def label(self) -> str:
        """The name that people use: `project/app`, or `project/environment/app`."""
        parts = (self.project, self.environment, self.name)
        return "/".join(part for part in parts if part)


MARKER = "bridge:"
"""The beginning of the marker of every app that the bridge has made."""


def of_people(apps: Iterable[App]) -> list[App]:
    """Return the apps without those of previews, which have a list of their own."""
    return [app for app in apps if not app.marker]


PRODUCTION = "production"
"""The name of a project's default environment, as in Dokploy."""


def environment_of(app: App | None) -> str:
    """Return the name of an app's environment."""
    return (app.environment if app else None) or PRODUCTION


# ── Find the app that a person names ────────────────────────────────────────────────────────────

MOST_NAMED = 5


def find_app(apps: Sequence[App], name: str, gone: Sequence[App] = ()) -> App:
    """Return the one app with this name: its id, label, bare name, or a prefix of one.

    Args:
        gone: deleted apps, which are found as well. If the name fits a live and a deleted app
            equally well, it means the live one.

    Raises:
        NotFound, Ambiguous: none or several fit; the message lists similar ones.
    """
    fits = fitting(apps, name, gone)
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise Ambiguous(f"{name!r} fits several apps: {_named(fits)}; say which")
    raise NotFound(f"there is no app {name!r}{_near(apps, name)}")


def apps_like(apps: Sequence[App], name: str) -> list[App]:
    """Return the apps that an unclear name may mean, the likeliest first."""
    fits = fitting(apps, name)
    if fits:
        return fits[:MOST_NAMED]
    by_word = {word.lower(): app for app in of_people(apps) for word in (app.name, app.label)}
    words = difflib.get_close_matches(name.strip().lower(), by_word, n=3, cutoff=0.5)
    return list({by_word[word].id: by_word[word] for word in words}.values())


def fitting(apps: Sequence[App], name: str, gone: Sequence[App] = ()) -> list[App]:
    """Return the apps that a name fits by the strictest rule that fits any; see `find_app`.

    The apps of previews are called like those that they preview, so they come last.
    """
    groups = (of_people(apps), gone, [app for app in apps if app.marker])
    for way in (*_WHOLE, _begins):
        for those in groups:
            if fits := [app for app in those if way(app, name)]:
                return fits
    return []


def named(apps: Sequence[App], name: str) -> list[App]:
    """Return the apps with exactly this id, label or name."""
    found = ([app for app in apps if way(app, name)] for way in _WHOLE)
    return next((fits for fits in found if fits), [])


_WHOLE: tuple[Callable[[App, str], bool], ...] = (
    lambda app, name: app.id == name,
    lambda app, name: app.label == name,
    lambda app, name: app.label.lower() == name.strip().lower(),
    lambda app, name: app.name.lower() == name.strip().lower(),
)
"""The rules by which a whole name fits an app, the strictest first."""


def _begins(app: App, name: str) -> bool:
    wanted = name.strip().lower()
    return wanted != "" and any(one.lower().startswith(wanted) for one in (app.label, app.name))


def _named(apps: Sequence[App]) -> str:
    labels = [app.label for app in apps]
    if len(set(labels)) < len(labels):  # the same label twice: only the ids distinguish them
        labels = [f"{app.label} ({app.id})" for app in apps]
    return some(labels, MOST_NAMED)


def _near(apps: Sequence[App], name: str) -> str:
    if not apps:
        return "; no app is known yet"
    labels = [app.label for app in apps_like(apps, name)]
    if labels:
        return f"; did you mean {' or '.join(labels)}?"
    return f"; there are: {_named(of_people(apps) or apps)}"


def made_at(app: App, ahead: Mapping[str, float]) -> float:
    """Return when an app was created by our clock, within two seconds; -inf if unknown.

    Args:
        ahead: seconds by which the backends' clocks are ahead of ours, where known.
    """
    if app.made_at is None or app.backend not in ahead:
        return -math.inf
    return app.made_at - ahead[app.backend]


# ── Backends whose apps have the same ids, e.g. because one is a copy ───────────────────────────


def same_ids(backend: str, other: str, labels: Sequence[str]) -> str:
    """Return the problem of a backend whose app ids clash with another's, and the remedy.

    Args:
        labels: of those apps, at the other backend.
    """
    named = some(sorted(labels), MOST_NAMED)
    return (
        f"{backend} has apps with the ids of apps of {other}, as a copy of a Dokploy has: {named}."
        f" The bridge tells apps apart by their ids, so it deploys these at {other} alone. Make"
        f" them anew in {backend}, or give {backend} a bridge of its own, with another BRIDGE_DATA"
    )


# ── Repositories that no app deploys from, as in the webhooks of an organisation ────────────────

LOOKS = 3
"""The most readings of the apps for a repository that none of them finds."""

MOST = 10_000
"""Repositories to remember, the most recent ones."""


class Absent:
    """Counts the readings that did not find each repository; a restart resets it."""

    def __init__(self) -> None:
        self._missing: dict[str, tuple[int, float]] = {}

    def note(self, repository: Repository, read_at: float) -> None:
        """Note that a reading lacks a pushed repository; count each reading once."""
        key = _key(repository)
        times, last = self._missing.pop(key, (0, None))  # moved to the end; the oldest goes first
        self._missing[key] = times + (last != read_at), read_at
        if len(self._missing) > MOST:
            del self._missing[next(iter(self._missing))]

    def often(self, repository: Repository) -> bool:
        """Return whether enough readings lack it to wait for the next one."""
        return self._missing.get(_key(repository), (0, None))[0] >= LOOKS


def _key(repository: Repository) -> str:
    return f"{repository.host} {repository.id}"
