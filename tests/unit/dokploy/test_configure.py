"""What a save sends is exactly what the document and the real server want."""

from typing import Any

import pytest
from pydantic import SecretStr

from bridge.backends.dokploy.configure import (
    build_call,
    environment_call,
    provider_call,
    saved_in,
)
from bridge.backends.dokploy.models import Settings
from bridge.core.apps import App, Trigger
from bridge.core.configuration.configuration import (
    BuildType,
    DockerSource,
    Environment,
    GiteaSource,
    GithubSource,
    GitlabSource,
    GitSource,
    ProviderSettings,
)
from bridge.core.errors import Refused

GITHUB = GithubSource(
    owner="my-org",
    repository="my-repo",
    branch="main",
    build_path="/apps/frontend",
    provider_id="gh_abc123",
    watch_paths=("apps/frontend/**",),
    trigger=Trigger.TAG,
)
GITLAB = GitlabSource(
    owner="my-group",
    repository="my-project",
    branch="main",
    provider_id="gl_xyz789",
    project_id=12345,
    path="my-group/my-project",
    submodules=True,
)
GIT = GitSource(url="git@example.com:org/repo.git", branch="production", ssh_key_id="key_abc123")
DOCKER = DockerSource(
    image="myorg/myapp:v2.1.0",
    username="myuser",
    password=SecretStr("mypassword"),
    registry_url="https://registry.example.com",
)


@pytest.mark.parametrize(
    ("settings", "path", "fields"),
    [
        (
            GITHUB,
            "application.saveGithubProvider",
            {
                "owner": "my-org",
                "repository": "my-repo",
                "branch": "main",
                "buildPath": "/apps/frontend",
                "githubId": "gh_abc123",
                "watchPaths": ["apps/frontend/**"],
                "enableSubmodules": False,
                "triggerType": "tag",
            },
        ),
        (
            GITLAB,
            "application.saveGitlabProvider",
            {
                "gitlabOwner": "my-group",
                "gitlabRepository": "my-project",
                "gitlabBranch": "main",
                "gitlabBuildPath": "/",
                "gitlabId": "gl_xyz789",
                "gitlabProjectId": 12345,
                "gitlabPathNamespace": "my-group/my-project",
                "watchPaths": None,
                "enableSubmodules": True,
            },
        ),
        (  # recorded-2.jsonl, 250-saveGiteaProvider
            GiteaSource(
                owner="grp",
                repository="web",
                branch="main",
                provider_id="gt_1",
                watch_paths=("web/**",),
            ),
            "application.saveGiteaProvider",
            {
                "giteaOwner": "grp",
                "giteaRepository": "web",
                "giteaBranch": "main",
                "giteaBuildPath": "/",
                "giteaId": "gt_1",
                "watchPaths": ["web/**"],
                "enableSubmodules": False,
            },
        ),
        (
            GIT,
            "application.saveGitProvider",
            {
                "customGitUrl": "git@example.com:org/repo.git",
                "customGitBranch": "production",
                "customGitBuildPath": "/",
                "customGitSSHKeyId": "key_abc123",
                "watchPaths": None,
                "enableSubmodules": False,
            },
        ),
        (  # a save would refuse that branch
            GIT.model_copy(update={"branch": "feature/ünï"}),
            "application.update",
            {
                "sourceType": "git",
                "customGitUrl": "git@example.com:org/repo.git",
                "customGitBranch": "feature/ünï",
                "customGitBuildPath": "/",
                "customGitSSHKeyId": "key_abc123",
                "watchPaths": None,
                "enableSubmodules": False,
            },
        ),
        (
            DOCKER,
            "application.saveDockerProvider",
            {
                "dockerImage": "myorg/myapp:v2.1.0",
                "username": "myuser",
                "password": "mypassword",
                "registryUrl": "https://registry.example.com",
            },
        ),
        (
            DockerSource(image="nginx:alpine"),
            "application.saveDockerProvider",
            {
                "dockerImage": "nginx:alpine",
                "username": None,
                "password": None,
                "registryUrl": None,
            },
        ),
    ],
)
def test_a_provider_is_saved_with_every_field(
    web: App, settings: ProviderSettings, path: str, fields: dict[str, Any]
) -> None:
    assert provider_call(web, settings) == (path, {"applicationId": "app_def456"} | fields)


