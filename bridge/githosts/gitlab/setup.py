"""How GitLab is connected: with a token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from bridge.core.errors import Rejected
from bridge.githosts.webhook import Model
from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.githosts.gitlab.settings import Gitlab


class _User(Model):
    username: str


_USER = TypeAdapter(_User)


async def _tries(_name: str, settings: "Gitlab") -> Sequence[str]:
    from bridge.githosts.answers import read
    from bridge.githosts.gitlab.access import SERVICE, GitlabAccess

    if settings.token is None:
        raise Rejected("give a token")
    access = GitlabAccess(settings.token, url=settings.url, ca=settings.ca)
    try:
        answer = await access.client.ask(settings.token.get_secret_value(), "GET", "/user")
        name = read(_USER, "/user", answer, SERVICE, reads=True).username
    finally:
        await access.client.close()
    return (f"GitLab answers and accepts the token of {name}",)


def _has_token(settings: "Gitlab") -> bool:
    return settings.token is not None


SETUP = Setup(
    gives="deploys on a push, and shows the result on the merge request and the commit",
    credentials=("token",),
    fields=(
        SetupField(
            "url",
            "Address of GitLab",
            "as in your browser",
            optional=True,
            example="https://gitlab.com",
        ),
        SetupField(
            "token",
            "Access token",
            "of a project or group: Settings, Access tokens; role Maintainer, scope api",
            secret=True,
            example="glpat-…",
        ),
    ),
    tries=_tries,
    makes_webhooks=_has_token,
)
