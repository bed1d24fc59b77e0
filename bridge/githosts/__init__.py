"""The Git hosts. A new one is a file, a line here, and its fixtures."""

from collections.abc import Callable, Sequence

from bridge.githosts.github import GitHub
from bridge.githosts.gitlab import GitLab
from bridge.ports import GitHost

HOSTS: dict[str, Callable[[Sequence[str]], GitHost]] = {"github": GitHub, "gitlab": GitLab}
"""Each host by its key, made from the secrets that its webhooks carry."""