def test_a_stack_takes_its_provider_by_its_update(stack: App) -> None:
    settings = GITHUB.model_copy(update={"build_path": "/"})

    assert provider_call(stack, settings) == (
        "compose.update",
        {
            "composeId": "stack_1",
            "sourceType": "github",
            "owner": "my-org",
            "repository": "my-repo",
            "branch": "main",
            "githubId": "gh_abc123",
            "watchPaths": ["apps/frontend/**"],
            "enableSubmodules": False,
            "triggerType": "tag",
        },
    )


@pytest.mark.parametrize("settings", [GITLAB, GIT])
def test_a_stack_has_no_build_path_columns(stack: App, settings: ProviderSettings) -> None:
    path, body = provider_call(stack, settings)

    assert path == "compose.update"
    assert body["sourceType"] == settings.type.value
    assert not [name for name in body if "BuildPath" in name]


@pytest.mark.parametrize("settings", [DOCKER, GITHUB])
def test_what_a_stack_can_not_hold_is_refused(stack: App, settings: ProviderSettings) -> None:
    with pytest.raises(Refused, match="compose stack"):
        provider_call(stack, settings)


def test_a_build_type_names_the_fields_that_may_only_be_null(web: App) -> None:
    assert build_call(web, BuildType(build_type="dockerfile", dockerfile="./Dockerfile")) == (
        "application.saveBuildType",
        {
            "applicationId": "app_def456",
            "buildType": "dockerfile",
            "dockerfile": "./Dockerfile",
            "dockerContextPath": None,
            "dockerBuildStage": None,
            "publishDirectory": None,
            "isStaticSpa": None,
            "herokuVersion": None,
            "railpackVersion": None,
        },
    )


def test_an_environment_is_sent_as_it_is(web: App) -> None:
    settings = Environment(env=SecretStr("A=1\nB=2"), build_secrets=SecretStr("S=3"))

    assert environment_call(web, settings) == (
        "application.saveEnvironment",
        {
            "applicationId": "app_def456",
            "env": "A=1\nB=2",
            "buildArgs": None,
            "buildSecrets": "S=3",
            "createEnvFile": True,
        },
    )


def test_a_stack_has_an_environment_but_no_build_settings(stack: App) -> None:
    assert environment_call(stack, Environment(env=SecretStr("A=1"), create_env_file=False)) == (
        "compose.update",
        {"composeId": "stack_1", "env": "A=1", "createEnvFile": False},
    )
    with pytest.raises(Refused, match="no build settings"):
        environment_call(stack, Environment(build_args=SecretStr("A=1")))
    with pytest.raises(Refused, match="no build settings"):
        build_call(stack, BuildType(build_type="static"))


@pytest.mark.parametrize("settings", [GITHUB, GITLAB, GIT, DOCKER])
def test_what_was_saved_is_read_back_the_same(web: App, settings: ProviderSettings) -> None:
    _, body = provider_call(web, settings)
    build = BuildType(
        build_type="static", publish_directory="dist", static_spa=True, docker_build_stage="prod"
    )
    environment = Environment(
        env=SecretStr("A=1"), build_args=SecretStr("B=2"), build_secrets=SecretStr("C=3")
    )
    said = {"sourceType": settings.type.value, **body}
    said |= build_call(web, build)[1] | environment_call(web, environment)[1]

    saved = saved_in(web, Settings.model_validate(said))

    assert saved.provider == settings
    assert saved.build == build
    assert saved.environment == environment
    for secret in ("A=1", "B=2", "C=3", "mypassword"):
        assert secret not in repr(saved)


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
