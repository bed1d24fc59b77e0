"""Every method asks exactly what the document says, and reads each answer that there is."""

import asyncio
import json
import logging
import ssl
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends import BACKENDS
from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.backends.dokploy.http import Limits
from bridge.backends.dokploy.key_check import PATH as WITNESS
from bridge.backends.dokploy.key_check import DatabaseAway
from bridge.core.apps import App, AppKind, Source, SourceType, Trigger
from bridge.core.configuration.configuration import BuildType, Environment, GithubSource
from bridge.core.errors import KeyRefused, Refused, Rejected, Unanswered, Unreachable
from bridge.ports.backends import BackendDeployment, Configures, GitAccount, GitRepository, Progress
from bridge.ports.providers import BackendServer
from tests.unit.dokploy.conftest import Table

KEY = "bridge_s3cret-key"
OLD = BackendDeployment("d1", "t", "", Progress.ERROR, 0.0)
Make = Callable[..., Dokploy]


def ok(body: Any = True) -> httpx.Response:
    return httpx.Response(200, json=body)


def empty() -> httpx.Response:
    return httpx.Response(200, headers={"Content-Type": "application/json"})


def trpc(status: int, message: str, code: str, path: str = "x.y") -> httpx.Response:
    data = {"code": code, "httpStatus": status, "path": path, "zodError": None}
    return httpx.Response(status, json={"message": message, "code": code, "data": data})


# ── The request ──────────────────────────────────────────────────────────────


async def test_the_key_goes_into_its_own_header(dokploy, table, web) -> None:
    table.replies["application.deploy"] = empty()

    await dokploy.deploy(web, title="Deploy version 2.1.0", description="corr=1")

    (request,) = table.requests
    assert request.method == "POST"
    assert str(request.url) == "https://dokploy.test/api/application.deploy"
    assert request.headers["x-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.headers["content-type"] == "application/json"
    assert table.sent == {
        "applicationId": "app_def456",
        "title": "Deploy version 2.1.0",
        "description": "corr=1",
    }


async def test_bearer_is_a_setting(build: Make, table, web) -> None:
    table.replies["application.deploy"] = ok({"success": True})

    await build(auth="bearer").deploy(web, title="", description="")

    assert table.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in table.requests[0].headers


@pytest.mark.parametrize(
    "url",
    [
        "https://h.test/base",
        "https://h.test/base/",
        "https://h.test/base/api",
        " https://h.test/base/api/ ",
    ],
)
async def test_the_url_may_have_a_path_and_end_in_api(build: Make, table, url: str) -> None:
    table.replies["/base/api/settings.getDokployVersion"] = ok("v0.30.2")

    assert await build(url=url).version() == "v0.30.2"
    assert str(table.requests[0].url) == "https://h.test/base/api/settings.getDokployVersion"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "dokploy.test",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h?x=1",
        "http://h:x",
        "http://xn--",
        "http://h\0",
    ],
)
def test_a_url_that_can_not_be_one_is_rejected(url: str) -> None:
    with pytest.raises(Rejected, match="dokploy: the url"):
        Dokploy(url, KEY)


@pytest.mark.parametrize("key", ["", " ", "naïve", "a\nb"])
def test_a_key_that_can_not_be_one_is_rejected_without_repeating_it(key: str) -> None:
    with pytest.raises(Rejected) as caught:
        Dokploy("https://h.test", key)
    assert not key.strip() or key not in str(caught.value)


# ── Every mutation, and each form of its answer ──────────────────────────────

GITHUB = GithubSource(
    owner="o", repository="r", branch="main", provider_id="gh_1", trigger=Trigger.PUSH
)
Act = Callable[[Dokploy, App], Awaitable[object]]
MUTATIONS: dict[str, Act] = {
    "deploy": lambda dokploy, app: dokploy.deploy(app, title="t", description="d"),
    "redeploy": lambda dokploy, app: dokploy.redeploy(app, title="t", description="d"),
    "cleanQueues": lambda dokploy, app: dokploy.drop_waiting(app),
    "cancelDeployment": lambda dokploy, app: dokploy.cancel(app),
    "killBuild": lambda dokploy, app: dokploy.kill_build(app),
    "disconnectGitProvider": lambda dokploy, app: dokploy.disconnect_provider(app),
    "clearDeployments": lambda dokploy, app: dokploy.clear_deployments(app),
}
FOR_APPLICATIONS: dict[str, Act] = MUTATIONS | {
    "saveGithubProvider": lambda dokploy, app: dokploy.save_provider(app, GITHUB),
    "saveBuildType": lambda dokploy, app: dokploy.save_build_type(
        app, BuildType(build_type="static")
    ),
    "saveEnvironment": lambda dokploy, app: dokploy.save_environment(
        app, Environment(env=SecretStr("A=1"))
    ),
}


