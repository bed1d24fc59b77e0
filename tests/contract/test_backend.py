"""One suite for the `Backend` and `Configures` ports, whoever implements them.

The embedded backend is driven through the Dokploy client over real HTTP, as the bridge does it,
and clones with real git. A gate in the git server holds a build where a test needs it to run.
"""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends import embedded_client
from bridge.core.apps import App, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
    changes,
    forgotten,
)
from bridge.core.errors import Refused, Unreachable
from bridge.core.refs import normalise_url
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import (
    BackendDeployment,
    Configures,
    Progress,
    ReadsApps,
    read_apps,
)

T = TypeVar("T")
PATIENCE = 20.0
STATIC = BuildType(build_type="static", publish_directory="site")


async def until(
    probe: Callable[[], Awaitable[T]], fits: Callable[[T], object], what: str = "it"
) -> T:
    """Ask until the answer fits; the deadline is generous, since the machine may be busy."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not fits(found := await probe()):
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"{what} did not come within {PATIENCE:g} s; last was {found!r}")
        await asyncio.sleep(0.02)
    return found


@dataclass
class Repository:
    """A git repository, and a git server for it that can be held."""

    path: Path
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    clones: set[asyncio.Task[Any]] = field(default_factory=set)
    over: bool = False

    @property
    def url(self) -> str:
        return self.path.as_uri()

    @property
    def held_url(self) -> str:
        """Cloning from here waits for the gate."""
        return f"git://127.0.0.1:{self.port}/{self.path.name}"

    def git(self, *words: str) -> str:
        who = [
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=a@example.com",
            "-c",
            "commit.gpgsign=false",
        ]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, text: str = "hello") -> str:
        (self.path / "site").mkdir(exist_ok=True)
        (self.path / "site" / "index.html").write_text(text)
        self.git("add", "-A")
        self.git("commit", "--allow-empty", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The git protocol: one line that names the repository, then git talks itself."""
        task = asyncio.current_task()
        assert task is not None
        self.clones.add(task)
        git = None
        try:
            size = int(await reader.readexactly(4), 16)
            await reader.readexactly(size - 4)
            await self.gate.wait()
            if self.over:
                return
            git = await asyncio.create_subprocess_exec(
                "git", "upload-pack", str(self.path),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert git.stdin is not None
            assert git.stdout is not None
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, git.stdin))
                group.create_task(_copy(git.stdout, writer))
        except* (OSError, asyncio.IncompleteReadError):
            pass  # the clone was cancelled
        finally:
            writer.close()
            if git is not None:
                with contextlib.suppress(ProcessLookupError):
                    git.kill()
                await git.communicate()
            self.clones.discard(task)

    async def close(self) -> None:
        """Wait for the clones that a test left, so that none outlives its event loop."""
        self.over = True
        self.gate.set()
        await asyncio.wait_for(asyncio.gather(*self.clones), PATIENCE)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    writer.close()


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[Repository]:
    found = Repository(tmp_path / "repository")
    found.path.mkdir()
    found.git("init", "-q", "-b", "main")
    found.commit("feat: first commit")
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()
    await found.close()


@dataclass
class Stage:
    """A running embedded server and the backend under test."""

    server: EmbeddedServer
    backend: Any  # Backend and Configures: there is no type for both
    environment: str = ""

    async def ask(self, method: str, path: str, **fields: Any) -> Any:
        """Speak to the server behind the port, to prepare and to look closely."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(
                method,
                f"{self.server.url}/api/{path}",
                headers={"x-api-key": self.server.api_key},
                **{"params" if method == "GET" else "json": fields},
            )
        assert answer.status_code == 200, answer.text
        return json.loads(answer.content) if answer.content else None

    async def app(self, name: str, source: Any = None) -> App:
        """A new application, with a source and a static build where one is given."""
        body = {"name": name, "appName": name, "environmentId": self.environment}
        id_ = (await self.ask("POST", "application.create", **body))["applicationId"]
        if source is not None:
            app = await self.named(name)
            await self.backend.save_provider(app, source)
            await self.backend.save_build_type(app, STATIC)
        found = await self.named(name)
        assert found.id == id_
        return found

    async def named(self, name: str) -> App:
        return next(app for app in await self.backend.apps() if app.name == name)

    async def one(self, app: App) -> Any:
        return await self.ask("GET", "application.one", applicationId=app.id)

    async def newest(self, app: App) -> BackendDeployment | None:
        return next(iter(await self.backend.deployments(app)), None)

    async def running(self, app: App, title: str) -> BackendDeployment:
        """Wait until the deployment with that title runs."""
        found = await until(
            lambda: self.newest(app),
            lambda one: one and one.title == title and one.status is Progress.RUNNING,
            f"the running deployment {title!r}",
        )
        assert found is not None
        return found

    async def ended(self, app: App, count: int = 1) -> list[BackendDeployment]:
        """Wait until so many deployments of the app have ended, and none runs or waits."""

        async def look() -> tuple[list[BackendDeployment], list[str]]:
            waiting = [job.title for job in await self.backend.queue() if job.app == app.id]
            return await self.backend.deployments(app), waiting

        found, _ = await until(
            look,
            lambda seen: (
                len(seen[0]) == count
                and not seen[1]
                and all(one.status is not Progress.RUNNING for one in seen[0])
            ),
            f"the end of {count} deployments",
        )
        return found

    async def queued(self, app: App) -> list[tuple[str, bool]]:
        """The app's jobs and whether each runs, in the order of their turns."""
        jobs = await self.backend.queue()
        return [(job.title, job.active) for job in jobs if job.app == app.id]


