"""The scenes of configuring an app; a part of `tests.scenes.slack`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from bridge.chats.slack import config_views, names
from bridge.chats.slack.blocks import option
from bridge.chats.slack.config_forms import build_fields, environment_fields
from bridge.chats.slack.config_views import About
from bridge.chats.slack.source_form import SourceForm, source_fields
from bridge.chats.slack.views import message_of
from bridge.core.apps import App, AppKind, Prereleases, Rules, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GiteaSource,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
    Saved,
    SourceRow,
    with_provider,
)
from bridge.core.configuration.difference import Changed, Configured, difference
from bridge.core.configuration.merge import NoSource, WantedSource, WantedVariables, merge
from bridge.core.configuration.plan import Plan, change_of
from bridge.core.configuration.rehearsal import Rehearsal
from bridge.core.decision import Reason
from bridge.core.matching.lint import lint
from bridge.core.people import Actor
from bridge.messages.told import change_view
from bridge.ports.backends import GitAccount
from bridge.ports.outcomes import DONE, Audited, Result

ACCOUNTS = [
    GitAccount("gh00000000000000000ac", "acme", SourceType.GITHUB),
    GitAccount("gl00000000000000000ac", "acme on GitLab", SourceType.GITLAB),
]
GITHUB = GithubSource(
    owner="acme",
    repository="shop",
    branch="main",
    provider_id=ACCOUNTS[0].id,
    build_path="/apps/web",
    watch_paths=("apps/web/**", "packages/**"),
    trigger=Trigger.PUSH,
)
GITEA = GiteaSource(owner="acme", repository="shop", branch="main", provider_id="gt_forgejo")
GITLAB = GitlabSource(
    owner="acme",
    repository="api",
    branch="develop",
    provider_id=ACCOUNTS[1].id,
    project_id=4711,
    path="acme/platform/api",
)
SECRET = "hunter2"
GIT = GitSource(url=f"https://me:{SECRET}@git.example.com/acme/shop.git", branch="main")
DOCKER = DockerSource(
    image="ghcr.io/acme/docs:1.4",
    username="acme",
    password=SecretStr(SECRET),
    registry_url="https://ghcr.io",
)
ENVIRONMENT = Environment(
    env=SecretStr(f"LOG_LEVEL=debug\nAPI_KEY={SECRET}"), build_args=SecretStr("NODE_ENV=production")
)
NOON = 1_780_000_000.0
NO_RULES = Rules()


def configured(
    provider: ProviderSettings | None, rules: Rules = NO_RULES, **build: Any
) -> Configured:
    """An app's configuration with a source."""
    saved = Saved(
        provider,
        BuildType(**{"build_type": "dockerfile", "dockerfile": "Dockerfile", **build}),
        ENVIRONMENT,
        getattr(provider, "watch_paths", None),
        trigger=getattr(provider, "trigger", Trigger.PUSH),
    )
    return Configured(saved, rules)


def with_stored(now: Configured, provider: ProviderSettings) -> Configured:
    """The same, where the backend also stores an address and an image that are not in use."""
    address = GitSource(url=f"https://ada:{SECRET}@git.example.com/web.git", branch="old")
    row = SourceRow()
    for one in (DOCKER, address, provider):
        row = with_provider(row, None, one)
    return replace(now, saved=replace(now.saved, row=row))


def plan(app: App, now: Configured, wanted: Any, **others: Any) -> Plan:
    """What a change would do."""
    after = merge(now, wanted)
    changed = difference(now, after)
    return Plan(app, change_of(wanted), wanted, now, after, changed, **others)


def many_paths(hostile: str) -> GithubSource:
    """A source with more watch paths, and longer ones, than anybody has."""
    paths = tuple(f"{hostile}/{n}/**" for n in range(200))
    return GITHUB.model_copy(update={"watch_paths": paths, "branch": "b" * 255})


def source_view(app: App, form: SourceForm, **tried: Any) -> dict[str, Any]:
    """The modal with an app's source."""
    about = About(app.id, "C024BE91L")
    shown = config_views.tried_blocks(tried.pop("rehearsal", None), **tried)
    has_source = form.now.saved.provider is not None
    return config_views.part_view(
        app, about, source_fields(form), tried=shown, has_source=has_source
    )


def note(**others: Any) -> Audited:
    """A change that was made."""
    made = Audited(
        NOON,
        Actor("slack", "Ada", "U012AB3CD"),
        "provider set",
        "web0000000000000000ap",
        "shop/web",
        (Changed("branch", "main", "develop"), Changed("watch_paths", ("a/**",), None)),
        DONE,
        number=7,
        undoing="sealed",
    )
    return replace(made, **others)


