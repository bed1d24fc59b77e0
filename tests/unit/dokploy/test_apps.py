"""Apps, listed and read together or one by one, and what can be picked for them."""

import asyncio
from typing import Any

import httpx
import pytest

from bridge.backends.dokploy.apps import BATCH
from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import SourceType, Trigger
from bridge.core.errors import Unreachable
from bridge.ports.backends import GitAccount, GitRepository
from tests.fakes.dokploy import CountingDokploy
from tests.unit.dokploy.conftest import Make, Table, ok, trpc


def project(*apps: str) -> dict[str, Any]:
    listed = [{"applicationId": id_, "name": id_, "applicationStatus": "idle"} for id_ in apps]
    environment = {"name": "production", "isDefault": True, "applications": listed}
    return {"projectId": "p", "name": "shop", "environments": [environment]}


def github_app(request: httpx.Request) -> httpx.Response:
    return ok(
        {
            "applicationId": request.url.params["applicationId"],
            "sourceType": "github",
            "owner": "o",
            "repository": "r",
            "branch": "main",
            "triggerType": "tag",
            "autoDeploy": None,
            "watchPaths": ["a/**"],
            "env": "TOKEN=abc",
            "refreshToken": "abc",
            "github": {"githubPrivateKey": "abc", "githubWebhookSecret": "abc"},
        }
    )


def service(id_: str, environment: str, name: str) -> dict[str, Any]:
    where = {"projectId": "p", "projectName": "shop", "environmentId": environment}
    return {"id": id_, "name": id_, "type": "application", **where, "environmentName": name}


async def test_an_environment_that_was_renamed_production_is_not_the_default_one(
    dokploy, table
) -> None:
    table.replies["overview.services"] = ok(
        [service("web", "e1", "production"), service("api", "e2", "production")]
    )
    environments = [
        {"environmentId": "e1", "name": "production", "isDefault": True},
        {"environmentId": "e2", "name": "production", "isDefault": False},
    ]
    table.replies["project.all"] = ok(
        [{"projectId": "p", "name": "shop", "environments": environments}]
    )

    labels = [one.app.label for one in await dokploy.listing()]

    assert labels == ["shop/web", "shop/production/api"]


async def test_a_database_is_no_app(dokploy, table) -> None:
    table.replies["overview.services"] = ok(
        [service("db", "e1", "production") | {"type": kind} for kind in ("postgres", "redis")]
    )
    table.replies["project.all"] = ok([])

    assert await dokploy.listing() == []


@pytest.mark.parametrize("kind", ["git", "gitlab", "gitea", "bitbucket", "docker"])
async def test_a_stored_trigger_counts_for_github_alone(dokploy, table, kind: str) -> None:
    table.replies["project.all"] = ok([project("a")])
    table.replies["application.one"] = ok({"sourceType": kind, "triggerType": "tag"})

    (app,) = await dokploy.apps()

    assert app.trigger is Trigger.PUSH


@pytest.mark.parametrize(
    "reply",
    [
        httpx.ConnectError("refused"),
        httpx.Response(404, text="404 page not found"),
        trpc(401, "UNAUTHORIZED", "UNAUTHORIZED"),
    ],
)
async def test_half_a_list_is_never_given_as_the_whole(
    dokploy: Dokploy, table: Table, reply: httpx.Response | Exception
) -> None:
    def one(request: httpx.Request) -> httpx.Response:
        if request.url.params["applicationId"] != "b":
            return github_app(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    table.replies["project.all"] = ok([project("a", "b", "c")])
    table.replies["application.one"] = one

    with pytest.raises(Unreachable):
        await dokploy.apps()


async def test_no_more_apps_are_read_at_once_than_allowed(build: Make) -> None:
    at_once = most = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal at_once, most
        if request.url.path.endswith("project.all"):
            return ok([project(*(f"a{n}" for n in range(20)))])
        if "/trpc/" in request.url.path or request.url.path.endswith("overview.services"):
            return httpx.Response(404, json={"message": "Not found", "code": "NOT_FOUND"})
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0)
        at_once -= 1
        return github_app(request)

    client = build(transport=httpx.MockTransport(answer), concurrency=3)

    assert len(await client.apps()) == 20
    assert most == 3


# ── pickers ──────────────────────────────────────────────────────────────────


GITHUB = GitAccount("gh_1", "gh-app", SourceType.GITHUB)
GITLAB = GitAccount("gl_1", "gl", SourceType.GITLAB)
GITEA = GitAccount("gt_1", "grp-gitea", SourceType.GITEA)
"""As recorded-2.jsonl, group 252."""


