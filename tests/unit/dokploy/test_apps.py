"""Apps, their sources and saved settings, and what can be picked for them."""

import asyncio
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App, AppKind, Source, SourceType, Trigger
from bridge.core.errors import Unreachable
from bridge.ports.backends import GitAccount, GitRepository
from tests.unit.dokploy.conftest import Make, Table, ok, trpc


def project(*apps: str, stacks: tuple[str, ...] = ()) -> dict[str, Any]:
    listed = [{"applicationId": id_, "name": id_, "applicationStatus": "idle"} for id_ in apps]
    compose = [{"composeId": id_, "name": id_, "composeStatus": "idle"} for id_ in stacks]
    environment = {"name": "production", "isDefault": True, "applications": listed}
    return {"projectId": "p", "name": "shop", "environments": [environment | {"compose": compose}]}


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


async def test_apps_are_listed_in_the_servers_order_with_their_sources(dokploy, table) -> None:
    table.replies["project.all"] = ok([project("a", "b", stacks=("c",))])
    table.replies["application.one"] = github_app
    table.replies["compose.one"] = ok({"sourceType": "raw", "autoDeploy": True})

    a, b, c = await dokploy.apps()

    source = Source(SourceType.GITHUB, "o/r", branch="main")
    assert a == App("a", "a", "shop", source=source, trigger=Trigger.TAG, watch_paths=("a/**",))
    assert b.id == "b"
    assert c == App(
        "c", "c", "shop", kind=AppKind.COMPOSE, source=Source(SourceType.RAW), auto_deploy=True
    )
    assert "abc" not in repr([a, b, c])


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


async def test_a_service_in_an_environment_that_the_key_may_not_see_is_listed_by_its_name(
    dokploy, table
) -> None:
    table.replies["overview.services"] = ok(
        [service("web", "e1", "production"), service("api", "e2", "staging")]
    )
    table.replies["project.all"] = ok([])

    labels = [one.app.label for one in await dokploy.listing()]

    assert labels == ["shop/web", "shop/staging/api"]


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


async def test_apps_bear_the_name_of_their_backend(build: Make, table) -> None:
    table.replies["project.all"] = ok([project("a")])
    table.replies["application.one"] = github_app

    assert [app.backend for app in await build(name="prod").apps()] == ["prod"]


@pytest.mark.parametrize(
    "reply",
    [
        trpc(404, "Application not found", "NOT_FOUND"),
        trpc(401, "You don't have access to this service", "UNAUTHORIZED"),
    ],
)
async def test_an_app_that_went_or_is_forbidden_is_left_out(dokploy, table, reply) -> None:
    def one(request: httpx.Request) -> httpx.Response:
        return reply if request.url.params["applicationId"] == "b" else github_app(request)

    table.replies["project.all"] = ok([project("a", "b", "c")])
    table.replies["application.one"] = one

    assert [app.id for app in await dokploy.apps()] == ["a", "c"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (httpx.ConnectError("refused"), Unreachable),
        (httpx.Response(502, text="bad gateway"), Unreachable),
        (httpx.Response(404, text="404 page not found"), Unreachable),
        (httpx.Response(401, json={"message": "Unauthorized"}), Unreachable),
        (trpc(401, "UNAUTHORIZED", "UNAUTHORIZED"), Unreachable),
    ],
)
async def test_half_a_list_is_never_given_as_the_whole(
    dokploy: Dokploy, table: Table, reply: httpx.Response | Exception, error: type[Exception]
) -> None:
    def one(request: httpx.Request) -> httpx.Response:
        if request.url.params["applicationId"] != "b":
            return github_app(request)
        if isinstance(reply, Exception):
            raise reply
        return reply

    table.replies["project.all"] = ok([project("a", "b", "c")])
    table.replies["application.one"] = one

    with pytest.raises(error):
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