@pytest.fixture
async def stage(tmp_path: Path, repository: Repository) -> AsyncIterator[Stage]:
    server = EmbeddedServer(tmp_path / "data", host="127.0.0.1", port=0)
    await server.start()
    backend = embedded_client(server.url, server.api_key, read_retries=0)
    stage = Stage(server, backend)
    project = await stage.ask("POST", "project.create", name="shop")
    stage.environment = project["environment"]["environmentId"]
    yield stage
    await backend.close()
    await server.stop()


# ── Apps ─────────────────────────────────────────────────────────────────────


async def test_apps_are_listed_with_their_sources(stage: Stage, repository: Repository) -> None:
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


async def test_an_environment_that_is_not_the_default_has_its_name(stage: Stage) -> None:
    project = (await stage.ask("GET", "project.all"))[0]["projectId"]
    body = {"projectId": project, "name": "staging", "description": ""}
    stage.environment = (await stage.ask("POST", "environment.create", **body))["environmentId"]

    assert (await stage.app("web")).label == "shop/staging/web"


async def test_single_apps_are_read_as_they_are_now_and_without_those_that_have_gone(
    stage: Stage, repository: Repository
) -> None:
    source = GitSource(url=repository.url, branch="main", watch_paths=None)
    web, docker = await stage.app("web", source), await stage.app("docker")
    await stage.backend.save_provider(web, source.model_copy(update={"branch": "dev"}))

    assert await read_apps(stage.backend, [web]) == [await stage.named("web")]
    assert await read_apps(stage.backend, []) == []

    await stage.ask("POST", "application.delete", applicationId=docker.id)
    assert await read_apps(stage.backend, [docker, web]) == [await stage.named("web")]


async def test_a_listing_has_every_app_with_its_place(stage: Stage) -> None:
    assert isinstance(stage.backend, ReadsApps)
    made = [await stage.app("web"), await stage.app("api")]

    listed = {one.app.id: one.app for one in await stage.backend.listing()}

    assert {id_: one.label for id_, one in listed.items()} == {one.id: one.label for one in made}


async def test_there_may_be_no_app_at_all(stage: Stage) -> None:
    assert await stage.backend.apps() == []


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
    assert done.title == "feat: second\n\nwith a body line"
    assert done.description == f"Commit: {sha}"
    assert done.error is None
    assert done.finished_at is not None
    assert done.created_at <= done.finished_at
    assert await stage.backend.queue() == []


async def test_an_empty_title_gives_the_servers_own(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))

    await stage.backend.deploy(app, title="", description="")

    assert await stage.running(app, "Manual deployment")


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
    await stage.backend.deploy(app, title="first", description="")
    await stage.backend.deploy(app, title="second", description="")
    first = await stage.running(app, "first")

    await stage.backend.drop_waiting(app)

    assert await stage.queued(app) == [("first", True)]
    repository.gate.set()
    (only,) = await stage.ended(app)
    assert (only.id, only.status) == (first.id, Progress.DONE)


async def test_nothing_to_drop_is_no_mistake(stage: Stage) -> None:
    await stage.backend.drop_waiting(await stage.app("web"))


async def test_a_running_deployment_is_cancelled(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.held_url, branch="main"))
    await stage.backend.deploy(app, title="slow", description="corr=slow")
    running = await stage.running(app, "slow")

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


async def test_only_the_logs_of_old_deployments_are_cleared(
    stage: Stage, repository: Repository
) -> None:
    app = await stage.app("web", GitSource(url=repository.url, branch="main"))
    await stage.backend.deploy(app, title="Deploy", description="")
    before = await stage.ended(app)

    await stage.backend.clear_deployments(app)

    assert await stage.backend.deployments(app) == before
    assert not (await stage.backend.log_tail(before[0], 100)).strip()


