"""What recent pushes would do if an app were configured otherwise."""

from dataclasses import replace

from bridge.core.apps import Rules, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
)
from bridge.core.configuration.difference import Configured
from bridge.core.configuration.rehearsal import as_configured, rehearse
from bridge.core.decision import Policy, Reason
from bridge.core.events import RefKind
from tests.fakes.journey import app, push

GITHUB = GithubSource(
    owner="my-org", repository="mono", branch="main", provider_id=None, trigger=Trigger.PUSH
)
PUSHES = [
    push(paths=("web/Index.html",)),
    push(paths=("docs/a.md",)),
    push("dev"),
    push("v1.0.0", kind=RefKind.TAG),
]


def configured(
    provider: ProviderSettings | None = GITHUB, rules: Rules | None = None, *paths: str
) -> Configured:
    saved = Saved(provider, None, Environment(), paths or None)
    saved = replace(saved, trigger=getattr(provider, "trigger", Trigger.PUSH))
    return Configured(saved, rules or Rules())


def test_it_counts_what_would_deploy_and_why_the_others_would_not() -> None:
    pushes = [*PUSHES, push(paths=None)]

    found = rehearse(app(), configured(GITHUB, None, "docs/**"), pushes, Policy())

    assert (found.pushes, found.deploying, found.hint) == (5, 2, "")
    assert dict(found.others) == {
        Reason.NO_PATH_HIT: 1,
        Reason.BRANCH_MISMATCH: 1,
        Reason.TRIGGER_MISMATCH: 1,
    }
    assert found.unlisted == 1  # it deploys only because its files are not listed
    assert rehearse(app(), configured(GITHUB), pushes, Policy()).unlisted == 0


def test_where_nothing_deploys_it_says_what_came_nearest() -> None:
    found = rehearse(app(), configured(GITHUB, None, "WEB/**"), PUSHES, Policy())

    assert found.deploying == 0
    assert "differs from `WEB/**` only in upper and lower case" in found.hint


def test_tags_are_tried_with_the_rules_and_the_file_wins() -> None:
    tags = configured(GITHUB, Rules(trigger=Trigger.TAG, tags="v*"))

    assert rehearse(app(), tags, PUSHES, Policy()).deploying == 1
    book = [("shop/*", Rules(tags="release-*"))]
    assert rehearse(app(), tags, PUSHES, Policy(), book).deploying == 0


def test_pushes_of_another_repository_say_nothing() -> None:
    other = GITHUB.model_copy(update={"repository": "other"})

    assert rehearse(app(), configured(other), PUSHES, Policy()).pushes == 0
    assert rehearse(app(), configured(None), PUSHES, Policy()).pushes == 0


def test_an_app_is_what_its_configuration_says() -> None:
    gitlab = GitlabSource(
        owner="g", repository="a", branch="b", provider_id="p", project_id=7, path="g/s/a"
    )
    git = GitSource(url="https://me:secret@example.com/A/b.git", branch="b")
    sources: dict[ProviderSettings, Source] = {
        gitlab: Source(SourceType.GITLAB, repository="g/s/a", repository_id="7", branch="b"),
        DockerSource(image="a:1"): Source(SourceType.DOCKER, image="a:1"),
    }

    for provider, source in sources.items():
        assert as_configured(app(), configured(provider)).source == source
    found = as_configured(app(), configured(git)).source
    assert found is not None
    assert "secret" not in str(found.url)
    assert as_configured(app(), configured(None)).source is None
