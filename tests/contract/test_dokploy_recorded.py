"""The client against the recorded answers of a real Dokploy v0.30.2, over real HTTP."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge import backends, pipeline
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, AppKind, Source, SourceType, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    GitlabSource,
    GitSource,
)
from bridge.core.errors import Refused
from bridge.core.health.containers import Container, judge_containers
from bridge.ports.backends import Listed, Progress
from tests.oracles.dokploy_recordings import recording

ROWS = {row["name"]: row for row in recording("recorded") if "response" in row}
ROWS |= {
    row["name"]: row
    for row in recording("recorded-2")
    if row["name"] == "252-gitea.giteaProviders-member"
    or (row["name"].startswith(("226-", "261-", "262-", "264-")) and "response" in row)
}


class Replay:
    """Answers each `METHOD path` with its recorded answer, and keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, Any]] = []

    def play(self, *names: str) -> None:
        for name in names:
            request = ROWS[name]["request"]
            # The query counts, so that each app gets the answer that was its own.
            self.answers[f"{request['method']} {request['url']}"] = ROWS[name]["response"]

    def always(self, name: str, key: str) -> None:
        """Play a recording to a request that is not the one it was recorded for."""
        self.answers[key] = ROWS[name]["response"]

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path_qs, body))
        answer = (
            self.answers.get(f"{request.method} {request.path_qs}")
            or self.answers.get(f"{request.method} {request.path}")
            or ROWS["22-application.one-unknown"]["response"]
        )
        text = answer["text"] or ""
        if answer["bodyBytes"] and answer["json"] is not None:
            text = json.dumps(answer["json"], ensure_ascii=False, separators=(",", ":"))
        kind = answer["headers"].get("Content-Type", "text/plain")
        headers = {"Content-Type": kind}
        return web.Response(status=answer["status"], body=text.encode(), headers=headers)


@pytest.fixture
def replay() -> Replay:
    return Replay()


@pytest.fixture
async def dokploy(replay: Replay, aiohttp_server: Any) -> AsyncIterator[Dokploy]:
    async with dokploy_of(replay, aiohttp_server) as client:
        yield client


@asynccontextmanager
async def dokploy_of(replay: Replay, aiohttp_server: Any) -> AsyncIterator[Dokploy]:
    site = web.Application()
    site.router.add_route("*", "/{path:.*}", replay.handle)
    server = await aiohttp_server(site)
    client = Dokploy(f"http://127.0.0.1:{server.port}", "any-key", read_retries=0)
    yield client
    await client.close()


def app_of(name: str) -> App:
    """The app that a recording asked about."""
    body = ROWS[name]["request"]["body"]
    if "composeId" in body:
        return App(body["composeId"], "x", "shop", kind=AppKind.COMPOSE)
    return App(body["applicationId"], "x", "shop")


GITHUB = GithubSource(
    owner="my-org",
    repository="mono",
    branch="main",
    provider_id="gh_1",
    watch_paths=("apps/web/**",),
    trigger=Trigger.PUSH,
)
GITLAB = GitlabSource(
    owner="my-group",
    repository="my-project",
    branch="main",
    provider_id="3fYPgpL9_y2t0T1_94pdp",
    project_id=12345,
    path="my-group/my-project",
    watch_paths=("src/**",),
)
GIT = GitSource(url="http://127.0.0.1:18090/demo.git", branch="main", watch_paths=("apps/web/**",))
BUILD = BuildType(
    build_type="dockerfile",
    dockerfile="./Dockerfile",
    docker_context_path="",
    docker_build_stage="",
)
ENVIRONMENT = Environment(
    env=SecretStr("NODE_ENV=production\nPORT=3000"),
    build_args=SecretStr("A=1"),
    build_secrets=SecretStr("S=2"),
)

Act = Callable[[Dokploy, App], Awaitable[object]]


def deploy(title: str, description: str) -> Act:
    return lambda dokploy, app: dokploy.deploy(app, title=title, description=description)


def redeploy(title: str, description: str) -> Act:
    return lambda dokploy, app: dokploy.redeploy(app, title=title, description=description)


def provider(settings: Any) -> Act:
    return lambda dokploy, app: dokploy.save_provider(app, settings)