@pytest.mark.parametrize("reply", [empty(), ok(), ok({"success": True})], ids=["0", "true", "{}"])
@pytest.mark.parametrize("name", FOR_APPLICATIONS)
async def test_every_form_of_yes_is_accepted(dokploy, table, web, name, reply) -> None:
    table.replies[f"application.{name}"] = reply

    await FOR_APPLICATIONS[name](dokploy, web)

    assert table.paths == [f"application.{name}"]
    assert table.sent["applicationId"] == "app_def456"


@pytest.mark.parametrize("name", FOR_APPLICATIONS)
async def test_every_form_of_no_is_told_and_sent_once(dokploy, table, web, name) -> None:
    act = FOR_APPLICATIONS[name]
    path = f"application.{name}"

    table.replies[path] = ok({"success": False, "message": "No"})
    with pytest.raises(Refused, match="dokploy: No"):
        await act(dokploy, web)
    table.replies[path] = trpc(404, "Application not found", "NOT_FOUND", path)
    with pytest.raises(Refused, match="Application not found"):
        await act(dokploy, web)
    table.replies[path] = trpc(401, "unauthorized to access", "UNAUTHORIZED", path)
    with pytest.raises(Forbidden, match=path):
        await act(dokploy, web)
    table.replies[path] = httpx.Response(401, json={"message": "Unauthorized"})
    with pytest.raises(Unreachable, match="401"):
        await act(dokploy, web)
    table.replies[path] = httpx.Response(502, text="<html>Bad gateway</html>")
    with pytest.raises(Unanswered):
        await act(dokploy, web)
    table.replies[path] = httpx.ReadTimeout("")
    with pytest.raises(Unanswered):
        await act(dokploy, web)
    table.replies[path] = httpx.ConnectError("refused")
    with pytest.raises(Unreachable):
        await act(dokploy, web)

    assert [asked for asked in table.paths if asked != WITNESS] == [path] * 7
    assert table.pauses == []


@pytest.mark.parametrize("name", MUTATIONS)
async def test_a_stack_has_the_same_with_its_own_id(dokploy, table, stack, name) -> None:
    table.replies[f"compose.{name}"] = ok({"success": True, "message": "Deployment queued"})

    await MUTATIONS[name](dokploy, stack)

    assert table.paths == [f"compose.{name}"]
    assert table.sent["composeId"] == "stack_1"
    assert "applicationId" not in table.sent


async def test_a_stacks_settings_go_through_its_update(dokploy, table, stack) -> None:
    table.replies["compose.update"] = ok({"composeId": "stack_1", "env": "TOKEN=abc"})

    await dokploy.save_provider(stack, GITHUB)
    await dokploy.save_environment(stack, Environment(env=SecretStr("A=1")))

    assert table.paths == ["compose.update"] * 2


async def test_cancel_gives_the_servers_words(dokploy, table, web) -> None:
    path = "application.cancelDeployment"

    table.replies[path] = ok({"success": True, "message": "Deployment cancellation requested"})
    assert await dokploy.cancel(web) == "Deployment cancellation requested"
    table.replies[path] = empty()
    assert await dokploy.cancel(web)
    table.replies[path] = trpc(
        400, "Deployment cancellation only available in cloud version", "BAD_REQUEST", path
    )
    with pytest.raises(Refused, match="only available in cloud version"):
        await dokploy.cancel(web)


# ── Apps ─────────────────────────────────────────────────────────────────────


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
        if "/trpc/" in request.url.path:
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


# ── Following ────────────────────────────────────────────────────────────────


