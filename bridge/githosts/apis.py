"""The hosts' APIs, each made from its settings."""

from pydantic import SecretStr

from bridge.core.errors import Rejected
from bridge.githosts.github_access import GithubAccess
from bridge.githosts.github_api import GithubApi
from bridge.githosts.github_credentials import AppCredential, Credential, TokenCredential
from bridge.githosts.github_hooks import GithubHooks
from bridge.githosts.gitlab_access import GitlabAccess
from bridge.githosts.gitlab_api import GitlabApi
from bridge.githosts.gitlab_hooks import GitlabHooks
from bridge.githosts.pool import Bounds


class Github(GithubApi, GithubHooks):
    """All of GitHub's API that the bridge uses: a `HostApi`, and a `Redelivers`."""

    def __init__(self, access: GithubAccess) -> None:
        GithubApi.__init__(self, access)
        GithubHooks.__init__(self, access)


class Gitlab(GitlabApi, GitlabHooks):
    """All of GitLab's API that the bridge uses: a `HostApi`, and a `Redelivers`."""

    def __init__(self, access: GitlabAccess) -> None:
        GitlabApi.__init__(self, access)
        GitlabHooks.__init__(self, access)


def github_api(
    *,
    token: SecretStr | None = None,
    app_id: int | None = None,
    private_key: SecretStr | None = None,
    api_url: str = "https://api.github.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Github | None:
    """GitHub's API, with a token or as an App; None where neither is set.

    Raises:
        Rejected: a setting can't be used.
    """
    credential = _credential(token, app_id, private_key)
    if credential is None:
        return None
    return Github(GithubAccess(credential, api_url=api_url, ca=ca, bounds=bounds))


def gitlab_api(
    *,
    token: SecretStr | None = None,
    url: str = "https://gitlab.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Gitlab | None:
    """GitLab's API; None where no token is set.

    Raises:
        Rejected: a setting can't be used.
    """
    return None if token is None else Gitlab(GitlabAccess(token, url=url, ca=ca, bounds=bounds))


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
