"""Where an application's source is, how it is built, and its environment variables."""

from pydantic import Field

from bridge.backends.embedded.http.inputs.values import (
    Branch,
    BuildTypes,
    Input,
    Text,
    Triggers,
    WatchPaths,
)


class GithubProvider(Input):
    """`application.saveGithubProvider`; a trigger type that is left out becomes push."""

    application_id: Text
    repository: Text | None
    owner: Text | None
    build_path: Text | None
    github_id: Text | None
    branch: Branch
    trigger_type: Triggers = "push"
    enable_submodules: bool = False
    watch_paths: WatchPaths = None


class GitlabProvider(Input):
    """`application.saveGitlabProvider`."""

    application_id: Text
    gitlab_build_path: Text | None
    gitlab_owner: Text | None
    gitlab_repository: Text | None
    gitlab_id: Text | None
    gitlab_project_id: int | None
    gitlab_path_namespace: Text | None
    gitlab_branch: Branch
    enable_submodules: bool = False
    watch_paths: WatchPaths = None


class GitProvider(Input):
    """`application.saveGitProvider`."""

    application_id: Text
    custom_git_build_path: Text | None
    custom_git_url: Text | None
    watch_paths: WatchPaths
    enable_submodules: bool = False
    custom_git_branch: Branch
    custom_git_ssh_key_id: Text | None = Field(default=None, alias="customGitSSHKeyId")


class DockerProvider(Input):
    """`application.saveDockerProvider`."""

    docker_image: Text | None
    application_id: Text
    username: Text | None
    password: Text | None
    registry_url: Text | None


class BuildTypeInput(Input):
    """`application.saveBuildType`."""

    application_id: Text
    build_type: BuildTypes
    dockerfile: Text | None
    docker_context_path: Text | None
    docker_build_stage: Text | None
    heroku_version: Text | None
    railpack_version: Text | None
    publish_directory: Text | None = None
    is_static_spa: bool | None = None


class EnvironmentVariables(Input):
    """`application.saveEnvironment`."""

    application_id: Text
    env: Text | None
    build_args: Text | None
    build_secrets: Text | None
    create_env_file: bool
