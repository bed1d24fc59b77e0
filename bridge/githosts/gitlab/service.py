"""All of GitLab's API, made from its settings."""

from pydantic import SecretStr

from bridge.githosts.gitlab.access import GitlabAccess
from bridge.githosts.gitlab.api import GitlabApi
from bridge.githosts.gitlab.catchup import GitlabHooks
from bridge.githosts.pool import Bounds


class Gitlab(GitlabApi, GitlabHooks):
    """All of GitLab's API that the bridge uses: a `HostApi`, and a `Redelivers`."""

    def __init__(self, access: GitlabAccess) -> None:
        GitlabApi.__init__(self, access)
        GitlabHooks.__init__(self, access)


def gitlab_api(
    *,
    token: SecretStr | None = None,
    url: str = "https://gitlab.com",
    ca: str | None = None,
    bounds: Bounds | None = None,
) -> Gitlab | None:
    """GitLab's API; None if no token is set.

    Raises:
        Rejected: a setting can't be used.
    """
    return None if token is None else Gitlab(GitlabAccess(token, url=url, ca=ca, bounds=bounds))
