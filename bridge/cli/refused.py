"""Refused webhooks: the list of them, and a sentence where somebody misses a delivery."""

import time
from typing import TYPE_CHECKING, Any

from bridge.cli.cleaning import clean
from bridge.cli.show import Listing, ago, iso

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app.storage import Stores
    from bridge.core.refused import RefusedWebhooks

RECENT = 7 * 86_400.0
"""Seconds for which a refusal may be why something is missing."""

SEARCHED = 1000
"""So many of the newest counts are looked through for what may be missing."""

NONE = "no webhook has been refused in the last 30 days"

COLUMNS = ("last", "times", "reason", "from", "*path", "*why")


async def list_refused(stores: "Stores", limit: int, since: float | None, *, json: bool) -> None:
    """Show which webhooks were refused, newest first."""
    names = await stores.journal.repositories()
    found = await stores.journal.refused(limit=limit, since=since)
    now = time.time()
    listing: Listing[RefusedWebhooks] = Listing(
        form=lambda one: refused_form(one, names),
        columns=COLUMNS,
        row=lambda one: _row(one, names, now),
        line=lambda one: _line(one, names),
        side=4,
    )
    listing.say(found, NONE, json=json)


async def missing(stores: "Stores", host: str | None, now: float, since: float = 0.0) -> str:
    """What was refused lately and may be what somebody misses, in a sentence; "" for nothing.

    Args:
        host: whose webhook is missed; None where nobody knows.
        since: what was refused before is not missed.
    """
    found = await stores.journal.refused(limit=SEARCHED, since=max(since, now - RECENT))
    fitting = [one for one in found if host is None or one.host in (host, "")]
    if not fitting:
        return ""
    count = sum(one.count for one in fitting)
    newest = fitting[0]
    what = "1 webhook was refused" if count == 1 else f"{count} webhooks were refused"
    when = "since then" if since > now - RECENT else "in the last 7 days"
    return (
        f"{what} {when}, the newest {ago(newest.last, now)} at {newest.path}"
        f" ({newest.why}); see `dokploy-bridge deliveries --refused`"
    )


def refused_form(one: "RefusedWebhooks", names: "Mapping[str, str]") -> dict[str, Any]:
    """The machine form of refused webhooks of one minute."""
    return {
        "host": one.host or None,
        "reason": one.reason,
        "path": one.path,
        "network": one.network,
        "repository": names.get(_key(one)),
        "repository_id": one.repository or None,
        "count": one.count,
        "minute": iso(one.minute),
        "last_at": iso(one.last),
        "why": one.why,
    }


def _key(one: "RefusedWebhooks") -> str:
    return f"{one.host} {one.repository}"


def _whose(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    """Of which repository it says it is; nobody has checked that."""
    if not one.repository:
        return ""
    return f"says it is of {names.get(_key(one)) or f'repository {one.repository}'}"


def _row(one: "RefusedWebhooks", names: "Mapping[str, str]", now: float) -> list[str]:
    whose = _whose(one, names)
    why = f"{one.why} ({whose})" if whose else one.why
    return [ago(one.last, now), str(one.count), one.reason, one.network, one.path, why]


def _line(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    whose = _whose(one, names)
    line = f"{iso(one.last)} {one.reason} {one.path} from {one.network} {one.count} times"
    return clean(f"{line}, {whose}: {one.why}" if whose else f"{line}: {one.why}")
