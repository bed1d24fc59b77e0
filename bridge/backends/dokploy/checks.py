"""What `doctor` checks at Dokploy: its version and clock, and what the key may do, for how long.

The key was accepted a moment before, when the apps were listed. A refusal now means that its rate
limit is used up: no answer of Dokploy shows the limit itself (docs/notes/0021).
"""

import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden, NotDokploy
from bridge.backends.dokploy.client import Dokploy
from bridge.backends.dokploy.key_check import RefusedJustNow, setting_of
from bridge.core.apps import App, AppKind, SourceType
from bridge.core.errors import KeyRefused, Refused
from bridge.core.pins import pin_of
from bridge.core.policies import Forks
from bridge.ports.checks import Checked, Finding, Level, clock_finding, expiry_finding

if TYPE_CHECKING:
    from bridge.backends.dokploy.settings import DokploySettings

TESTED = "v0.30.2"
"""The version that the bridge is tested with."""

WHOLE = (0, 29, 5)
"""The oldest version with everything that the bridge uses."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")

MOST_VERIFIED = 50
"""Apps with a rule `verify` that are asked about."""

LACKS = {
    "deployment.queueList": "waiting deployments can't be seen, so they may be reported late",
    "deployment.all": "deployments can't be followed: their outcome stays unknown",
    "deployment.readLogs": "logs can't be read, so no reason of a failure is shown",
}
"""What is lost without each query that the bridge uses."""

NEEDS: Mapping[tuple[str, str], tuple[Level, str, str]] = {
    ("deployment", "create"): (Level.ERROR, "may not deploy", "grant that to its user's role"),
    ("deployment", "read"): (Level.ERROR, "may not follow deployments", "grant that, too"),
    ("service", "create"): (
        Level.WARNING,
        "may not create services, and so can't change how apps are configured",
        "grant that to its user if `provider`, `build` and `env` are to be used",
    ),
    ("docker", "read"): (
        Level.OK,
        "may not look into Docker, so which image an app runs is not proven",
        "grant *Access to Docker* to its user if that is to be proven",
    ),
}
"""What the key's role must allow, by resource and action, and what it may not without."""


async def checks(checked: Checked) -> AsyncIterator[Finding]:
    """Yield what is found there; see `ports.checks.Checks`."""
    settings: DokploySettings = checked.settings
    given = settings.model_dump(exclude={"api_key", "allow_kill_build"})
    key = settings.api_key.get_secret_value() if settings.api_key else ""
    client = Dokploy(**given, api_key=key, name=checked.name)
    try:
        async for finding in _of(checked, client, key):
            yield finding
    except (KeyRefused, RefusedJustNow):
        says = "it accepted the key and refuses it now: the key has a rate limit, which is used up"
        remedy = f"make a key without a rate limit, and set it as {setting_of(checked.name)}"
        yield Finding(Level.ERROR, "backend.rate_limit", checked.name, says, remedy)
    finally:
        await client.close()


async def _of(checked: Checked, client: Dokploy, key: str) -> AsyncIterator[Finding]:
    about = checked.name
    version = await client.version()
    if client.has_dashboard:
        yield _of_version(about, version)
    for finding in clock_finding("backend.clock", about, client.clock_ahead(time.time())):
        yield finding
    async for finding in _of_queries(about, client, checked.apps):
        yield finding
    forks = _of_forks(checked.apps) if client.has_dashboard else ()
    for finding in (*_of_previews(checked.apps), *forks):
        yield finding
    if client.has_dashboard:
        async for finding in _of_verified(client, checked):
            yield finding
        async for finding in _of_key(about, client, key):
            yield finding


def _of_version(about: str, version: str | None) -> Finding:
    if version is None:
        return Finding(Level.OK, "backend.version", about, "its version can't be read")
    parts = _VERSION.match(version)
    if parts and tuple(map(int, parts.groups())) < WHOLE:
        oldest = ".".join(map(str, WHOLE))
        says = f"it is {version}; before v{oldest} it lacks what the bridge uses to follow builds"
        remedy = f"update Dokploy; the bridge is tested with {TESTED}"
        return Finding(Level.WARNING, "backend.version", about, says, remedy)
    return Finding(Level.OK, "backend.version", about, f"it is {version}")


def _of_previews(apps: Sequence[App]) -> Iterator[Finding]:
    """Yield the apps whose pull requests have two previews: Dokploy's own and the bridge's."""
    for app in apps:
        if app.previews_twice:
            says = "Dokploy makes previews of its pull requests, too, so each has two"
            remedy = (
                "switch *Preview Deployments* off for it in Dokploy, or take `previews` out of its"
                " rule"
            )
            yield Finding(Level.WARNING, "app.previews.twice", app.label, says, remedy)


