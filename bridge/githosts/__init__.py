"""The Git hosts. To add one, write a folder with its record, and add a line here."""

from bridge.githosts.gitea.provider import GITEA
from bridge.githosts.github.provider import GITHUB
from bridge.githosts.gitlab.provider import GITLAB
from bridge.ports.providers import Provider

HOSTS: dict[str, Provider] = {host.key: host for host in (GITHUB, GITLAB, GITEA)}
"""Each host's record by its key, in the order shown to people."""
