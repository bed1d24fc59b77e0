"""`deliveries --refused`: which webhooks were refused."""

import time
from typing import TYPE_CHECKING, Any

from bridge.cli.forms import times
from bridge.cli.show import Listing, ago, clean, iso
from bridge.operations.suspects import repository_of, whose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.app.storage import Stores
    from bridge.core.refused import RefusedWebhooks


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


def refused_form(one: "RefusedWebhooks", names: "Mapping[str, str]") -> dict[str, Any]:
    """Return the machine form of refused webhooks of one minute."""
    return {
        "host": one.host or None,
        "reason": one.reason,
        "path": one.path,
        "network": one.network,
        "repository": repository_of(one, names),
        "repository_id": one.repository or None,
        "count": one.count,
        "minute": iso(one.minute),
        "last_at": iso(one.last),
        "why": one.why,
    }


def _row(one: "RefusedWebhooks", names: "Mapping[str, str]", now: float) -> list[str]:
    claim = whose(one, names)
    why = f"{one.why} ({claim})" if claim else one.why
    return [ago(one.last, now), str(one.count), one.reason, one.network, one.path, why]


def _line(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    claim = whose(one, names)
    line = f"{iso(one.last)} {one.reason} {one.path} from {one.network} {times(one.count)}"
    return clean(f"{line}, {claim}: {one.why}" if claim else f"{line}: {one.why}")