async def test_version_and_health(stage: Stage) -> None:
    version = await stage.backend.version()

    assert version is None or version.startswith("v")
    assert await stage.backend.healthy()


async def test_a_server_that_stopped_is_not_healthy_and_was_not_asked(stage: Stage) -> None:
    app = await stage.app("web")
    await stage.server.stop()

    assert not await stage.backend.healthy()
    for ask in (stage.backend.apps(), stage.backend.deploy(app, title="t", description="d")):
        with pytest.raises(Unreachable):
            await ask


# ── Configuring ──────────────────────────────────────────────────────────────


def test_it_can_be_configured(stage: Stage) -> None:
    assert isinstance(stage.backend, Configures)
    assert stage.backend.name


async def test_a_provider_is_saved_and_read_back(stage: Stage, repository: Repository) -> None:
    app = await stage.app("web", GitSource(url=repository.url, branch="main"))
    account = await stage.ask(
        "POST", "gitlab.create", name="gl", authId="x", gitlabUrl="https://gitlab.com"
    )
    providers = await stage.ask("GET", "gitlab.gitlabProviders")
    assert len(providers) == 1, account

    gitlab = GitlabSource(
        owner="sub",
        repository="my-project",
        branch="main",
        provider_id=providers[0]["gitlabId"],
        project_id=12345,
        path="my-group/sub/my-project",
        watch_paths=("src/**",),
        submodules=True,
    )
    await stage.backend.save_provider(app, gitlab)
    now = await stage.named("web")
    assert now.source == Source(
        SourceType.GITLAB, "my-group/sub/my-project", "12345", branch="main"
    )
    assert now.watch_paths == ("src/**",)
    assert (await stage.one(app))["enableSubmodules"] is True

    docker = DockerSource(
        image="registry.example.com/web:2",
        username="me",
        password=SecretStr("pw"),
        registry_url="https://registry.example.com",
    )
    await stage.backend.save_provider(app, docker)
    assert (await stage.named("web")).source == Source(
        SourceType.DOCKER, image="registry.example.com/web:2"
    )
    assert (await stage.one(app))["registryUrl"] == "https://registry.example.com"


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


@pytest.mark.parametrize("name", SOURCES)
async def test_what_was_saved_can_be_saved_again(stage: Stage, name: str) -> None:
    app = await stage.app("web")
    build = BuildType(build_type="dockerfile", dockerfile="Dockerfile", docker_build_stage="prod")
    environment = Environment(
        env=SecretStr("# ours\nA=1\n"), build_secrets=SecretStr("D=4"), create_env_file=False
    )
    await stage.backend.save_provider(app, SOURCES[name])
    await stage.backend.save_build_type(app, build)
    await stage.backend.save_environment(app, environment)

    saved = await stage.backend.saved(app)

    assert saved.provider == SOURCES[name]
    assert saved.environment == environment
    assert saved.build is not None
    assert saved.build.docker_build_stage == "prod"
    await stage.backend.save_provider(app, saved.provider)
    await stage.backend.save_build_type(app, saved.build)
    await stage.backend.save_environment(app, saved.environment)
    assert await stage.backend.saved(app) == saved
    assert "pw" not in repr(saved.environment) + repr(getattr(saved.provider, "password", ""))


async def test_what_all_sources_share_is_known_also_without_a_source(stage: Stage) -> None:
    app = await stage.app("web")
    fresh = await stage.backend.saved(app)
    assert (fresh.provider, fresh.watch_paths, fresh.trigger) == (None, None, Trigger.PUSH)

    await stage.backend.save_provider(app, SOURCES["github"])
    await stage.backend.save_provider(app, SOURCES["docker"])
    saved = await stage.backend.saved(app)

    assert saved.provider == SOURCES["docker"]
    assert saved.watch_paths == ("apps/web/**", "!**/*.md")
    assert saved.submodules is True
    assert saved.row is not None
    assert (saved.trigger, saved.row.trigger) == (Trigger.PUSH, "tag")  # it counts for GitHub alone

    await stage.backend.disconnect_provider(app)
    assert (await stage.backend.saved(app)).provider is None


async def test_an_unknown_git_account_is_refused_without_sql(stage: Stage) -> None:
    app = await stage.app("web")
    settings = GithubSource(
        owner="o", repository="r", branch="main", provider_id="nope", trigger=Trigger.PUSH
    )

    with pytest.raises(Refused) as caught:
        await stage.backend.save_provider(app, settings)

    assert "Failed query" not in str(caught.value)
    assert (await stage.named("web")).source is None


