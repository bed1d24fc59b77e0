"""The settings of a Gitea or Forgejo."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from bridge.ports.settings import (
    Address,
    Credential,
    ListeningAddress,
    PemFile,
    RepositorySecrets,
    Section,
    WebhookSecrets,
    as_list,
    token_of,
)

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
    url: Address = Field("https://gitea.com", description="where your Gitea or Forgejo is")
    web_url: Address | None = Field(
        None, description="where its webhooks say it is (`ROOT_URL`), if not at `url`"
    )
    ssh_host: ListeningAddress | None = Field(
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
        False,
        description="a skipped app gets a status as well, for branch rules that require it",
    )