async def test_deployments_are_asked_by_kind(dokploy, table, web, stack) -> None:
    table.replies["deployment.all"] = ok([])
    table.replies["deployment.allByCompose"] = ok([])

    assert await dokploy.deployments(web) == []
    assert table.asked == ("deployment.all", {"applicationId": "app_def456"})
    table.requests.clear()
    assert await dokploy.deployments(stack) == []
    assert table.asked == ("deployment.allByCompose", {"composeId": "stack_1"})


async def test_the_queue_is_read(dokploy, table) -> None:
    data = {"applicationId": "a1", "titleLog": "t", "descriptionLog": "d"}
    table.replies["deployment.queueList"] = ok([{"id": "j", "data": data, "state": "active"}])

    (job,) = await dokploy.queue() or []

    assert (job.app, job.title, job.description, job.active) == ("a1", "t", "d", True)
    assert table.asked == ("deployment.queueList", {})


@pytest.mark.parametrize(("lines", "tail"), [(50, "50"), (0, "1"), (99_999, "10000")])
async def test_the_log_tail_is_asked_within_the_servers_bounds(
    dokploy, table, lines: int, tail: str
) -> None:
    table.replies["deployment.readLogs"] = ok("a\r\nb ✅\n")

    assert await dokploy.log_tail(OLD, lines) == "a\r\nb ✅\n"
    assert table.asked == ("deployment.readLogs", {"deploymentId": "d1", "tail": tail})


async def test_an_older_server_is_told_from_a_silent_one(dokploy, table) -> None:
    assert await dokploy.queue() is None
    assert await dokploy.log_tail(OLD, 10) == ""
    assert await dokploy.version() is None
    assert len(table.requests) == 3

    table.replies["deployment.queueList"] = httpx.Response(404, text="404 page not found\n")
    with pytest.raises(Unreachable):
        await dokploy.queue()


async def test_the_version_is_none_for_a_key_that_may_not_ask(dokploy, table) -> None:
    table.replies["settings.getDokployVersion"] = ok("v0.30.2")
    assert await dokploy.version() == "v0.30.2"

    table.replies["settings.getDokployVersion"] = trpc(401, "no", "UNAUTHORIZED")
    assert await dokploy.version() is None


@pytest.mark.parametrize(
    ("reply", "healthy"),
    [
        (ok({"ok": True}), True),
        (ok({"ok": False}), False),
        (trpc(404, "Not found", "NOT_FOUND"), True),
        (httpx.Response(302, headers={"Location": "https://login.test"}), False),
        (httpx.Response(200, text="<html>Log in</html>"), False),
        (httpx.Response(502, text="bad gateway"), False),
        (httpx.ConnectError("refused"), False),
        (httpx.ReadTimeout("slow"), False),
    ],
)
async def test_health_is_asked_once_without_the_key(dokploy, table, reply, healthy) -> None:
    table.replies["health"] = reply

    assert await dokploy.healthy() is healthy
    assert table.asked == ("health", {})
    assert "x-api-key" not in table.requests[0].headers


# ── Reads are repeated a little, mutations never ─────────────────────────────


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("reset"),
        httpx.Response(502, text="bad"),
        httpx.Response(200, text='[{"depl'),
        httpx.Response(200, json={"not": "a list"}),
    ],
)
async def test_a_read_is_tried_again_with_growing_pauses(dokploy, table, web, trouble) -> None:
    table.replies["deployment.all"] = [trouble, trouble, ok([])]

    assert await dokploy.deployments(web) == []
    assert len(table.requests) == 3
    assert table.pauses == pytest.approx([0.1, 0.3])


async def test_a_read_that_had_its_time_is_not_tried_again(dokploy, table, web) -> None:
    """An answer takes 6 to 25 s while the database is away: three of them are a minute."""
    table.replies["deployment.all"] = httpx.ReadTimeout("slow")

    with pytest.raises(Unreachable, match="did not answer in time"):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all", WITNESS]

    table.replies[WITNESS] = GONE
    table.now += 60
    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)


async def test_the_number_of_retries_is_a_setting(build: Make, table, web) -> None:
    table.replies["deployment.all"] = httpx.ConnectError("refused")

    with pytest.raises(Unreachable, match="ConnectError: refused"):
        await build(read_retries=0).deployments(web)
    assert len(table.requests) == 1


