"""Decide a push for the present apps, or for one as it might be. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bridge.core.apps import App, Rules, Source, SourceType, find_app, made_at
from bridge.core.decision import Decision, Policy, concerns, decide, of_own_branch
from bridge.core.errors import NotFound
from bridge.core.events import Event, RefKind, RefPushed, Repository
from bridge.core.pins import owner_of
from bridge.core.rules import NO_TAGS, AppTags
from bridge.pipeline.deciding.decide import unless_made_later


@dataclass(frozen=True, slots=True)
class Told:
    """A webhook, or another delivery, to explain.

    Attributes:
        host, event: as it is kept, or would be; `meaning`: what that says.
        assumed: what was guessed, for people.
        pushed_by: a time by which its push had surely happened; None if unknown, as for a file.
    """

    host: str
    event: str
    meaning: Event
    assumed: tuple[str, ...] = ()
    pushed_by: float | None = None


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An app as it might be, or changes of an existing one.

    Attributes:
        app: its label, or an existing app whose other settings apply.
        rules: the differences from the existing apps; empty if there are none.
    """

    app: str | None
    rules: Rules

    @property
    def asked(self) -> bool:
        """True if anything differs from the existing apps."""
        return self.rules != Rules()


@dataclass(frozen=True, slots=True)
class Known:
    """The basis of decisions.

    Attributes:
        apps: with our own rules applied.
        tags: the tags of apps that deploy only newer ones, by id.
        pushed_by: see `Told`.
    """

    policy: Policy
    apps: Sequence[App] = ()
    tags: Mapping[str, AppTags] = field(default_factory=dict)
    pushed_by: float | None = None

    def decide(self, push: RefPushed, app: App) -> Decision:
        """Return the decision for one app, assuming that its backend's clock is right."""
        decision = decide(push, app, self.policy, tags=self.tags.get(app.id, NO_TAGS))
        return unless_made_later(decision, app, made_at(app, {app.backend: 0.0}), self.pushed_by)


@dataclass(frozen=True, slots=True)
class Apps:
    """The apps that a push concerns.

    Attributes:
        imagined: the only one is not as it is now, or is none; `base`: what it is now.
    """

    those: Sequence[App]
    imagined: bool = False
    base: App | None = None


def decisions_for(
    push: RefPushed, known: Known, what_if: WhatIf
) -> tuple[list[tuple[App, Decision]], Apps]:
    """Return the decisions by app, and for which apps; raise NotFound if an app is unknown."""
    if known.apps and not what_if.asked:
        concerned = [app for app in known.apps if concerns(push, app)]
        if (owner := owner_of(push, concerned)) is not None:
            return [(owner, of_own_branch(owner, push))], Apps([owner])
    apps = apps_for(push, known, what_if)
    return [(app, known.decide(push, app)) for app in apps.those], apps


def apps_for(push: RefPushed, known: Known, what_if: WhatIf) -> Apps:
    """Return the apps that a push concerns, or one as it might be."""
    base: App | None = None
    if what_if.app is not None and known.apps:
        try:
            base = find_app(known.apps, what_if.app)
        except NotFound:
            if not what_if.asked:
                raise
    if known.apps and not what_if.asked:
        # Report the requested app even if the push does not concern it.
        return Apps([base] if base else [app for app in known.apps if concerns(push, app)])
    if base is not None and not concerns(push, base):
        base = None
    return Apps([_imagined(push, base, what_if)], imagined=True, base=base)


def _imagined(push: RefPushed, base: App | None, what_if: WhatIf) -> App:
    if base is None:
        branch = push.ref.name if push.ref.kind is RefKind.BRANCH else "main"
        source = _source_of(push.repository, branch)
        base = App("what-if", what_if.app or "what-if", "", source=source)
    return replace(base, rules=what_if.rules.over(base.rules), made_at=None)


def _source_of(repository: Repository, branch: str) -> Source:
    """Return a source that matches the push's repository."""
    if repository.kind in {one.value for one in SourceType}:
        return Source(SourceType(repository.kind), repository=repository.name, branch=branch)
    return Source(SourceType.GIT, url=min(repository.urls, default=None), branch=branch)
