"""One suite for the `Backend` and `Configures` ports, whoever implements them.

What only some can do is tried with those: the abilities of `ports.backends`.
"""

from itertools import pairwise
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    forgotten,
)
from bridge.core.errors import Refused, Unreachable
from bridge.core.refs import normalise_url
from bridge.ports.backends import (
    BackendDeployment,
    Configures,
    Progress,
    ReadsApps,
    read_apps,
)
from tests.worlds.backends import STATIC, EmbeddedStage, Repository, Stage

configured = pytest.mark.parametrize("stage", ["embedded"], indirect=True)
"""For backends that read single apps, and configure them."""


# ── Apps ─────────────────────────────────────────────────────────────────────


async def test_an_app_is_listed_with_its_source(stage: Stage, repository: Repository) -> None:
    assert await stage.backend.apps() == []
    paths = ("apps/web/**", "!docs/**")
    await stage.app("web", GitSource(url=repository.url, branch="main", watch_paths=paths))

    (app,) = await stage.backend.apps()

    assert (app.label, app.backend) == ("shop/web", stage.backend.name)
    assert app.source == Source(SourceType.GIT, url=normalise_url(repository.url), branch="main")
    assert app.watch_paths == paths


@configured
async def test_apps_are_listed_with_their_sources(
    stage: EmbeddedStage, repository: Repository
) -> None:
    paths = ("apps/web/**", "!docs/**")
    await stage.app("fresh")
    await stage.app("git", GitSource(url=repository.url, branch="main", watch_paths=paths))
    await stage.app(
        "github",
        GithubSource(
            owner="my-org",
            repository="mono",
            branch="feature/a",
            provider_id=None,
            trigger=Trigger.TAG,
        ),
    )
    await stage.app("docker", DockerSource(image="nginx:1.27"))

    apps = {app.name: app for app in await stage.backend.apps()}

    assert {name: app.source for name, app in apps.items()} == {
        "fresh": None,
        "git": Source(SourceType.GIT, url=normalise_url(repository.url), branch="main"),
        "github": Source(SourceType.GITHUB, "my-org/mono", branch="feature/a"),
        "docker": Source(SourceType.DOCKER, image="nginx:1.27"),
    }
    assert apps["git"].watch_paths == paths
    assert apps["github"].trigger is Trigger.TAG
    assert apps["github"].watch_paths is None
    assert {app.label for app in apps.values()} == {f"shop/{name}" for name in apps}
    assert {app.backend for app in apps.values()} == {stage.backend.name}
    assert isinstance(stage.backend, ReadsApps)
    listed = {one.app.id: one.app.label for one in await stage.backend.listing()}
    assert listed == {app.id: app.label for app in apps.values()}
    project = (await stage.ask("GET", "project.all"))[0]["projectId"]
    body = {"projectId": project, "name": "staging", "description": ""}
    stage.environment = (await stage.ask("POST", "environment.create", **body))["environmentId"]
    assert (await stage.app("web")).label == "shop/staging/web"


async def test_an_app_that_is_gone_is_left_out(stage: Stage) -> None:
    web, gone = await stage.app("web"), await stage.app("gone")
    await stage.delete(gone)

    assert await read_apps(stage.backend, [gone, web]) == [web]
    assert await read_apps(stage.backend, []) == []


@configured
async def test_single_apps_are_read_as_they_are_now(stage: Stage, repository: Repository) -> None:
    source = GitSource(url=repository.url, branch="main", watch_paths=None)
    web = await stage.app("web", source)
    await stage.app("docker")
    for branch in ("dev", "feature/ünï", "a+b@c=1,2%"):
        await stage.backend.save_provider(web, source.model_copy(update={"branch": branch}))

        assert (await stage.named("web")).branch == branch
        assert await read_apps(stage.backend, [web]) == [await stage.named("web")] != [web]


# ── Deploying and following ──────────────────────────────────────────────────


async def test_a_deploy_runs_with_our_words_and_ends_with_the_commit(
    stage: Stage, repository: Repository
) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))
    sha = repository.commit("feat: second\n\nwith a body line", "second")

    await stage.backend.deploy(app, title="Deploy [br-1]", description="corr=br-1")
    running = await stage.running(app, "Deploy [br-1]")

    assert running.description == "corr=br-1"
    assert running.commit is None
    assert running.finished_at is None
    assert await stage.queued(app) == [("Deploy [br-1]", True)]

    repository.gate.set()
    (done,) = await stage.ended(app)

    assert (done.id, done.status, done.commit) == (running.id, Progress.DONE, sha)
    assert (done.title, done.description) == (
        (running.title, running.description)
        if stage.keeps_words
        else ("feat: second\n\nwith a body line", f"Commit: {sha}")
    )
    assert done.error is None
    assert done.finished_at is not None
    assert done.created_at <= done.finished_at
    assert await stage.backend.queue() == []


