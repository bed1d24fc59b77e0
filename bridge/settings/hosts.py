"""The Git hosts: what their webhooks carry, and how their API is asked."""

import base64
import binascii
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from bridge.settings.addresses import Address
from bridge.settings.values import (
    Credential,
    PemFile,
    Secret,
    Secrets,
    Section,
    as_choice,
    as_list,
    token_of,
)

Uses = Annotated[tuple[Literal["comment", "status", "deployment"], ...], BeforeValidator(as_choice)]
"""What of a Git host shows what became of a push."""

GithubToken = Annotated[Credential, AfterValidator(partial(token_of, "GitHub"))]
GitlabToken = Annotated[Credential, AfterValidator(partial(token_of, "GitLab"))]


def _is_signing_token(value: SecretStr) -> SecretStr:
    begin, _, encoded = value.get_secret_value().strip().partition("_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if begin != "whsec" or not key:
        raise ValueError("a signing token is whsec_ and base64: copy it anew from GitLab")
    return value


SigningTokens = Annotated[
    tuple[Annotated[Secret, AfterValidator(_is_signing_token)], ...], BeforeValidator(as_list)
]


class Github(Section):
    """GitHub or GitHub Enterprise Server."""

    webhook_secrets: Secrets = Field(
        (), description="secrets of its webhooks; several while you rotate them"
    )
    token: GithubToken | None = Field(
        None, description="a token: comments, statuses, changed files; or a GitHub App"
    )
    app_id: int | None = Field(None, gt=0, description="id of a GitHub App, instead of a token")
    private_key: Secret | None = Field(None, description="the App's private key, PEM")
    api_url: Address = Field(
        "https://api.github.com", description="base of its API; GHES: https://HOST/api/v3"
    )
    web_url: Address | None = Field(
        None, description="where its webhooks say it is, if not where `api_url` leads"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "status", "deployment"),
        description="what shows there how a push went; none: nothing",
    )
    skipped_status: bool = Field(
        False,
        description="a skipped app gets a status as well, for branch rules that require it",
    )


class Gitlab(Section):
    """GitLab.com or a server of your own."""

    webhook_tokens: Secrets = Field((), description="secret tokens of its webhooks")
    signing_tokens: SigningTokens = Field(
        (), description="signing tokens (whsec_…, GitLab 19.0): unsigned webhooks are refused then"
    )
    url: Address = Field("https://gitlab.com", description="where your GitLab is")
    web_url: Address | None = Field(
        None, description="where its webhooks say it is (`external_url`), if not at `url`"
    )
    token: GitlabToken | None = Field(
        None, description="a project or group token: comments, statuses, changed files"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "deployment"),
        description="what shows there how a push went; none: nothing; a status makes an external"
        " pipeline, which may hold up merges",
    )
    skipped_status: bool = Field(
        False, description="a skipped app gets a status as well, where statuses are shown"
    )
