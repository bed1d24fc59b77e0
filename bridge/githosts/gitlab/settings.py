"""The settings of GitLab."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

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
    as_list,
    token_of,
)


def _is_signing_token(value: SecretStr) -> SecretStr:
    begin, _, encoded = value.get_secret_value().strip().partition("_")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        key = b""
    if begin != "whsec" or not key:
        raise ValueError("a signing token is whsec_ and base64: copy it again from GitLab")
    return value


SigningTokens = Annotated[
    tuple[Annotated[Secret, AfterValidator(_is_signing_token)], ...], BeforeValidator(as_list)
]


class Gitlab(Section):
    """GitLab.com or a self-managed server."""

    webhook_tokens: WebhookSecrets = Field((), description="secret tokens of its webhooks")
    signing_tokens: SigningTokens = Field(
        (),
        description="signing tokens (whsec_…, GitLab 19.0); if set, unsigned webhooks are refused",
    )
    repository_secrets: RepositorySecrets = Field(
        {},
        description="tokens or signing tokens that speak only for one project, group/name, or for"
        " all of a group, group/*; in the environment as YAML",
    )
    url: Address = Field("https://gitlab.com", description="web address of your GitLab")
    web_url: Address | None = Field(
        None, description="its address in webhooks (`external_url`), if that is not `url`"
    )
    ssh_host: ServerName | None = Field(
        None, description="the name in its SSH clone addresses, if another"
    )
    token: Annotated[Credential, token_of("GitLab")] | None = Field(
        None, description="a project or group token, for comments, statuses and changed files"
    )
    ca: PemFile | None = Field(None, description="a PEM file with its certificate authority")
    feedback: Uses = Field(
        ("comment", "deployment"),
        description="what shows a push's result on GitLab; none: nothing; a status creates an"
        " external pipeline, which may hold up merges",
    )
    skipped_status: bool = Field(
        False, description="also set a status for skipped apps, if statuses are shown"
    )
    sign_in: SignInClient = SignInClient()
