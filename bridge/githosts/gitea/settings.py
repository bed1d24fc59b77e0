"""The settings of a Gitea or Forgejo."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bridge.ports.settings import (
    Address,
    Credential,
    PemFile,
    RepositorySecrets,
    Section,
    ServerName,
    WebhookSecrets,
    as_list,
    token_of,
)

_API = "/api/v1"


def _without_api(value: str) -> str:
    if value.rstrip("/").endswith(_API):
        raise ValueError(f"it ends with {_API}, which is added anyway: leave that out")
    return value


Uses = Annotated[tuple[Literal["comment", "status"], ...], BeforeValidator(as_list)]
"""Gitea has no deployment objects."""


class Gitea(Section):
    """A Gitea or Forgejo; the first of several, the others are in `giteas`."""

    webhook_secrets: WebhookSecrets = Field(
        (), description="secrets of its webhooks; several while you rotate them"
    )
    repository_secrets: RepositorySecrets = Field(
        {},
        description="secrets that speak only for one repository, owner/name, or for all of an"
        " owner, owner/*; in the environment as YAML",
    )
    url: Annotated[Address, AfterValidator(_without_api)] = Field(
        "https://gitea.com", description="where your Gitea or Forgejo is"
    )
    web_url: Address | None = Field(
        None, description="where its webhooks say it is (`ROOT_URL`), if not at `url`"
    )
    ssh_host: ServerName | None = Field(
        None, description="the name in its SSH addresses (`SSH_DOMAIN`), if another"
    )
    token: Annotated[Credential, token_of("Gitea")] | None = Field(
        None, description="a token: comments, statuses, changed files"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "status"), description="what shows there how a push went; none: nothing"
    )
    skipped_status: bool = Field(
        False, description="a skipped app gets a status as well, for branch rules that require it"
    )