def provider_scenes(web: App, docs: App, longest: App, hostile: str) -> Iterator[tuple[str, Any]]:
    """All of them, by name."""
    yield from sources(web, docs, longest, hostile)
    yield from others(web)
    yield from changes(web, hostile)
    yield from outcomes(web, hostile)


def sources(web: App, docs: App, longest: App, hostile: str) -> Iterator[tuple[str, Any]]:
    """The source's part."""
    tried = Rehearsal(20, 3, ((Reason.NO_PATH_HIT, 12), (Reason.BRANCH_MISMATCH, 5)), "")
    none = Rehearsal(
        4, 0, ((Reason.NO_PATH_HIT, 4),), "`apps/web/a.ts` differs only in upper and lower case."
    )
    yield "provider-reading", lambda: config_views.reading(web)
    why = "dokploy can't be reached: ConnectError"
    yield "provider-away", lambda: config_views.away(web, About(web.id), why)
    github = SourceForm(web, configured(GITHUB), ACCOUNTS)
    yield "provider-github", lambda: source_view(web, github, rehearsal=tried)
    typed = SourceForm(web, configured(GITHUB))
    yield "provider-github-typed", lambda: source_view(web, typed)
    doubtful = ("/apps/web/**", "a,b/**", "docs")
    given = {"kind": "github", "trigger": "push", "watch_paths": "\n".join(doubtful)}
    form = replace(github, given=given)
    yield (
        "provider-doubtful-paths",
        lambda: source_view(web, form, rehearsal=none, findings=lint(doubtful)),
    )
    unlisted = Rehearsal(20, 5, ((Reason.NO_PATH_HIT, 15),), unlisted=2)
    yield "provider-unlisted-files", lambda: source_view(web, github, rehearsal=unlisted)
    rules = Rules(
        trigger=Trigger.TAG, tags="v*", versions=">=2", prereleases=Prereleases.SKIP,
        only_newer=True, tag_prefix="v",
    )  # fmt: skip
    gitlab = SourceForm(web, configured(GITLAB, rules), ACCOUNTS)
    yield "provider-gitlab-tags", lambda: source_view(web, gitlab, rehearsal=Rehearsal(0))
    git = SourceForm(web, configured(GIT))
    yield "provider-git", lambda: source_view(web, git, problem="branch can't be 'a b'")
    docker = SourceForm(docs, configured(DOCKER))
    yield "provider-docker", lambda: source_view(docs, docker)
    yield "provider-none", lambda: source_view(web, SourceForm(web, configured(None)))
    drop = replace(web, source=Source(SourceType.BITBUCKET))
    form_of_drop = SourceForm(drop, configured(None))
    fields = [*config_views.only_there(drop), *source_fields(form_of_drop)]
    yield "provider-bitbucket", lambda: config_views.part_view(drop, About(drop.id), fields)
    compose = replace(web, kind=AppKind.COMPOSE)
    yield "provider-compose", lambda: source_view(compose, SourceForm(compose, configured(GITHUB)))
    crowd = [GitAccount(f"account{n}", hostile * 3, SourceType.GITHUB) for n in range(150)]
    hardest = SourceForm(longest, configured(many_paths(hostile)), crowd)
    yield (
        "provider-hardest",
        lambda: source_view(
            longest,
            hardest,
            rehearsal=replace(none, hint=hostile * 20),
            findings=lint(tuple(f"/{hostile * 5}{n}" for n in range(30))),
        ),
    )


def others(web: App) -> Iterator[tuple[str, Any]]:
    """How it is built, and its variables."""
    built = About(web.id, "", names.PROVIDER_BUILD)
    for kind in ("dockerfile", "static", "nixpacks", "paketo_buildpacks"):
        now = configured(GITHUB, build_type=kind, static_spa=kind == "static")
        fields = build_fields(now)
        yield (
            f"provider-build-{kind}",
            lambda fields=fields: config_views.part_view(web, built, fields),
        )
    about = About(web.id, "", names.PROVIDER_ENVIRONMENT)
    yield (
        "provider-variables",
        lambda: config_views.part_view(web, about, environment_fields(web, configured(GITHUB))),
    )
    many = SecretStr("\n".join(f"A_RATHER_LONG_NAME_OF_A_VARIABLE_{n}=x" for n in range(300)))
    crowded = configured(GITHUB)
    crowded = replace(crowded, saved=replace(crowded.saved, environment=Environment(env=many)))
    yield (
        "provider-variables-300",
        lambda: config_views.part_view(web, about, environment_fields(web, crowded)),
    )


