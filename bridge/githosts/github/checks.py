"""What `doctor` checks at GitHub: the token or the App, its permissions, and the webhooks."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial

from pydantic import Field

from bridge.core.errors import NotFound
from bridge.githosts.base.answers import Answer, read
from bridge.githosts.base.checks import BOUNDS, Events, HookCheck, Rights, lacking
from bridge.githosts.base.tokens import accepted, ask_user
from bridge.githosts.base.webhook import Model, seconds_of
from bridge.githosts.github.access import (
    CHECK_EVENTS,
    CHECKS,
    EVENTS,
    MOVES_BRANCHES,
    PERMISSIONS,
    GithubAccess,
)
from bridge.githosts.github.api import Github, api_of
from bridge.ports.checks import Checked, Finding, Level, ahead_in, clock_finding, expiry_finding

SCOPES: Mapping[str, tuple[str, ...]] = {
    "public_repo": ("repo",),
    "repo:status": ("repo",),
    "repo_deployment": ("repo",),
}
"""The scopes that a classic token needs, each with one that includes it."""

NEEDS = Events(
    "push",
    {"pull_request": "pull requests that are opened after their push get no comment"},
    checks=(("check_run",), ("status",)),
)

PROOF_SECONDS = 60.0
"""Seconds that our clock may be ahead before GitHub refuses an App's proofs."""


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found at GitHub; see `ports.checks.Checks`."""
    api = api_of(checked.settings, BOUNDS)
    if api is None:
        return
    try:
        async for finding in (_of_app if api.access.is_app else _of_token)(checked, api):
            yield finding
    finally:
        await api.close()


# ── A token ─────────────────────────────────────────────────────────────────────────────────────


async def _of_token(checked: Checked, api: Github) -> AsyncIterator[Finding]:
    about, answer = checked.name, await ask_user(api.access)
    for finding in (*accepted(about, answer), *_told_by(answer, about)):
        yield finding
    sees = "give the token *Webhooks* read (a classic one: `read:repo_hook`)"
    may_write = partial(_may_write, about, api.access)
    async for finding in HookCheck(checked, api, "GitHub", NEEDS, sees, may_write).findings():
        yield finding


def _told_by(answer: Answer, about: str) -> Iterator[Finding]:
    """Yield what the headers of an answer tell of the token."""
    headers = answer.headers
    if (scopes := headers.get("x-oauth-scopes")) is not None:  # a classic token
        granted = [scope.strip() for scope in scopes.split(",")]
        if missing := lacking(granted, SCOPES):
            says = f"the token lacks the scope {', '.join(missing)}"
            remedy = "give it the scope `repo`, or use a GitHub App"
            yield Finding(Level.ERROR, "host.scopes", about, says, remedy)
    until = headers.get("github-authentication-token-expiration")
    if until is not None and (ends := seconds_of(until.replace(" +", "+"))) is not None:
        remedy = "make a new one in time, and set it as the token; a GitHub App's key does not end"
        yield expiry_finding("host.token.expiry", about, "the token", ends, time.time(), remedy)


async def _may_write(host: str, access: GithubAccess, name: str) -> Finding | None:
    if (await access.of(name).get("", Rights)).permissions.get("push", True):
        return None
    says = "the token may not write there: comments, statuses and deployments are refused"
    remedy = "give its account the role *Write* there, or use a GitHub App"
    return Finding(Level.ERROR, "host.permissions", f"{host} {name}", says, remedy)


# ── An App ──────────────────────────────────────────────────────────────────────────────────────


async def _of_app(checked: Checked, api: Github) -> AsyncIterator[Finding]:
    about, access = checked.name, api.access
    answer = await access.as_app("/app").ask("GET")
    app = read(_App, answer, access.client.service)
    yield Finding(Level.OK, "host.token", about, f"the key of the App {app.slug} is accepted")
    ahead = ahead_in(answer.headers, time.time())
    for finding in clock_finding("host.clock", about, ahead, refused_at=PROOF_SECONDS):
        yield finding
    needed = [event for event in EVENTS if checked.awaited or event not in CHECK_EVENTS]
    if missing := [event for event in needed if event not in app.events]:
        level = Level.ERROR if NEEDS.push in missing else Level.WARNING
        says = f"the App is not subscribed to {', '.join(missing)}"
        remedy = "choose these events in the App's settings: Permissions & events"
        yield Finding(level, "host.hook.events", about, says, remedy)
    short = _short(app.permissions)
    if writes := [permission for permission in short if permission != _READS_CHECKS]:
        says = f"the App lacks the permissions {', '.join(writes)}"
        remedy = "grant them in the App's settings, and accept them where it is installed"
        yield Finding(Level.ERROR, "host.permissions", about, says, remedy)
    if checked.awaited and _READS_CHECKS in short:
        remedy = "grant it in the App's settings, and accept it where it is installed"
        yield Finding(Level.WARNING, "host.permissions", about, f"the App {_BLIND}", remedy)
    sees = "give the App the permission *Webhooks* read, or look at GitHub"
    installed = partial(_installed, checked, access, set(short))
    async for finding in HookCheck(checked, api, "GitHub", NEEDS, sees, installed).findings():
        yield finding


_READS_CHECKS = f"{CHECKS}: {PERMISSIONS[CHECKS]}"
_BLIND = f"lacks the permission {_READS_CHECKS}: deployments that wait for checks are held"


async def _installed(
    checked: Checked, access: GithubAccess, known: set[str], name: str
) -> Finding | None:
    """Return what is wrong with a repository's installation.

    Args:
        known: permissions that the App itself lacks.
    """
    about, path = f"{checked.name} {name}", f"{access.place(name)}/installation"
    try:
        found = await access.as_app(path).get("", _Installation)
    except NotFound:
        says = "the App is not installed for it: nothing is shown there, and no push is sent"
        remedy = "install the App there, or add the repository to its installation"
        return Finding(Level.ERROR, "host.installation", about, says, remedy)
    if found.suspended_at is not None:
        says, remedy = "the App's installation is suspended", "lift that at GitHub"
        return Finding(Level.ERROR, "host.installation", about, says, remedy)
    short = [permission for permission in _short(found.permissions) if permission not in known]
    remedy = "accept the App's new permissions at GitHub: Settings, GitHub Apps"
    if writes := [permission for permission in short if permission != _READS_CHECKS]:
        says = f"the installation lacks the permissions {', '.join(writes)}"
        return Finding(Level.ERROR, "host.permissions", about, says, remedy)
    if name in checked.pinned and (lacks := _short(found.permissions, MOVES_BRANCHES)):
        says = f"the installation lacks the permission {lacks[0]}: neither pinned apps nor"
        says += " previews of forks can be deployed"
        remedy = "grant the App *Contents*: write, and accept it where it is installed"
        return Finding(Level.ERROR, "host.permissions", about, says, remedy)
    if _READS_CHECKS in short and name in checked.awaited:
        says = f"the installation {_BLIND}"
        return Finding(Level.WARNING, "host.permissions", about, says, remedy)
    return None


def _short(granted: Mapping[str, str], needed: Mapping[str, str] = PERMISSIONS) -> list[str]:
    """Return the permissions that are missing, or only to read, e.g. "statuses: write"."""
    return [
        f"{name}: {level}"
        for name, level in needed.items()
        if granted.get(name) not in (level, "write", "admin")
    ]


class _App(Model):
    slug: str
    permissions: dict[str, str] = Field(default_factory=dict)
    events: list[str] = Field(default_factory=list)


class _Installation(Model):
    permissions: dict[str, str] = Field(default_factory=dict)
    suspended_at: str | None = None