async def test_a_redeploy_builds_the_same_checkout_again(
    stage: Stage, repository: Repository
) -> None:
    app = await stage.app("web", GitSource(url=repository.url, branch="main"))
    await stage.backend.deploy(app, title="Deploy", description="")
    (first,) = await stage.ended(app)
    repository.commit("feat: not fetched", "third")

    await stage.backend.redeploy(app, title="Rebuild [br-2]", description="corr=br-2")
    again, before = await stage.ended(app, 2)

    assert before == first
    assert again.status is Progress.DONE
    assert (again.title, again.description) == ("Rebuild [br-2]", "corr=br-2")


async def test_deploys_of_an_app_run_one_after_the_other(
    stage: Stage, repository: Repository
) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))
    for title in ("first", "second", "third"):
        await stage.backend.deploy(app, title=title, description=f"corr={title}")

    first = await stage.running(app, "first")
    assert await stage.queued(app) == [("first", True), ("second", False), ("third", False)]
    assert await stage.backend.deployments(app) == [first]  # what waits has no record yet

    repository.gate.set()
    ended = await stage.ended(app, 3)

    assert [one.status for one in ended] == [Progress.DONE] * 3
    assert ended[-1].id == first.id
    starts = [one.created_at for one in ended]
    assert starts == sorted(starts, reverse=True)
    for later, earlier in pairwise(ended):
        assert earlier.finished_at is not None
        assert earlier.finished_at <= later.created_at


async def test_what_waits_is_dropped_and_what_runs_goes_on(
    stage: Stage, repository: Repository
) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))
    await stage.backend.drop_waiting(app)  # nothing to drop is no mistake
    await stage.backend.deploy(app, title="first", description="")
    await stage.backend.deploy(app, title="second", description="")
    first = await stage.running(app, "first")

    await stage.backend.drop_waiting(app)

    assert await stage.queued(app) == [("first", True)]
    repository.gate.set()
    (only,) = await stage.ended(app)
    assert (only.id, only.status) == (first.id, Progress.DONE)


async def test_a_running_deployment_is_cancelled(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))
    await stage.backend.deploy(app, title="", description="")
    running = await stage.running(app, stage.own_title)

    words = await stage.backend.cancel(app)
    (cancelled,) = await stage.ended(app)

    assert words
    assert (cancelled.id, cancelled.status) == (running.id, Progress.CANCELLED)


async def test_a_build_that_fails_ends_as_an_error(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.url, branch="no-such-branch"))

    await stage.backend.deploy(app, title="Deploy [br-3]", description="corr=br-3")
    (failed,) = await stage.ended(app)

    assert failed.status is Progress.ERROR
    assert (failed.title, failed.commit) == ("Deploy [br-3]", None)
    assert "no-such-branch" in await stage.backend.log_tail(failed, 100)


async def test_the_log_tail_is_as_long_as_asked(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.url, branch="main"))
    await stage.backend.deploy(app, title="Deploy", description="")
    (done,) = await stage.ended(app)

    whole = await stage.backend.log_tail(done, 10_000)
    last = await stage.backend.log_tail(done, 1)

    assert len(whole.splitlines()) > 1
    assert len(last.splitlines()) == 1
    assert whole.rstrip("\n").endswith(last.rstrip("\n"))
    gone = BackendDeployment("nope", "", "", Progress.DONE, 0.0)
    assert await stage.backend.log_tail(gone, 10) == ""
    clears: object = stage.backend
    if isinstance(clears, Configures):  # which clears logs, and nothing else
        await clears.clear_deployments(app)
        assert await stage.backend.deployments(app) == [done]
        assert not (await stage.backend.log_tail(done, 100)).strip()


async def test_a_server_that_stopped_is_not_healthy_and_was_not_asked(stage: Stage) -> None:
    app = await stage.app("web")
    version = await stage.backend.version()
    assert version is None or version.startswith("v")
    assert await stage.backend.healthy()
    await stage.stop()

    assert not await stage.backend.healthy()
    for ask in (stage.backend.apps(), stage.backend.deploy(app, title="t", description="d")):
        with pytest.raises(Unreachable):
            await ask


# ── Configuring ──────────────────────────────────────────────────────────────


@configured
async def test_a_provider_with_an_account_is_saved_and_an_unknown_one_refused_without_sql(
    stage: EmbeddedStage,
) -> None:
    app = await stage.app("web")
    unknown = GithubSource(
        owner="o", repository="r", branch="main", provider_id="nope", trigger=Trigger.PUSH
    )
    with pytest.raises(Refused) as caught:
        await stage.backend.save_provider(app, unknown)
    assert "Failed query" not in str(caught.value)
    assert (await stage.named("web")).source is None

    asked = {"name": "gl", "authId": "x", "gitlabUrl": "https://gitlab.com"}
    await stage.ask("POST", "gitlab.create", **asked)
    (account,) = await stage.ask("GET", "gitlab.gitlabProviders")
    gitlab = GitlabSource(
        owner="sub",
        repository="my-project",
        branch="main",
        provider_id=account["gitlabId"],
        project_id=12345,
        path="my-group/sub/my-project",
        watch_paths=("src/**",),
        submodules=True,
    )
    await stage.backend.save_provider(app, gitlab)
    now = await stage.named("web")
    path = "my-group/sub/my-project"
    assert now.source == Source(SourceType.GITLAB, path, "12345", branch="main")
    assert now.watch_paths == ("src/**",)
    assert (await stage.one(app))["enableSubmodules"] is True


