"""The Git hosts. A new one is a folder, a line here, and its fixtures."""

from collections.abc import Callable, Sequence

from bridge.githosts.github.service import github_api
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.gitlab.service import gitlab_api
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.ports.githosts import GitHost, HostApi

HOSTS: dict[str, Callable[[Sequence[str]], GitHost]] = {"github": GitHub, "gitlab": GitLab}
"""Each host by its key, made from the secrets that its webhooks carry."""

APIS: dict[str, Callable[..., HostApi | None]] = {"github": github_api, "gitlab": gitlab_api}
"""Each host's API by its key, made from its settings; None where no credential is set."""
