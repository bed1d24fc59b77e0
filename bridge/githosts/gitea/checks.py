"""What `doctor` checks at a Gitea or Forgejo: the token, its rights, and the webhooks."""

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, TypeAdapter

from bridge.githosts.answers import read
from bridge.githosts.checks import BOUNDS, Events, HookCheck
from bridge.githosts.gitea.api import Gitea, gitea_api
from bridge.githosts.gitea.hooks import CHECKS, PULLS
from bridge.githosts.webhook import Model
from bridge.ports.checks import Checked, Finding, Level, ahead_in, clock_finding

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
        answer = await api.access.asker("")("GET", "/user")
        login = read(_USER, "/user", answer, name, reads=True).login
        yield Finding(Level.OK, "host.token", name, f"the token of {login} is accepted")
        for clock in clock_finding("host.clock", name, ahead_in(answer.headers, time.time())):
            yield clock
        sees = "make the token's account an administrator of the repository"
        may_write = partial(_may_write, checked, api)
        async for finding in HookCheck(checked, api, "Gitea", NEEDS, sees, may_write).findings():
            yield finding
    finally:
        await api.close()


async def _may_write(checked: Checked, api: Gitea, name: str) -> Finding | None:
    about = f"{checked.name} {name}"
    whole = read(_WHOLE, "", await api.access.ask(name, "GET", ""), checked.name, reads=True)
    if not whole.permissions.get("push", True):
        says = "the token's account may not write there: comments and statuses are refused"
        remedy = "give the account the right to write to the repository"
        return Finding(Level.ERROR, "host.permissions", about, says, remedy)
    if name in checked.previewed and not whole.permissions.get("admin", True):
        says = "the token's account can't see who may write there, which previews need to know"
        remedy = "make the account an administrator of the repository"
        return Finding(Level.WARNING, "host.permissions", about, says, remedy)
    return None


class _User(Model):
    login: str


class _Whole(Model):
    permissions: dict[str, bool] = Field(default_factory=dict)


_USER, _WHOLE = TypeAdapter(_User), TypeAdapter(_Whole)