# Recordings that were answered with a yes: ours sends the same, or says a little more.
ACCEPTED: dict[str, Act] = {
    "42-deploy": deploy("Deploy v2.1.0 [br-7f3a]", "corr=br-7f3a; by slack:U123"),
    "100-deploy-empty-title": deploy("", ""),
    "44-redeploy": redeploy("Rebuild [br-1111]", "corr=br-1111"),
    "52-cleanQueues": lambda dokploy, app: dokploy.drop_waiting(app),
    "53-killBuild": lambda dokploy, app: dokploy.kill_build(app),
    "72-clearDeployments": lambda dokploy, app: dokploy.clear_deployments(app),
    "73-disconnectGitProvider": lambda dokploy, app: dokploy.disconnect_provider(app),
    "24-saveGithubProvider": provider(GITHUB),
    "24-saveGithubProvider-tag": provider(
        GITHUB.model_copy(update={"trigger": Trigger.TAG, "watch_paths": ()})
    ),
    "25-saveGitlabProvider": provider(GITLAB),
    "26-saveGitProvider": provider(GIT),
    "27-saveDockerProvider-nulls": provider(DockerSource(image="nginx:alpine")),
    "28-saveBuildType": lambda dokploy, app: dokploy.save_build_type(app, BUILD),
    "29-saveEnvironment": lambda dokploy, app: dokploy.save_environment(app, ENVIRONMENT),
    "81-compose.deploy": deploy("compose [br-c1]", "corr=c1"),
    "82-compose.redeploy": redeploy("re", ""),
    "83-compose.cleanQueues": lambda dokploy, app: dokploy.drop_waiting(app),
    "83-compose.clearDeployments": lambda dokploy, app: dokploy.clear_deployments(app),
    "83-compose.disconnectGitProvider": lambda dokploy, app: dokploy.disconnect_provider(app),
    "83-compose.killBuild": lambda dokploy, app: dokploy.kill_build(app),
    "80-compose.update-git": provider(GIT.model_copy(update={"watch_paths": ("apps/**",)})),
}


async def test_what_was_accepted_is_accepted_and_asked_the_same_way(
    dokploy: Dokploy, replay: Replay
) -> None:
    for name, act in ACCEPTED.items():
        replay.asked.clear()
        replay.play(name)
        recorded = ROWS[name]["request"]

        await act(dokploy, app_of(name))

        ((method, path, sent),) = replay.asked
        assert (method, path) == (recorded["method"], recorded["url"]), name
        # It leaves out the trigger that a compose stack's own update may name.
        said = {key: value for key, value in recorded["body"].items() if key in sent}
        assert set(recorded["body"]) - set(sent) <= {"triggerType"}, name
        assert {key: sent[key] for key in said} == said, name


SHA = "b77b1ad92971bac954af3beb8f1a844954dab147"
BAD_BRANCH = GITHUB.model_copy(update={"branch": "feat ure;rm"})
BAD_BUILD = BUILD.model_copy(update={"build_type": "bazel"})
UNKNOWN = GITHUB.model_copy(update={"provider_id": "nope"})
REFUSED: dict[str, tuple[Act, int, str]] = {
    "41-deploy-unknown": (deploy("", ""), 404, "Application not found"),
    "44-redeploy-unknown": (redeploy("", ""), 404, "Application not found"),
    "83-compose.deploy-unknown": (deploy("", ""), 404, "Compose not found"),
    "52-cancelDeployment": (
        lambda dokploy, app: dokploy.cancel(app),
        400,
        "Deployment cancellation only available in cloud version",
    ),
    "83-compose.cancelDeployment": (
        lambda dokploy, app: dokploy.cancel(app),
        400,
        "Deployment cancellation only available in cloud version",
    ),
    "24-saveGithubProvider-bad-branch": (provider(BAD_BRANCH), 400, "branch: "),
    "28-saveBuildType-bad": (
        lambda dokploy, app: dokploy.save_build_type(app, BAD_BUILD),
        400,
        "buildType: ",
    ),
    "24-saveGithubProvider-unknown-githubId": (provider(UNKNOWN), 500, "no githubId 'nope'"),
}


async def test_what_was_refused_is_refused_in_words_fit_to_be_shown(
    dokploy: Dokploy, replay: Replay
) -> None:
    for name, (act, status, words) in REFUSED.items():
        replay.asked.clear()
        replay.play(name)

        with pytest.raises(Refused) as caught:
            await act(dokploy, app_of(name))

        assert (caught.value.status, words in caught.value.words) == (status, True), name
        assert [method for method, _, _ in replay.asked].count("POST") == 1, name
        for sql in ("Failed query", "update", "params", "$1"):
            assert sql not in str(caught.value), name
    for name in ("95-member-deploy-no-access", "96-member-access-saveGitProvider"):
        replay.play(name)
        path = ROWS[name]["request"]["url"].removeprefix("/api/")
        with pytest.raises(Forbidden, match=f"lacks a permission for {path}"):
            await (provider(GIT) if "save" in path else deploy("", ""))(dokploy, app_of(name))


