"""All of GitHub's API, made from its settings."""

from pydantic import SecretStr

from bridge.core.errors import Rejected
from bridge.githosts.github.access import AppCredential, Credential, GithubAccess, TokenCredential
from bridge.githosts.github.api import GithubApi
from bridge.githosts.github.catchup import GithubHooks
from bridge.githosts.pool import Bounds


class Github(GithubApi, GithubHooks):
    """All of GitHub's API that the bridge uses: a `HostApi`, and a `Redelivers`."""

    def __init__(self, access: GithubAccess) -> None:
        GithubApi.__init__(self, access)
        GithubHooks.__init__(self, access)


def github_api(
    *,
    token: SecretStr | None = None,
    app_id: int | None = None,
    private_key: SecretStr | None = None,
    api_url: str = "https://api.github.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Github | None:
    """GitHub's API, with a token or as an App; None if neither is set.

    Raises:
        Rejected: a setting can't be used.
    """
    credential = _credential(token, app_id, private_key)
    if credential is None:
        return None
    return Github(GithubAccess(credential, api_url=api_url, ca=ca, bounds=bounds))


def _credential(
    token: SecretStr | None, app_id: int | None, private_key: SecretStr | None
) -> Credential | None:
    if (app_id is None) != (private_key is None):
        missing = "PRIVATE_KEY" if private_key is None else "APP_ID"
        raise Rejected(f"of a GitHub App both id and key are needed: set BRIDGE_GITHUB_{missing}")
    if app_id is None or private_key is None:
        return None if token is None else TokenCredential(token)
    if token is not None:
        raise Rejected("a GitHub App and BRIDGE_GITHUB_TOKEN are both set: unset one of them")
    return AppCredential(app_id, private_key)