SOURCES = {
    "github": GithubSource(
        owner="my-org",
        repository="mono",
        branch="feature/a",
        provider_id=None,
        build_path="/apps/web",
        watch_paths=("apps/web/**", "!**/*.md"),
        submodules=True,
        trigger=Trigger.TAG,
    ),
    "git": GitSource(url="https://me:pw@example.com/a.git", branch="main", watch_paths=()),
    "docker": DockerSource(image="web:2", username="me", password=SecretStr("pw")),
}


@configured
async def test_what_was_saved_can_be_saved_again(stage: EmbeddedStage) -> None:
    app = await stage.app("web")
    build = BuildType(
        build_type="dockerfile",
        dockerfile="./ops/Dockerfile",
        docker_context_path="./ops",
        docker_build_stage="prod",
    )
    environment = Environment(
        env=SecretStr("# ours\nA=1\nB=ä"), build_secrets=SecretStr("D=4"), create_env_file=False
    )
    await stage.backend.save_build_type(app, build)
    await stage.backend.save_environment(app, environment)
    for name, source in SOURCES.items():
        await stage.backend.save_provider(app, source)

        saved = await stage.backend.saved(app)

        assert saved.provider == source, name
        assert saved.environment == environment
        assert saved.build is not None
        await stage.backend.save_provider(app, saved.provider)
        await stage.backend.save_build_type(app, saved.build)
        await stage.backend.save_environment(app, saved.environment)
        assert await stage.backend.saved(app) == saved
        shown = repr(saved.environment) + repr(getattr(saved.provider, "password", ""))
        assert "pw" not in shown

    row = await stage.one(app)
    stored = ("buildType", "dockerfile", "dockerContextPath", "dockerBuildStage", "env")
    said = ["dockerfile", "./ops/Dockerfile", "./ops", "prod", "# ours\nA=1\nB=ä"]
    assert [row[name] for name in stored] == said
    static = BuildType(build_type="static", publish_directory="dist", static_spa=True)
    await stage.backend.save_build_type(app, static)
    await stage.backend.save_environment(app, Environment())
    row = await stage.one(app)
    stored = ("buildType", "publishDirectory", "isStaticSpa", "env", "createEnvFile")
    assert [row[name] for name in stored] == ["static", "dist", True, None, True]


@configured
async def test_what_all_sources_share_is_known_until_it_is_disconnected(stage: Stage) -> None:
    app = await stage.app("web")
    fresh = await stage.backend.saved(app)
    assert (fresh.provider, fresh.watch_paths, fresh.trigger) == (None, None, Trigger.PUSH)

    for name in ("git", "github", "docker"):
        await stage.backend.save_provider(app, SOURCES[name])
    saved = await stage.backend.saved(app)

    assert saved.provider == SOURCES["docker"]
    assert saved.watch_paths == ("apps/web/**", "!**/*.md")
    assert saved.submodules is True
    assert saved.row is not None
    assert (saved.trigger, saved.row.trigger) == (Trigger.PUSH, "tag")  # it counts for GitHub alone

    await stage.backend.disconnect_provider(app)
    now = await stage.backend.saved(app)
    assert now.provider is None
    assert now.row == forgotten(saved.row, build_paths=True)
    listed = await stage.named("web")
    assert (listed.source, listed.watch_paths, listed.trigger) == (None, None, Trigger.PUSH)


# ── What is refused ──────────────────────────────────────────────────────────

UNKNOWN = App("no-such-app", "ghost", "shop", backend="embedded")


async def test_an_unknown_app_is_refused(stage: Stage) -> None:
    backend: Any = stage.backend
    await backend.drop_waiting(UNKNOWN)  # it has nothing that waits
    assert await backend.deployments(UNKNOWN) == []
    asks = [
        backend.deploy(UNKNOWN, title="t", description="d"),
        backend.redeploy(UNKNOWN, title="t", description="d"),
        backend.cancel(UNKNOWN),
    ]
    if isinstance(stage.backend, Configures):
        asks += [
            backend.saved(UNKNOWN),
            backend.save_provider(UNKNOWN, DockerSource(image="x")),
            backend.write_source(UNKNOWN, {"docker.image": "x"}),
            backend.disconnect_provider(UNKNOWN),
            backend.save_build_type(UNKNOWN, STATIC),
            backend.save_environment(UNKNOWN, Environment()),
            backend.clear_deployments(UNKNOWN),
        ]
    for ask in asks:
        with pytest.raises(Refused) as caught:
            await ask
        assert caught.value.words
