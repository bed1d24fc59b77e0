"""How a Gitea or Forgejo is connected: an address and a token."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bridge.core.errors import Rejected
from bridge.ports.githosts import SaysWho
from bridge.ports.setup import Setup, SetupField

if TYPE_CHECKING:
    from bridge.githosts.gitea.settings import Gitea


async def _tries(name: str, settings: "Gitea") -> Sequence[str]:
    from bridge.githosts.gitea.provider import GITEA

    api = GITEA.api(name, settings)
    if api is None:
        raise Rejected("give a token")
    assert isinstance(api, SaysWho)
    try:
        account = await api.account()
    finally:
        await api.close()
    return (f"Gitea answers and accepts the token of {account}",)


SETUP = Setup(
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
    tries=_tries,
)