async def test_what_is_saved_can_be_read_and_keeps_its_secrets_sealed(dokploy, table, web) -> None:
    table.replies["application.one"] = ok(
        {"sourceType": "docker", "dockerImage": "x", "buildType": "static", "env": "TOKEN=abc"}
    )

    saved = await dokploy.saved(web)

    assert table.asked == ("application.one", {"applicationId": "app_def456"})
    assert saved.environment.env == SecretStr("TOKEN=abc")
    assert "abc" not in repr(saved)


# ── pickers ──────────────────────────────────────────────────────────────────


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

    found = await dokploy.pickers.git_providers()

    assert found == [
        GitAccount("gh_1", "gh-app", SourceType.GITHUB),
        GitAccount("gl_1", "gl", SourceType.GITLAB),
        GitAccount("gt_1", "grp-gitea", SourceType.GITEA),
    ]


async def test_repositories_and_branches_of_gitea(dokploy, table) -> None:
    """As recorded-2.jsonl, group 252."""
    account = GitAccount("gt_1", "grp-gitea", SourceType.GITEA)
    table.replies["gitea.getGiteaRepositories"] = ok(
        [{"id": 5, "name": "web", "url": "grp/web", "owner": {"username": "grp"}}]
    )
    table.replies["gitea.getGiteaBranches"] = ok([{"id": "main", "name": "main"}])

    (repository,) = await dokploy.pickers.repositories(account)
    assert repository == GitRepository(5, "grp", "web", "grp/web")
    assert table.asked == ("gitea.getGiteaRepositories", {"giteaId": "gt_1"})

    table.requests.clear()
    assert await dokploy.pickers.branches(account, repository) == ["main"]
    asked = {"giteaId": "gt_1", "owner": "grp", "repositoryName": "web"}
    assert table.asked == ("gitea.getGiteaBranches", asked)


async def test_repositories_and_branches_of_github(dokploy, table) -> None:
    account = GitAccount("gh_1", "gh-app", SourceType.GITHUB)
    table.replies["github.getGithubRepositories"] = ok(
        [{"id": 1, "name": "mono", "owner": {"login": "my-org"}, "private": True}]
    )
    table.replies["github.getGithubBranches"] = ok([{"name": "main", "commit": {"sha": "x"}}])

    (repository,) = await dokploy.pickers.repositories(account)
    assert repository == GitRepository(1, "my-org", "mono", "my-org/mono")
    assert table.asked == ("github.getGithubRepositories", {"githubId": "gh_1"})
    table.requests.clear()

    assert await dokploy.pickers.branches(account, repository) == ["main"]
    query = {"owner": "my-org", "repo": "mono", "githubId": "gh_1"}
    assert table.asked == ("github.getGithubBranches", query)


async def test_repositories_and_branches_of_gitlab(dokploy, table) -> None:
    account = GitAccount("gl_1", "gl", SourceType.GITLAB)
    table.replies["gitlab.getGitlabRepositories"] = ok(
        [{"id": 7, "name": "My P", "url": "g/sub/my-p", "owner": {"username": "sub"}}]
    )
    table.replies["gitlab.getGitlabBranches"] = ok([{"id": "1", "name": "main"}])

    (repository,) = await dokploy.pickers.repositories(account)
    assert repository == GitRepository(7, "sub", "My P", "g/sub/my-p")
    assert table.asked == ("gitlab.getGitlabRepositories", {"gitlabId": "gl_1"})
    table.requests.clear()

    assert await dokploy.pickers.branches(account, repository) == ["main"]
    query = {"owner": "sub", "repo": "My P", "gitlabId": "gl_1", "id": "7"}
    assert table.asked == ("gitlab.getGitlabBranches", query)


async def test_a_git_host_that_fails_dokploy_is_told_in_its_words(dokploy, table) -> None:
    table.replies["github.getGithubRepositories"] = trpc(
        500, "secretOrPrivateKey must be an asymmetric key", "INTERNAL_SERVER_ERROR"
    )

    with pytest.raises(Unreachable, match="asymmetric key"):
        await dokploy.pickers.repositories(GitAccount("gh_1", "x", SourceType.GITHUB))