def _of_forks(apps: Sequence[App]) -> Iterator[Finding]:
    """Yield whose CI runs approved pull requests from forks, which Dokploy builds from branches."""
    for app in apps:
        policy = app.rules.previews
        if policy is None or not app.previewed or policy.forks is Forks.NEVER:
            continue
        level, says, remedy = Level.OK, "approved forks are built from branches of a mirror", ""
        if policy.mirror_for_forks is None and policy.ci_secrets_for_forks:
            says = "CI runs approved forks with the secrets of the repository, as its rule accepts"
        elif policy.mirror_for_forks is None:
            level = Level.WARNING
            says = (
                "pull requests from forks get no preview: Dokploy builds only branches, and CI"
                " would run a fork's branch with the secrets of the repository"
            )
            remedy = (
                "name a fork of it without secrets in the rule, `mirror_for_forks`; or accept that,"
                " `ci_secrets_for_forks: true`; or write `forks: never`"
            )
        yield Finding(level, "app.previews.forks", app.label, says, remedy)


# ── Queries ─────────────────────────────────────────────────────────────────────────────────────


async def _of_queries(about: str, client: Dokploy, apps: Sequence[App]) -> AsyncIterator[Finding]:
    """Try each query that following a deployment needs; nothing is changed."""
    missing: list[str] = []
    forbidden: list[str] = []
    newest = None
    try:
        if await client.queue() is None:
            missing.append("deployment.queueList")
    except Forbidden:
        forbidden.append("deployment.queueList")
    if apps:
        try:
            newest = next(iter(await client.deployments(apps[0])), None)
        except Forbidden:
            forbidden.append("deployment.all")
        except Refused as error:
            if error.status != 404:
                raise
            missing.append("deployment.all")
    if newest is not None and not await client.log_tail(newest, 1):
        missing.append("deployment.readLogs")
    for name in missing:
        says = f"it does not answer {name}: {LACKS[name]}"
        yield Finding(Level.WARNING, "backend.query", about, says, "update Dokploy")
    for name in forbidden:
        says = f"the key may not ask {name}: {LACKS[name]}"
        remedy = "give the key's user access to the services that deploy"
        yield Finding(Level.ERROR, "backend.role", about, says, remedy)


# ── Verified apps ───────────────────────────────────────────────────────────────────────────────


async def _of_verified(client: Dokploy, checked: Checked) -> AsyncIterator[Finding]:
    """Yield what prevents the rules of apps from being followed; ask only about those apps."""
    verified = [app for app in checked.apps if app.verify is not None]
    for app in verified[:MOST_VERIFIED]:
        try:
            if await _not_looked_at(client, app):
                says = "it has no address, and its containers can't be read: it is never verified"
                remedy = "add a domain in Dokploy, or write a whole address in `verify.url`"
                yield Finding(Level.WARNING, "app.verify", app.label, says, remedy)
            if await _keeps_nothing(client, app):
                says = "`verify.rollback` is set, and Dokploy keeps no earlier version of it"
                remedy = "switch on *Rollbacks* for the app in Dokploy, with a registry"
                yield Finding(Level.WARNING, "app.rollback", app.label, says, remedy)
        except Refused:  # it is gone, or not shown: the apps were listed without it
            continue


async def _not_looked_at(client: Dokploy, app: App) -> bool:
    """Return whether there is nothing to look at."""
    assert app.verify is not None
    if app.url is not None or not app.verify.url.startswith("/"):
        return False
    return not app.verify.containers or await client.containers(app) is None


async def _keeps_nothing(client: Dokploy, app: App) -> bool:
    """Return whether an app could not be rolled back by itself, as its rule says."""
    if app.verify is None or not app.verify.rollback or app.kind is not AppKind.APPLICATION:
        return False
    by_source = pin_of(app) is not None or app.rules.pin
    if by_source or (app.source is not None and app.source.type is SourceType.DOCKER):
        return False
    return await client.keeps(app) is False


# ── The key ─────────────────────────────────────────────────────────────────────────────────────


async def _of_key(about: str, client: Dokploy, key: str) -> AsyncIterator[Finding]:
    try:
        whose, granted = await client.whose(), await client.permissions()
    except Refused:
        return  # it is too old to tell
    except NotDokploy:  # an empty answer
        says = "the key's user is no longer in the organisation"
        remedy = f"make a key for a user who is, and set it as {setting_of(about)}"
        yield Finding(Level.ERROR, "backend.role", about, says, remedy)
        return
    short = [one for (of, what), one in NEEDS.items() if granted.get(of, {}).get(what) is False]
    for level, lacks, remedy in short:
        says = f"the key has the role {whose.role}, which {lacks}"
        yield Finding(level, "backend.role", about, says, remedy)
    if not short:
        yield Finding(Level.OK, "backend.role", about, f"the key has the role {whose.role}")
    if (ours := _ours(whose.api_keys, key)) is not None and ours.expires_at is not None:
        remedy = f"make a new one in time, and set it as {setting_of(about)}"
        now = time.time()
        yield expiry_finding("backend.key.expiry", about, "the key", ours.expires_at, now, remedy)


def _ours(keys: Sequence[models.ApiKey], key: str) -> models.ApiKey | None:
    """Return which of a user's keys is ours: the only one, or the one with our prefix."""
    if len(keys) == 1:
        return keys[0]
    fits = [known for known in keys if known.prefix and key.startswith(known.prefix)]
    return fits[0] if len(fits) == 1 else None