async def test_a_server_that_asks_for_patience_is_not_pressed(dokploy, table, web) -> None:
    table.replies["deployment.all"] = httpx.Response(429, headers={"Retry-After": "9"})

    with pytest.raises(Unreachable) as caught:
        await dokploy.deployments(web)
    assert caught.value.retry_after == 9
    assert len(table.requests) == 1


async def test_a_refusal_is_not_tried_again(dokploy, table, web) -> None:
    table.replies["deployment.all"] = trpc(400, "Input validation failed", "BAD_REQUEST")

    with pytest.raises(Refused):
        await dokploy.deployments(web)
    assert len(table.requests) == 1


# ── Pickers ──────────────────────────────────────────────────────────────────


async def test_git_accounts_of_both_hosts_are_listed(dokploy, table) -> None:
    table.replies["github.githubProviders"] = ok(
        [{"githubId": "gh_1", "gitProvider": {"name": "gh-app"}, "githubPrivateKey": "abc"}]
    )
    table.replies["gitlab.gitlabProviders"] = ok(
        [{"gitlabId": "gl_1", "gitProvider": {"name": "gl"}, "accessToken": "abc"}]
    )

    found = await dokploy.pickers.git_providers()

    assert found == [
        GitAccount("gh_1", "gh-app", SourceType.GITHUB),
        GitAccount("gl_1", "gl", SourceType.GITLAB),
    ]


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


# ── Secrets, limits and the end ──────────────────────────────────────────────


async def test_secrets_stay_out_of_reprs_tracebacks_and_logs(dokploy, table, web, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(dokploy), repr(vars(dokploy)), repr(vars(dokploy._http))]
    table.replies["application.deploy"] = httpx.Response(400, json={"message": f"bad {KEY}"})
    table.replies["deployment.all"] = ok([{"deploymentId": 1, "title": "TOKEN=abc"}])
    table.replies["project.all"] = httpx.ReadError("reset")
    for act in (
        dokploy.deploy(web, title="", description=""),
        dokploy.deployments(web),
        dokploy.apps(),
    ):
        with pytest.raises((Refused, Unreachable)) as caught:
            await act
        shown += traceback.format_exception(caught.value)
    shown += [json.dumps(record.__dict__, default=repr) for record in caplog.records]

    assert KEY not in " ".join(shown)
    assert "TOKEN=abc" not in "".join(shown)


async def test_an_answer_beyond_the_limit_is_not_read_on(build: Make, table, web) -> None:
    client = build(max_answer_bytes=1000, read_retries=0)
    table.replies["deployment.all"] = httpx.Response(200, content=b"[" + b" " * 5000 + b"]")
    table.replies["application.deploy"] = httpx.Response(200, content=b" " * 5000)

    with pytest.raises(Unreachable, match="larger than 1000 bytes"):
        await client.deployments(web)
    with pytest.raises(Unanswered, match="larger than 1000 bytes"):
        await client.deploy(web, title="", description="")


async def test_a_redirect_is_not_followed(dokploy, table, web) -> None:
    table.replies["application.deploy"] = httpx.Response(
        307, headers={"Location": "https://elsewhere.test/api/application.deploy"}
    )

    with pytest.raises(Refused, match=r"https://elsewhere\.test"):
        await dokploy.deploy(web, title="", description="")
    assert len(table.requests) == 1


UNAUTHORIZED = httpx.Response(401, json={"message": "Unauthorized"})
WELL = ok({"result": {"data": {"json": {"status": "ok"}}}})
GONE = httpx.Response(500, json={"error": {"json": {"message": "Failed query: SELECT 1"}}})


async def test_the_witness_is_asked_without_the_key_and_only_when_one_is_refused(
    dokploy, table, web
) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = GONE

    await dokploy.deployments(web)
    assert table.paths == ["deployment.all"]

    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all"] * 2 + [WITNESS]
    assert "x-api-key" not in table.requests[-1].headers


async def test_a_key_that_worked_is_refused_once_that_has_lasted(dokploy, table, web) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = WELL

    await dokploy.deployments(web)
    with pytest.raises(Unreachable, match="though its database is well") as caught:
        await dokploy.deployments(web)
    assert not isinstance(caught.value, KeyRefused)

    table.now += 31
    with pytest.raises(KeyRefused, match="rateLimitEnabled: false"):
        await dokploy.deployments(web)


