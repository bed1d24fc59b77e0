"""Inputs of providers, which stand for Git hosts."""

from typing import Annotated

from pydantic import Field

from bridge.backends.embedded.http.inputs.values import Id, Input, Name, Text


class GithubId(Input):
    """Names one GitHub provider."""

    github_id: Id


class GitlabId(Input):
    """Names one GitLab provider."""

    gitlab_id: Id


class GithubRepository(Input):
    """`github.getGithubBranches`."""

    repo: Id
    owner: Id
    github_id: Text | None = None


class GitlabRepository(Input):
    """`gitlab.getGitlabBranches`."""

    id: Annotated[float, Field(strict=False, allow_inf_nan=False)] | None = None
    owner: Text
    repo: Text
    gitlab_id: Text | None = None


class GitlabCreate(Input):
    """`gitlab.create`."""

    application_id: Text | None = None
    secret: Text | None = None
    group_name: Text | None = None
    redirect_uri: Text | None = None
    auth_id: Id
    name: Name
    gitlab_url: Id
    gitlab_internal_url: Text | None = None
