"""Every mutation asks exactly what the document says, once, and reads each form of its answer."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.backends.dokploy.key_check import PATH as WITNESS
from bridge.core.apps import App, Trigger
from bridge.core.configuration.configuration import BuildType, Environment, GithubSource
from bridge.core.errors import Refused, Unanswered, Unreachable
from tests.unit.dokploy.conftest import GONE, WELL, empty, ok, trpc

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
