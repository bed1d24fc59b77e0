"""`config check --online`: do the webhooks of the apps' repositories lead here, and send pushes?"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bridge.app.providers import host_apis
from bridge.cli.using import kept_in
from bridge.core.errors import BridgeError, NotFound, Refused
from bridge.core.refused import path_of
from bridge.githosts.server import homes_of
from bridge.pipeline.catchup import leads_here
from bridge.pipeline.reconcile import wanted_of
from bridge.ports.githosts import Hook, ListsHooks

if TYPE_CHECKING:
    from bridge.settings import Settings

WITHIN = 15.0
"""Seconds for a host to list the webhooks of one repository."""

MOST = 50
"""The most repositories of one host to look at."""


@dataclass(frozen=True, slots=True)
class TriedWebhook:
    """The webhooks of one repository that lead here.

    Attributes:
        repository: its name; "" for those beyond `MOST`.
        state: "ok", "trouble" (the host says that nothing is sent), "unseen" (none is listed, which
            may be right), "refused" (the host says no), or "away".
        why: the problem and its remedy; "" if there is none.
    """

    host: str
    repository: str
    state: str
    why: str = ""


FINE = frozenset({"ok", "unseen"})
"""States that are no problem for sure."""


def tried_webhooks(settings: "Settings") -> list[dict[str, Any]]:
    """Return the machine form of looking at the webhooks of all repositories that apps name.

    Only hosts are asked that have a credential, and whose webhooks are accepted.
    """
    return [asdict(one) for one in asyncio.run(_try_all(settings))]


def said_of_webhook(one: dict[str, Any]) -> str:
    """Describe a result to a person."""
    if not one["repository"]:
        return f"{one['host']}: {one['why']}"
    head = f"{one['host']} {one['repository']}"
    return f"{head} sends its pushes here" if one["state"] == "ok" else f"{head}: {one['why']}"


async def _try_all(settings: "Settings") -> list[TriedWebhook]:
    servers = settings.host_servers()
    names = await _repositories(settings)
    apis = host_apis(settings)
    asked = {
        host: api
        for host, api in apis.items()
        if isinstance(api, ListsHooks) and servers[host].serves
    }
    try:
        found = await asyncio.gather(
            *(_try_host(host, api, names.get(host, [])) for host, api in asked.items())
        )
    finally:
        await asyncio.gather(*(api.close() for api in apis.values()))
    return [one for those in found for one in those]


async def _repositories(settings: "Settings") -> dict[str, list[str]]:
    """Return the repositories that known apps deploy from, by host; none before the first start."""
    try:
        async with kept_in(settings) as stores:
            apps = await stores.journal.apps()
    except NotFound:
        return {}
    found: dict[str, list[str]] = {}
    for host, name in sorted(wanted_of(apps, homes_of(settings.host_servers().values()))):
        found.setdefault(host, []).append(name)
    return found


async def _try_host(host: str, api: ListsHooks, names: Sequence[str]) -> list[TriedWebhook]:
    found = [await _try(host, api, name) for name in names[:MOST]]
    if (more := len(names) - MOST) > 0:
        found.append(TriedWebhook(host, "", "unseen", f"{more} more repositories are not checked"))
    return found


async def _try(host: str, api: ListsHooks, name: str) -> TriedWebhook:
    try:
        async with asyncio.timeout(WITHIN):
            hooks = await api.hooks(name)
    except TimeoutError:
        return TriedWebhook(host, name, "away", f"{host} gives no answer within {WITHIN:g} s")
    except BridgeError as error:
        state = "refused" if isinstance(error, Refused) else "away"
        return TriedWebhook(host, name, state, str(error))
    return _judged(host, name, [one for one in hooks if leads_here(host, one)])


def _judged(host: str, name: str, ours: Iterable[Hook]) -> TriedWebhook:
    ours = list(ours)
    if not ours:
        why = (
            f"no webhook that leads to {path_of(host)} is listed: add one, unless its organisation"
            " or the whole server has one, or the token may not list webhooks"
        )
        return TriedWebhook(host, name, "unseen", why)
    if any(one.trouble is None for one in ours):
        return TriedWebhook(host, name, "ok")
    why = "; ".join(f"its webhook {one.id} sends no pushes: {one.trouble}" for one in ours)
    return TriedWebhook(host, name, "trouble", why)