def changes(web: App, hostile: str) -> Iterator[tuple[str, Any]]:
    """What would change."""
    about = About(web.id, "C024BE91L", draft="d" * 24)
    now = configured(GITHUB)
    branch = {"branch": "develop", "watch_paths": ("/web/**",), "tags": "v*"}
    remarks = ("bridge.yaml says tags: release-* for shop/web, and wins",)
    made = plan(
        web, now, WantedSource(None, branch), findings=tuple(lint(("/web/**",))), remarks=remarks
    )
    yield "provider-comparing", lambda: config_views.comparing(about)
    tried = Rehearsal(20, 3, ((Reason.NO_PATH_HIT, 17),))
    yield "provider-difference", lambda: config_views.difference_view(made, about, tried)
    docker = WantedSource(SourceType.DOCKER, {"image": "web:1", "password": SecretStr(SECRET)})
    yield (
        "provider-difference-secret",
        lambda: config_views.difference_view(plan(web, now, docker), about),
    )
    variables = {f"KEY_{n}": f"KEY_{n}={SECRET}" for n in range(200)}
    yield (
        "provider-difference-200-variables",
        lambda: config_views.difference_view(
            plan(web, now, WantedVariables({"env": variables})), about
        ),
    )
    same = plan(web, now, WantedSource(None, {}))
    yield "provider-no-difference", lambda: config_views.difference_view(same, about)
    wild = {"watch_paths": (hostile,) * 50, "build_path": hostile * 20}
    after = configured(GITHUB.model_copy(update=wild))  # no wish: it would be refused
    hard = replace(
        same, after=after, difference=difference(now, after), remarks=(hostile * 30,) * 9
    )
    yield "provider-difference-hardest", lambda: config_views.difference_view(hard, about)
    gone = plan(web, now, NoSource())
    yield "provider-parting", lambda: config_views.parting_view(gone, about)
    kept = plan(web, with_stored(now, GITHUB), NoSource())
    yield "provider-parting-stored", lambda: config_views.parting_view(kept, about)
    much = plan(replace(web, name=hostile * 10), configured(many_paths(hostile)), NoSource())
    yield "provider-parting-hardest", lambda: config_views.parting_view(much, about)
    lines = 'access:\n  - who: [U1]  # Eve\n    may: [configure]\n    apps: ["shop/web"]'
    refusal = "You may not configure shop/web."
    yield "provider-unread", lambda: config_views.unread(web, hostile)
    yield "provider-objected", lambda: config_views.objected("branch can't be 'a b'")
    yield "provider-refused", lambda: config_views.refused_view(refusal, lines)


def outcomes(web: App, hostile: str) -> Iterator[tuple[str, Any]]:
    """What became of a change."""
    yield "provider-saving", lambda: config_views.saving_view(web, "dokploy can't be reached")
    yield "provider-saved", lambda: config_views.outcome_view(note())
    waits = "waits for the backend: dokploy can't be reached: ConnectError"
    yield "provider-waits", lambda: config_views.outcome_view(note(result=Result.read(waits)))
    why = "Overtaken: shop/web was changed by somebody else (branch: main → theirs)"
    yield "provider-overtaken", lambda: config_views.told(note(result=Result.read(why)))
    yield "provider-told", lambda: config_views.told(note())
    yield "provider-note", lambda: message_of(change_view(note()))
    back = note(by=Actor("slack", "Bob", "U0B"), what="provider undo", undoes=7, number=8)
    yield "provider-note-undone", lambda: message_of(change_view(note(), back))
    build = (Changed("dockerfile", "Dockerfile", "web.Dockerfile"),)
    typed = note(by=Actor("cli", "ada"), what="build set", difference=build)
    yield "provider-note-from-the-command-line", lambda: message_of(change_view(typed))
    gone = (Changed("source", "github", None), Changed("branch", "main", None))
    parted = note(what="provider disconnect", difference=gone)
    yield "provider-note-disconnected", lambda: message_of(change_view(parted))
    yield "provider-note-of-undo", lambda: message_of(change_view(back))
    wild = note(
        by=Actor("slack", hostile * 5, "U1"),
        app=hostile * 10,
        result=Result.read(f"Refused: {hostile * 100}"),
        difference=tuple(Changed(f"env.{hostile}{n}", hostile * 9, None) for n in range(300)),
    )
    yield "provider-note-hardest", lambda: message_of(change_view(wild))
    yield "provider-told-hardest", lambda: config_views.told(wild)
    yield (
        "provider-repositories",
        lambda: {"options": [option("acme/shop", "acme/shop"), option("acme/api", "acme/api")]},
    )
