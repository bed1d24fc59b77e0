"""What `doctor` checks at a Gitea or Forgejo: the token, its rights, and the webhooks."""

from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from bridge.githosts.base.checks import BOUNDS, Events, HookCheck, Rights
from bridge.githosts.base.tokens import accepted, ask_user
from bridge.githosts.gitea.api import CHECKS, PULLS, Gitea, gitea_api
from bridge.ports.checks import Checked, Finding, Level

if TYPE_CHECKING:
    from bridge.githosts.gitea.settings import Gitea as Settings

NEEDS = Events(
    "push",
    {
        "delete": "deleted branches are only noticed later",
        "pull_request": "pull requests that are opened after their push get no comment",
    },
    checks=(CHECKS,),
    pulls=PULLS,
)


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found there; see `ports.checks.Checks`."""
    settings: Settings = checked.settings
    name = checked.name
    api = gitea_api(name, token=settings.token, url=settings.url, ca=settings.ca, bounds=BOUNDS)
    if api is None:
        return
    try:
        for finding in accepted(name, await ask_user(api.access)):
            yield finding
        sees = "make the token's account an administrator of the repository"
        may_write = partial(_may_write, checked, api)
        async for finding in HookCheck(checked, api, "Gitea", NEEDS, sees, may_write).findings():
            yield finding
    finally:
        await api.close()


async def _may_write(checked: Checked, api: Gitea, name: str) -> Finding | None:
    about = f"{checked.name} {name}"
    rights = (await api.access.of(name).get("", Rights)).permissions
    if not rights.get("push", True):
        says = "the token's account may not write there: comments and statuses are refused"
        remedy = "give the account the right to write to the repository"
        return Finding(Level.ERROR, "host.permissions", about, says, remedy)
    if name in checked.previewed and not rights.get("admin", True):
        says = "the token's account can't see who may write there, which previews need to know"
        remedy = "make the account an administrator of the repository"
        return Finding(Level.WARNING, "host.permissions", about, says, remedy)
    return None