async def test_a_no_of_dokploys_own_shows_that_the_key_works(dokploy, table, web) -> None:
    table.replies["application.deploy"] = [
        trpc(404, "Application not found", "NOT_FOUND"),
        UNAUTHORIZED,
    ]
    table.replies[WITNESS] = WELL

    with pytest.raises(Refused):
        await dokploy.deploy(web, title="", description="")
    for _ in range(2):  # one that never worked is refused by now
        with pytest.raises(Unreachable, match="that may pass"):
            await dokploy.deploy(web, title="", description="")


async def test_a_wrong_key_is_told_by_the_very_first_read(dokploy, table, web) -> None:
    """A read is tried again, so it is refused between two words that the database is well."""
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = WELL

    with pytest.raises(KeyRefused, match="wrong, disabled"):
        await dokploy.deployments(web)
    assert table.paths.count("deployment.all") == 2


async def test_the_health_probe_does_not_prove_the_key(dokploy, table, web) -> None:
    table.replies["health"] = ok({"ok": True})
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = WELL

    await dokploy.healthy()
    with pytest.raises(KeyRefused, match="wrong, disabled"):
        await dokploy.deployments(web)


async def test_all_who_are_refused_at_a_time_share_a_witness(dokploy, table, web) -> None:
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = GONE

    asked = (dokploy.deployments(web) for _ in range(20))
    found = await asyncio.gather(*asked, return_exceptions=True)

    assert {type(error) for error in found} == {DatabaseAway}
    assert table.paths.count(WITNESS) == 1


@pytest.mark.parametrize(
    ("witness", "error"),
    [(WELL, Refused), (GONE, Unanswered), (httpx.ReadTimeout("slow"), Unanswered)],
)
async def test_a_save_that_failed_inside_is_a_no_only_while_the_database_is_well(
    dokploy, table, web, witness, error
) -> None:
    path = "application.saveGithubProvider"
    failed = 'Failed query: update "application" set "watchPaths" = $1'
    table.replies[path] = trpc(500, failed, "INTERNAL_SERVER_ERROR", path)
    table.replies[WITNESS] = witness

    with pytest.raises(error):
        await dokploy.save_provider(web, GITHUB)


async def test_a_closed_client_says_so(dokploy, web) -> None:
    await dokploy.close()
    await dokploy.close()

    with pytest.raises(Unreachable, match="closed"):
        await dokploy.deploy(web, title="", description="")


async def test_a_certificate_file_that_is_not_there_is_named(tmp_path, web) -> None:
    client = Dokploy("https://127.0.0.1:1", KEY, ca=str(tmp_path / "no.pem"), read_retries=0)

    with pytest.raises(Unreachable, match=r"no\.pem"):
        await client.deployments(web)


async def test_the_record_builds_it_from_its_settings() -> None:
    provider = BACKENDS["dokploy"]
    given = provider.settings()(url="https://dokploy.test", api_key=SecretStr(KEY))
    backend = BackendServer("prod", provider, given).open()

    assert isinstance(backend, Dokploy)
    assert isinstance(backend, Configures)
    assert repr(backend) == "Dokploy('https://dokploy.test', name='prod')"
    await backend.close()


async def test_a_health_probe_is_short_and_a_read_is_not(build: Make, web) -> None:
    """While its database is away Dokploy may keep a question for a minute, but not that one."""

    async def says_nothing(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    client = build(transport=httpx.MockTransport(says_nothing), total_timeout=0.05)

    assert Limits().probe <= 5 < Limits().read
    assert not await client.healthy()
    with pytest.raises(Unanswered, match=r"no whole answer within 0\.05 s"):
        await client.deploy(web, title="", description="")


@pytest.mark.parametrize(("scheme", "loaded"), [("http", 0), ("https", 1)])
async def test_only_a_client_of_https_loads_certificates(
    monkeypatch: pytest.MonkeyPatch, scheme: str, loaded: int
) -> None:
    calls: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def counted(self: ssl.SSLContext, *args: Any, **named: Any) -> None:
        calls.append(self)
        load(self, *args, **named)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    backend = Dokploy(f"{scheme}://127.0.0.1:9", KEY, read_retries=0)

    assert not await backend.healthy()
    await backend.close()
    assert len(calls) == loaded
