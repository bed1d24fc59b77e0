"""What `doctor` checks at GitLab: the token, its role, and the webhooks."""

import time
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING

from pydantic import AliasPath, Field

from bridge.core.errors import NotFound, Refused
from bridge.githosts.base.checks import BOUNDS, Events, HookCheck, lacking
from bridge.githosts.base.tokens import accepted, ask_user
from bridge.githosts.base.webhook import Model, seconds_of
from bridge.githosts.gitlab.api import DEVELOPER, Gitlab, gitlab_api
from bridge.ports.checks import Checked, Finding, Level, expiry_finding

if TYPE_CHECKING:
    from bridge.githosts.gitlab.settings import Gitlab as Settings

SCOPES = {"api": ()}
"""The scopes that a token needs."""

NEEDS = Events(
    "push_events",
    {
        "tag_push_events": "tags deploy nothing",
        "merge_requests_events": "merge requests that are opened after their push get no comment",
    },
    checks=(("pipeline_events",),),
)


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found at GitLab; see `ports.checks.Checks`."""
    settings: Settings = checked.settings
    api = gitlab_api(token=settings.token, url=settings.url, ca=settings.ca, bounds=BOUNDS)
    if api is None:
        return
    try:
        async for finding in _of_token(checked.name, api):
            yield finding
        sees = "give the token the role *Maintainer*"
        may_write = partial(_may_write, checked.name, api)
        async for finding in HookCheck(checked, api, "GitLab", NEEDS, sees, may_write).findings():
            yield finding
    finally:
        await api.close()


async def _of_token(about: str, api: Gitlab) -> AsyncIterator[Finding]:
    for finding in accepted(about, await ask_user(api.access)):
        yield finding
    try:
        token = await api.access.at("/personal_access_tokens/self").get("", _Token)
    except (NotFound, Refused):  # before 16.0, or an OAuth token
        return
    if missing := lacking(token.scopes, SCOPES):
        says = f"the token lacks the scope {', '.join(missing)}"
        remedy = "make one with the scope `api`, and set it as BRIDGE_GITLAB_TOKEN"
        yield Finding(Level.ERROR, "host.scopes", about, says, remedy)
    if (until := seconds_of(token.expires_at)) is not None:  # the beginning of that day, in UTC
        remedy = "make a new one in time, and set it as BRIDGE_GITLAB_TOKEN"
        yield expiry_finding("host.token.expiry", about, "the token", until, time.time(), remedy)


async def _may_write(host: str, api: Gitlab, name: str) -> Finding | None:
    roles = await api.access.of(name).get("", _Roles)
    if max(roles.project or 0, roles.group or 0) >= DEVELOPER or roles == _Roles():
        return None
    says = "the token has a role below *Developer* there: statuses and deployments are refused"
    remedy = "give it the role *Developer*, or *Maintainer* to see webhooks, too"
    return Finding(Level.ERROR, "host.permissions", f"{host} {name}", says, remedy)


class _Token(Model):
    scopes: list[str]
    expires_at: str | None = None


def _role(of: str) -> AliasPath:
    return AliasPath("permissions", of, "access_level")


class _Roles(Model):
    project: int | None = Field(None, validation_alias=_role("project_access"))
    group: int | None = Field(None, validation_alias=_role("group_access"))