async def test_all_apps_are_read_with_their_sources(dokploy: Dokploy, replay: Replay) -> None:
    replay.play(
        "85-project.all-final",
        "30-application.one-github",
        "30-application.one-git",
        "30-application.one-gitlab",
        "80-compose.one",
        "84-compose.one-github",
    )

    apps = {app.name: app for app in await dokploy.apps()}

    assert set(apps) == {"ghapp", "web", "glapp", "raw", "cgit"}  # the others answer 404 here
    assert apps["ghapp"].source == Source(SourceType.GITHUB, "my-org/mono", branch="main")
    assert apps["ghapp"].watch_paths == ("apps/web/**",)
    assert apps["glapp"].source == Source(
        SourceType.GITLAB, "my-group/my-project", "12345", branch="main"
    )
    assert apps["web"].source == Source(SourceType.GIT, url="127.0.0.1:18090/demo", branch="main")
    assert apps["raw"].kind is AppKind.COMPOSE
    assert apps["cgit"].source is None
    assert {app.label for app in apps.values()} == {f"shop/{name}" for name in apps}
    assert all(app.auto_deploy for app in apps.values())


async def test_both_listings_of_a_server_have_the_same_apps_at_the_same_places(
    dokploy: Dokploy, replay: Replay, aiohttp_server: Any
) -> None:
    replay.play("226-project.all")
    older = await dokploy.listing()

    replay.play("226-overview.services")
    async with dokploy_of(replay, aiohttp_server) as newer_client:
        newer = await newer_client.listing()

    def places(listed: list[Listed]) -> set[tuple[str | None, ...]]:
        return {(one.app.id, one.app.label, one.app.kind, path(one), one.signal) for one in listed}

    def path(one: Listed) -> str:
        return urlsplit(one.app.page or "").path

    assert places(newer) == places(older)
    assert len(newer) >= 20
    assert any(one.deployed_at for one in newer)
    assert not any(one.deployed_at for one in older)


async def test_the_history_is_read_with_times_and_commit(dokploy: Dokploy, replay: Replay) -> None:
    web_app = App("ZT6A95NobTiob085n0lpt", "web", "shop")
    replay.play("96-member-access-deployment.all", "71-deployment.all-retention")

    running, *rest = await dokploy.deployments(web_app)
    assert (running.title, running.status) == ("by member", Progress.RUNNING)
    assert running.finished_at is None
    assert [one.created_at for one in rest] == sorted(
        (one.created_at for one in rest), reverse=True
    )
    assert SHA in {one.commit for one in rest}

    docker = await dokploy.deployments(App("6nwoQtZn_kZRVuxezn9V1", "dkr", "shop"))
    assert docker[0].title == "d12"
    assert docker[0].finished_at is not None
    assert docker[0].finished_at > docker[0].created_at
    assert 10 <= len(docker) <= 11  # the newest one may not be counted yet

    replay.play("82-allByCompose-git")
    stack = App("tsT_5rCz7ZDdm27TJTb2E", "cgit", "shop", kind=AppKind.COMPOSE)
    (deployment,) = await dokploy.deployments(stack)
    assert deployment.commit == SHA
    assert deployment.title.startswith("feat: first commit (demo)\n")


def details() -> list[str]:
    """The recordings of a whole application or compose stack."""
    return [
        name
        for name, row in ROWS.items()
        if row["request"]["url"].startswith(("/api/application.one?", "/api/compose.one?"))
        and row["response"]["status"] == 200
    ]


async def test_no_secret_of_a_detailed_answer_passes_the_border(
    dokploy: Dokploy, replay: Replay
) -> None:
    """What `application.one` and `compose.one` say is kept only as far as it is used."""
    for name in details():
        answer = ROWS[name]["response"]["json"]
        kind = AppKind.COMPOSE if "composeId" in answer else AppKind.APPLICATION
        replay.play(name)

        saved = await dokploy.saved(App(answer[f"{kind.value}Id"], "x", "shop", kind=kind))

        shown = repr(saved)
        for secret in ("csec", "whsecret", "<private key>", "glat", "glrt", answer["refreshToken"]):
            assert secret not in shown, name
        for value in (answer["env"], answer.get("buildArgs"), answer.get("buildSecrets")):
            assert not value or value not in shown, name


# ── what runs, and going back to what ran ────────────────────────────────────

BUSY = App("SAHiiYpYuLBtIvDjW0kIT", "busy", "shop")
POINT = ROWS["262-rollback.rollback"]["request"]["body"]["rollbackId"]
MATCHING = "264-docker.getContainersByAppNameMatch"
NAMED = "262-application.one-after-rollback"


