"""The settings of GitHub."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from bridge.ports.settings import (
    Address,
    Credential,
    PemFile,
    RepositorySecrets,
    Secret,
    Section,
    ServerName,
    SignInClient,
    Uses,
    WebhookSecrets,
    token_of,
)


class Github(Section):
    """GitHub or GitHub Enterprise Server."""

    webhook_secrets: WebhookSecrets = Field(
        (), description="secrets of its webhooks; several during a rotation"
    )
    repository_secrets: RepositorySecrets = Field(
        {},
        description="secrets that speak only for one repository, owner/name, or for all of an"
        " owner, owner/*; in the environment as YAML",
    )
    token: Annotated[Credential, token_of("GitHub")] | None = Field(
        None, description="a token, for comments, statuses and changed files; or use a GitHub App"
    )
    app_id: int | None = Field(None, gt=0, description="id of a GitHub App, instead of a token")
    private_key: Secret | None = Field(None, description="the App's private key, PEM")
    api_url: Address = Field(
        "https://api.github.com", description="base address of its API; GHES: https://HOST/api/v3"
    )
    web_url: Address | None = Field(
        None, description="its web address in webhooks, if `api_url` does not lead to it"
    )
    ssh_host: ServerName | None = Field(
        None, description="the name in its SSH clone addresses, if another"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "status", "deployment"),
        description="what shows a push's result on GitHub; none: nothing",
    )
    skipped_status: bool = Field(
        False, description="also set a status for skipped apps, for branch rules that require it"
    )
    sign_in: SignInClient = SignInClient()


def web_of(api_url: str) -> str:
    """Return the web address of the GitHub whose API has that address."""
    parts = urlsplit(api_url)
    host = parts.netloc
    if host == "api.github.com" or host.endswith(".ghe.com"):
        host = host.removeprefix("api.")
    return f"{parts.scheme}://{host}"


def web_url_of(settings: Github) -> str:
    """Return its address for people."""
    return settings.web_url or web_of(settings.api_url)