async def test_git_accounts_of_all_hosts_are_listed(dokploy, table) -> None:
    table.replies["github.githubProviders"] = ok(
        [{"githubId": "gh_1", "gitProvider": {"name": "gh-app"}, "githubPrivateKey": "abc"}]
    )
    table.replies["gitlab.gitlabProviders"] = ok(
        [{"gitlabId": "gl_1", "gitProvider": {"name": "gl"}, "accessToken": "abc"}]
    )

    table.replies["gitea.giteaProviders"] = ok(
        [{"giteaId": "gt_1", "gitProvider": {"name": "grp-gitea"}, "accessToken": "abc"}]
    )

    assert await dokploy.pickers.git_providers() == [GITHUB, GITLAB, GITEA]


@pytest.mark.parametrize(
    ("account", "paths", "listed", "repository", "keys"),
    [
        (
            GITHUB,
            ("github.getGithubRepositories", "github.getGithubBranches"),
            {"id": 1, "name": "mono", "owner": {"login": "my-org"}, "private": True},
            GitRepository(1, "my-org", "mono", "my-org/mono"),
            ({"githubId": "gh_1"}, {"owner": "my-org", "repo": "mono"}),
        ),
        (
            GITLAB,
            ("gitlab.getGitlabRepositories", "gitlab.getGitlabBranches"),
            {"id": 7, "name": "My P", "url": "g/sub/my-p", "owner": {"username": "sub"}},
            GitRepository(7, "sub", "My P", "g/sub/my-p"),
            ({"gitlabId": "gl_1"}, {"owner": "sub", "repo": "My P", "id": "7"}),
        ),
        (
            GITEA,
            ("gitea.getGiteaRepositories", "gitea.getGiteaBranches"),
            {"id": 5, "name": "web", "url": "grp/web", "owner": {"username": "grp"}},
            GitRepository(5, "grp", "web", "grp/web"),
            ({"giteaId": "gt_1"}, {"owner": "grp", "repositoryName": "web"}),
        ),
    ],
)
async def test_repositories_and_branches_of_each_host(
    dokploy, table, account, paths, listed, repository, keys
) -> None:
    table.replies |= {paths[0]: ok([listed]), paths[1]: ok([{"name": "main", "id": "main"}])}

    assert await dokploy.pickers.repositories(account) == [repository]
    assert table.asked == (paths[0], keys[0])
    table.requests.clear()
    assert await dokploy.pickers.branches(account, repository) == ["main"]
    assert table.asked == (paths[1], keys[0] | keys[1])


# ── listed cheaply, many read by one request ───────────────────────────────────


@pytest.fixture
def server() -> CountingDokploy:
    server = CountingDokploy()
    server.add(*(f"app-{n}" for n in range(100)))
    return server


async def test_the_listing_tells_of_a_saved_source_and_of_a_deployment_by_whomever(
    server: CountingDokploy,
) -> None:
    client = server.client()
    before = {one.app.id: one for one in await client.listing()}

    server.deployed("app-7", "2026-11-26T20:57:51.771Z")

    after = {one.app.id: one for one in await client.listing()}
    assert before["app-7"].deployed_at is None
    assert after["app-7"].deployed_at == 1795726671.771
    assert after["app-7"].signal == before["app-7"].signal
    assert [id_ for id_ in after if after[id_] != before[id_]] == ["app-7"]
    server.save_provider("app-8", repository="other")
    saved = {one.app.id: one.signal for one in await client.listing()}
    assert [id_ for id_ in saved if saved[id_] != after[id_].signal] == ["app-8"]
    await client.close()


async def test_an_app_of_a_batch_that_went_or_is_forbidden_is_left_out(
    server: CountingDokploy,
) -> None:
    client = server.client()
    listed = [one.app for one in await client.listing()]
    del server.apps["app-1"]
    server.forbidden.add("app-3")

    found = await client.read_apps(listed[:5])

    assert [app.id for app in found] == ["app-0", "app-2", "app-4"]
    assert client.apps_per_request == BATCH
    await client.close()


async def test_a_batch_of_apps_that_have_all_gone_says_nothing_against_batches(
    server: CountingDokploy,
) -> None:
    client = server.client()
    listed = [one.app for one in await client.listing()]
    server.apps.clear()

    assert await client.read_apps(listed) == []
    assert client.apps_per_request == BATCH
    await client.close()


@pytest.mark.parametrize(
    "reply", [httpx.Response(401, json={"message": "Unauthorized"}), httpx.ConnectError("refused")]
)
async def test_a_server_in_trouble_does_not_look_as_if_apps_had_gone(
    server: CountingDokploy, reply: httpx.Response | Exception
) -> None:
    """While its database is away each question of a batch is refused like a lack of rights."""
    client = server.client()
    listed = [one.app for one in await client.listing()]

    async def in_trouble(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/api/trpc/"):
            said = {"message": "UNAUTHORIZED", "data": {"code": "UNAUTHORIZED", "httpStatus": 401}}
            return httpx.Response(401, json=[{"error": {"json": said}}] * BATCH)
        if isinstance(reply, Exception):
            raise reply
        return reply

    server.answer = in_trouble  # type: ignore[method-assign]
    client = server.client()

    with pytest.raises(Unreachable):
        await client.read_apps(listed)
    await client.close()