async def test_what_can_be_restored_is_read_of_the_list_without_secrets(
    dokploy: Dokploy, replay: Replay
) -> None:
    """`deployment.allByType` tells the same with the registry's password: it is never asked."""
    assert ROWS["261-deployment.allByType-with-rollback"]["response"]["json"][0]["rollback"]
    replay.play("261-deployment.all-with-rollbackId")

    found = await dokploy.deployments(BUSY)

    assert [one.restores for one in found][:3] == ["eQvxkj8t0QUgFkK_GRVDj", POINT, None]
    assert [path.partition("?")[0] for _, path, _ in replay.asked] == ["/api/deployment.all"]
    files = [*Path(backends.__path__[0]).rglob("*.py"), *Path(pipeline.__path__[0]).rglob("*.py")]
    assert len(files) > 20
    assert [one.name for one in files if "allByType" in one.read_text(encoding="utf-8")] == []


async def test_going_back_sends_the_point_alone_and_a_no_names_what_may_be_wrong(
    dokploy: Dokploy, replay: Replay
) -> None:
    """The server says the same few words for each cause."""
    replay.play("262-rollback.rollback", "262-deployment.all-after-rollback")

    await dokploy.roll_back(BUSY, POINT)
    await dokploy.deployments(BUSY)

    assert ROWS["262-rollback.rollback"]["response"]["bodyBytes"] == 0
    assert replay.asked[0] == ("POST", "/api/rollback.rollback", {"rollbackId": POINT})
    assert ROWS["262-rollback.rollback"]["request"]["body"] == replay.asked[0][2]
    for name in ("262-rollback.rollback-unknown", "262-rollback.rollback-member-no-access"):
        replay.play(name)
        with pytest.raises(Refused) as caught:
            await dokploy.roll_back(BUSY, ROWS[name]["request"]["body"]["rollbackId"])
        assert caught.value.status == 400
        assert caught.value.words.startswith("Error input: Rolling back; ")
        for cause in ("no longer has that version", "may not reach the app"):
            assert cause in caught.value.words


@pytest.mark.parametrize("row", [MATCHING, f"{MATCHING}-member"])
async def test_the_containers_are_the_app_s_own(dokploy: Dokploy, replay: Replay, row: str) -> None:
    """The server matches by prefix: another app's name may begin the same."""
    replay.play(NAMED, row)

    found = await dokploy.containers(BUSY)

    assert found == [
        Container("busy-bcjg0v.1.abcdefghijklmnopqrstuvwxy", "running", "Up 2 minutes"),
        Container("busy-bcjg0v.1.zyxwvutsrqponmlkjihgfedcb", "exited", "Exited (1) 3 minutes ago"),
    ]
    assert judge_containers(found, 300.0) == (
        None, "a container runs, and one has exited with code 1, 3 minutes ago since",
    )  # fmt: skip
    assert judge_containers(found, 60.0)[0] is False  # it has run since before the deployment


async def test_containers_are_asked_for_where_they_run_and_a_no_is_told(
    dokploy: Dokploy, replay: Replay
) -> None:
    there = ROWS[NAMED]["response"]["json"] | {"serverId": "srv_1"}
    url = ROWS[NAMED]["request"]["url"]
    replay.answers[f"GET {url}"] = ROWS[NAMED]["response"] | {"json": there}
    replay.always(MATCHING, "GET /api/docker.getContainersByAppNameMatch")
    assert await dokploy.containers(BUSY)
    assert replay.asked[-1][1].endswith("?appName=busy-bcjg0v&serverId=srv_1")

    for refused, status in (("264-docker.getContainers-member", 401), ("41-deploy-GET", 404)):
        replay.always(refused, "GET /api/docker.getContainersByAppNameMatch")
        assert ROWS[refused]["response"]["status"] == status
        assert await dokploy.containers(BUSY) is None
    replay.always(f"{MATCHING}-bad-name", "GET /api/docker.getContainersByAppNameMatch")
    with pytest.raises(Refused, match="appName: Invalid app name"):
        await dokploy.containers(BUSY)


async def test_what_an_app_printed_is_read_where_it_is_text(
    dokploy: Dokploy, replay: Replay
) -> None:
    """The document calls it an object; every server that was recorded sends text."""
    replay.always("264-application.readLogs-no-container", "GET /api/application.readLogs")
    assert await dokploy.output(BUSY, 20) == ""
    assert len(replay.asked) == 1

    recorded = ROWS["261-readLogs-rollback"]["response"]
    for said, printed in (
        ("listening\n", "listening\n"),
        ({}, ""),
        ({"logs": "x"}, ""),
        (["x"], ""),
    ):
        replay.answers["GET /api/application.readLogs"] = recorded | {"json": said}
        assert await dokploy.output(BUSY, 20) == printed, said
