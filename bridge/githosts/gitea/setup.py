"""How a Gitea or Forgejo is connected: an address and a token."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.core.errors import Rejected
from bridge.ports.githosts import HostApi, SaysWho
from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.githosts.gitea.settings import Gitea


OpenApi = Callable[[str, Any], HostApi | None]


async def _tries(open_: OpenApi, name: str, settings: "Gitea") -> Sequence[str]:
    api = open_(name, settings)
    if api is None:
        raise Rejected("give a token")
    assert isinstance(api, SaysWho)
    try:
        account = await api.account()
    finally:
        await api.close()
    return (f"Gitea answers and accepts the token of {account}",)


def _has_token(settings: "Gitea") -> bool:
    return settings.token is not None


def setup_with(open_: OpenApi) -> Setup:
    """Return how it is set up, given what opens its API."""
    return Setup(
        gives="deploys on a push, and shows the result on the pull request and the commit",
        credentials=("token",),
        fields=(
            SetupField(
                "url",
                "Address of Gitea or Forgejo",
                "as in your browser",
                example="https://gitea.example.com",
            ),
            SetupField(
                "token",
                "Access token",
                "Settings, Applications, Generate New Token; repository and issue: read and write",
                secret=True,
            ),
        ),
        tries=partial(_tries, open_),
        makes_webhooks=_has_token,
    )
