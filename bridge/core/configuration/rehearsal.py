"""Rehearse an app's recent pushes with another configuration. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App, Source, SourceType
from bridge.core.configuration.configuration import (
    GiteaSource,
    GithubSource,
    GitlabSource,
    GitSource,
)
from bridge.core.configuration.difference import Configured
from bridge.core.decision import Decision, Policy, Reason, decide
from bridge.core.events import RefPushed
from bridge.core.matching.near_miss import near_miss
from bridge.core.refs import normalise_url
from bridge.core.rules import RuleBook, rules_for


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What recent pushes would do.

    Attributes:
        others: why the others would not, the most common reason first, with counts.
        hint: the nearest miss, if the watch paths match nothing; "" otherwise.
        unlisted: how many would deploy only because their webhooks do not list all files; a
            rehearsal does not query the host.
    """

    pushes: int
    deploying: int = 0
    others: tuple[tuple[Reason, int], ...] = ()
    hint: str = ""
    unlisted: int = 0


def rehearse(
    app: App,
    configured: Configured,
    pushes: Sequence[RefPushed],
    policy: Policy,
    book: RuleBook = (),
) -> Rehearsal:
    """Decide recent pushes, newest first, as if the app had that configuration."""
    would_be = as_configured(app, configured, book)
    decided = [
        (push, decision)
        for push in pushes
        if (decision := decide(push, would_be, policy)).reason is not Reason.REPOSITORY_MISMATCH
    ]
    others = Counter(decision.reason for _, decision in decided if not decision.deploy)
    deploying = sum(decision.deploy for _, decision in decided)
    hint = "" if deploying else _hint(would_be, decided, policy)
    unlisted = sum(decision.reason is Reason.PATHS_UNKNOWN for _, decision in decided)
    return Rehearsal(len(decided), deploying, tuple(others.most_common()), hint, unlisted)


def as_configured(app: App, configured: Configured, book: RuleBook = ()) -> App:
    """Return the app with that configuration, overridden by `bridge.yaml`."""
    saved = configured.saved
    return replace(
        app,
        source=_source(configured),
        trigger=saved.trigger,
        watch_paths=saved.watch_paths,
        rules=rules_for(app.label, book).over(configured.rules),
    )


def _source(configured: Configured) -> Source | None:
    match configured.saved.provider:
        case GithubSource() as found:
            name = f"{found.owner}/{found.repository}"
            return Source(SourceType.GITHUB, repository=name, branch=found.branch)
        case GitlabSource() as found:
            return Source(
                SourceType.GITLAB,
                repository=found.path,
                repository_id=str(found.project_id),
                branch=found.branch,
            )
        case GiteaSource() as found:
            name = f"{found.owner}/{found.repository}"
            return Source(SourceType.GITEA, repository=name, branch=found.branch)
        case GitSource() as found:
            return Source(SourceType.GIT, url=normalise_url(found.url), branch=found.branch)
        case None:
            return None
        case found:
            return Source(SourceType.DOCKER, image=found.image)


def _hint(app: App, decided: Sequence[tuple[RefPushed, Decision]], policy: Policy) -> str:
    missed = [push for push, one in decided if one.reason is Reason.NO_PATH_HIT]
    files = sorted({path for push in missed for path in push.paths or ()})
    miss = near_miss(app.watched, files, policy.semantics, policy.picomatch) if files else None
    return miss.sentence if miss else ""
