"""Every mutation asks once and reads each form of its answer; what a save can hold."""

import json
from collections.abc import Awaitable, Callable

import httpx
import pytest
from pydantic import SecretStr

from bridge.backends.dokploy.answers import Forbidden
from bridge.backends.dokploy.client import Dokploy
from bridge.backends.dokploy.configure import build_call, environment_call, provider_call, saved_in
from bridge.backends.dokploy.key_check import PATH as WITNESS
from bridge.backends.dokploy.models import Settings
from bridge.core.apps import App, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GithubSource,
    ProviderSettings,
)
from bridge.core.errors import Refused, Unanswered, Unreachable
from tests.unit.dokploy.conftest import empty, ok, trpc

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
    "saveGithubProvider": lambda dokploy, app: dokploy.save_provider(app, GITHUB),
    "saveBuildType": lambda dokploy, app: dokploy.save_build_type(
        app, BuildType(build_type="static")
    ),
    "saveEnvironment": lambda dokploy, app: dokploy.save_environment(
        app, Environment(env=SecretStr("A=1"))
    ),
}


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_form_of_yes_is_accepted(dokploy, table, web, name) -> None:
    table.replies[f"application.{name}"] = [empty(), ok(), ok({"success": True})]

    for _ in range(3):
        await MUTATIONS[name](dokploy, web)

    assert table.paths == [f"application.{name}"] * 3
    assert json.loads(table.requests[0].content)["applicationId"] == "app_def456"


@pytest.mark.parametrize("name", MUTATIONS)
async def test_every_form_of_no_is_told_and_sent_once(dokploy, table, web, name) -> None:
    act = MUTATIONS[name]
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


# ── what a save can hold ───────────────────────────────────────────────────────


GITHUB_SOURCE = GithubSource(
    owner="my-org",
    repository="my-repo",
    branch="main",
    build_path="/apps/frontend",
    provider_id="gh_abc123",
    watch_paths=("apps/frontend/**",),
    trigger=Trigger.TAG,
)


DOCKER = DockerSource(
    image="myorg/myapp:v2.1.0",
    username="myuser",
    password=SecretStr("mypassword"),
    registry_url="https://registry.example.com",
)


@pytest.mark.parametrize("settings", [DOCKER, GITHUB_SOURCE])
def test_what_a_stack_can_not_hold_is_refused(stack: App, settings: ProviderSettings) -> None:
    with pytest.raises(Refused, match="compose stack"):
        provider_call(stack, settings)


def test_a_stack_has_an_environment_but_no_build_settings(stack: App) -> None:
    assert environment_call(stack, Environment(env=SecretStr("A=1"), create_env_file=False)) == (
        "compose.update",
        {"composeId": "stack_1", "env": "A=1", "createEnvFile": False},
    )
    with pytest.raises(Refused, match="no build settings"):
        environment_call(stack, Environment(build_args=SecretStr("A=1")))
    with pytest.raises(Refused, match="no build settings"):
        build_call(stack, BuildType(build_type="static"))


def test_a_half_configured_app_has_no_provider_to_save_again(web: App, stack: App) -> None:
    fresh = {"sourceType": "github", "owner": None, "repository": None, "buildType": "nixpacks"}

    saved = saved_in(web, Settings.model_validate(fresh))
    assert saved.provider is None
    assert saved.build == BuildType(build_type="nixpacks")

    of_stack = saved_in(stack, Settings.model_validate({"sourceType": "raw"}))
    assert of_stack.provider is None
    assert of_stack.build is None


def test_a_build_type_that_is_unknown_here_is_refused(web: App) -> None:
    with pytest.raises(Refused, match="'bazel' of shop/web is unknown here"):
        saved_in(web, Settings.model_validate({"buildType": "bazel"}))