async def test_a_disconnected_app_has_no_source(stage: Stage, repository: Repository) -> None:
    settings = GitSource(url=repository.url, branch="main", watch_paths=("a/**",))
    app = await stage.app("web", settings)

    await stage.backend.disconnect_provider(app)

    now = await stage.named("web")
    assert (now.source, now.watch_paths, now.trigger) == (None, None, Trigger.PUSH)


async def test_a_build_type_is_saved_and_read_back(stage: Stage) -> None:
    app = await stage.app("web")

    await stage.backend.save_build_type(
        app,
        BuildType(
            build_type="dockerfile",
            dockerfile="./ops/Dockerfile",
            docker_context_path="./ops",
            docker_build_stage="production",
        ),
    )
    saved = await stage.one(app)
    names = ("buildType", "dockerfile", "dockerContextPath", "dockerBuildStage")
    assert [saved[name] for name in names] == [
        "dockerfile",
        "./ops/Dockerfile",
        "./ops",
        "production",
    ]

    await stage.backend.save_build_type(
        app, BuildType(build_type="static", publish_directory="dist", static_spa=True)
    )
    saved = await stage.one(app)
    assert (saved["buildType"], saved["publishDirectory"], saved["isStaticSpa"]) == (
        "static",
        "dist",
        True,
    )


async def test_an_environment_is_saved_and_read_back(stage: Stage) -> None:
    app = await stage.app("web")

    await stage.backend.save_environment(
        app,
        Environment(
            env=SecretStr("A=1\nB=ä"),
            build_args=SecretStr("C=3"),
            build_secrets=SecretStr("D=4"),
            create_env_file=False,
        ),
    )
    saved = await stage.one(app)
    names = ("env", "buildArgs", "buildSecrets", "createEnvFile")
    assert [saved[name] for name in names] == ["A=1\nB=ä", "C=3", "D=4", False]

    await stage.backend.save_environment(app, Environment())
    saved = await stage.one(app)
    assert [saved[name] for name in names] == [None, None, None, True]


# ── What is refused ──────────────────────────────────────────────────────────

UNKNOWN = App("no-such-app", "ghost", "shop", backend="embedded")
ASKS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "deploy": lambda backend: backend.deploy(UNKNOWN, title="t", description="d"),
    "redeploy": lambda backend: backend.redeploy(UNKNOWN, title="t", description="d"),
    "cancel": lambda backend: backend.cancel(UNKNOWN),
    "saved": lambda backend: backend.saved(UNKNOWN),
    "save_provider": lambda backend: backend.save_provider(UNKNOWN, DockerSource(image="x")),
    "write_source": lambda backend: backend.write_source(UNKNOWN, {"docker.image": "x"}),
    "disconnect_provider": lambda backend: backend.disconnect_provider(UNKNOWN),
    "save_build_type": lambda backend: backend.save_build_type(UNKNOWN, STATIC),
    "save_environment": lambda backend: backend.save_environment(UNKNOWN, Environment()),
    "clear_deployments": lambda backend: backend.clear_deployments(UNKNOWN),
}


async def test_an_unknown_app_has_nothing_that_waits(stage: Stage) -> None:
    await stage.backend.drop_waiting(UNKNOWN)


async def test_single_fields_of_the_source_are_written_and_no_others(stage: Stage) -> None:
    app = await stage.app("web")
    await stage.backend.save_provider(app, SOURCES["github"])
    await stage.backend.save_provider(app, SOURCES["docker"])
    before = (await stage.backend.saved(app)).row

    fields = {"docker.image": "web:3", "github.branch": "dev", "git.build_path": ""}
    await stage.backend.write_source(app, fields)

    after = (await stage.backend.saved(app)).row
    assert before is not None
    assert after is not None
    assert changes(before, after) == fields


async def test_disconnecting_forgets_what_is_foretold(stage: Stage) -> None:
    app = await stage.app("web")
    for name in ("git", "docker", "github"):
        await stage.backend.save_provider(app, SOURCES[name])
    before = (await stage.backend.saved(app)).row
    assert before is not None

    await stage.backend.disconnect_provider(app)

    assert (await stage.backend.saved(app)).row == forgotten(before, build_paths=True)


@pytest.mark.parametrize("ask", ASKS)
async def test_an_unknown_app_is_refused(stage: Stage, ask: str) -> None:
    with pytest.raises(Refused) as caught:
        await ASKS[ask](stage.backend)

    assert caught.value.words


async def test_an_unknown_app_has_no_deployments(stage: Stage) -> None:
    assert await stage.backend.deployments(UNKNOWN) == []
