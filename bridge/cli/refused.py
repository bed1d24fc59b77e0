"""Refused webhooks: the list of them, and a sentence where somebody misses a delivery."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.cli.cleaning import clean
from bridge.cli.show import Listing, ago, hint, iso
from bridge.core.log_text import shorten

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app.storage import Stores
    from bridge.core.likely import Cause
    from bridge.core.refused import RefusedWebhooks
    from bridge.core.watch import Source

RECENT = 7 * 86_400.0
"""Seconds for which a refusal may be why something is missing."""

SEARCHED = 20_000
"""So many of the newest counts are looked through for what may be missing: all that are kept, so
that a flood hides nothing."""

LONGEST_PATH = 48
"""Characters of a path within a sentence; the list has all that is kept of it."""

_MORE = "see `dokploy-bridge deliveries --refused`"

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


@dataclass(frozen=True, slots=True)
class Suspects:
    """Refused webhooks that may be what somebody misses.

    Attributes:
        head: how many there were, and since when.
        causes: in words, the likeliest first.
    """

    head: str
    causes: "Sequence[str]"

    def tell(self) -> None:
        """Tell a person, each of several causes on a line of its own."""
        if len(self.causes) == 1:
            hint(clean(f"{self.head}, {self.causes[0]}; {_MORE}"), "yellow")
            return
        hint(f"{self.head}, likeliest first:", "yellow")
        for cause in self.causes:
            hint(clean(cause), "yellow", indent=2)
        hint(_MORE, "yellow")


async def suspects(
    stores: "Stores", source: "Source | None", now: float, since: float = 0.0
) -> Suspects | None:
    """Return what was refused lately and may be what somebody misses; None for nothing.

    Args:
        source: where the app that misses something deploys from; None where nobody knows.
        since: what was refused before is not missed.
    """
    from bridge.core.likely import MOST_CAUSES, causes, missed_by

    refused = await stores.journal.refused(limit=SEARCHED, since=max(since, now - RECENT))
    if not refused:
        return None
    names = await stores.journal.repositories()
    found = causes(refused, missed_by(source, names), names, now)
    if not found:
        return None
    count = sum(one.count for one in found)
    what = "1 webhook was refused" if count == 1 else f"{count} webhooks were refused"
    when = "since then" if since > now - RECENT else "in the last 7 days"
    head = f"{what} {when}"
    if len(found) == 1:
        one = found[0].newest
        told = [f"the newest {ago(one.last, now)} at {_path(one)} ({_said_of(one, names)})"]
    else:
        told = [_told(one, names, now) for one in found[:MOST_CAUSES]]
    return Suspects(head, told)


def _told(cause: "Cause", names: "Mapping[str, str]", now: float) -> str:
    """E.g. `17 at /hooks/github, the newest 30 s ago (no signature; says it is of o/r)`."""
    one = cause.newest
    newest = "the newest " if cause.count > 1 else ""
    when = f"{newest}{ago(one.last, now)}"
    return f"{cause.count} at {_path(one)}, {when} ({_said_of(one, names)})"


def _path(one: "RefusedWebhooks") -> str:
    return shorten(clean(one.path), LONGEST_PATH)


def _said_of(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    return "; ".join(filter(None, [one.why, _whose(one, names)]))


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
