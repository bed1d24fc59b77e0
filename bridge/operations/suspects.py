"""Refused webhooks that may explain a missing push: find them, and say what they were."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.log_text import harmless, shorten
from bridge.core.refused import MOST_CAUSES, Cause, RefusedWebhooks, causes, missed_by
from bridge.views.refused import whose
from bridge.views.values import Form, Moment, Phrase, Text
from bridge.views.view import Item, Lines, Weight

if TYPE_CHECKING:
    from bridge.core.apps import Source
    from bridge.ports.clock import Clock
    from bridge.ports.journal import Journal

RECENT = 7 * 86_400.0
"""Seconds for which a refused webhook may explain a missing push."""

SEARCHED = 20_000
"""The number of newest counts to search for missing pushes: all that are kept, so a flood hides
nothing."""

LONGEST_PATH = 48
"""The most characters of a path in a sentence; the list shows the whole kept path."""

LONGEST_WHY = 500
MORE = "see `dokploy-bridge deliveries --refused`"


@dataclass(frozen=True, slots=True)
class Suspects:
    """Looks among refused webhooks for a missing push.

    Attributes:
        hosts: the kinds of Git hosts.
        servers: the names of the servers of hosts.
        homes: these by their addresses; see `refs.home_of`.
    """

    journal: "Journal"
    clock: "Clock"
    hosts: Collection[str]
    servers: Collection[str]
    homes: Mapping[str, str]

    async def of(self, source: "Source | None", since: float = 0.0) -> list[Lines]:
        """Return what was refused of late, each of several causes on its own line.

        Args:
            source: of the app that misses a push; None if unknown.
            since: ignore webhooks that were refused earlier, e.g. before the last known push.
        """
        now = self.clock()
        refused = await self.journal.refused(limit=SEARCHED, since=max(since, now - RECENT))
        names = await self.journal.repositories() if refused else {}
        missed = missed_by(source, names, self.hosts, self.homes)
        found = causes(refused, missed, names, now, self.servers)
        count = sum(one.count for one in found)
        what = "1 webhook was refused" if count == 1 else f"{count} webhooks were refused"
        head = f"{what} {'since then' if since > now - RECENT else 'in the last 7 days'}"
        if len(found) > 1:
            items = [Item(_cause(one, names)) for one in found[:MOST_CAUSES]]
            head = f"{head}, likeliest first:"
            return [Lines(head, items, weight=Weight.ASIDE, hint=(MORE,))]
        told = [(f"{head}, the newest ", *_newest(one.newest, names)) for one in found]
        return [Lines("", [Item((*one, f"; {MORE}"))], weight=Weight.ASIDE) for one in told]


def _cause(cause: Cause, names: Mapping[str, str]) -> Phrase:
    """E.g. `17 at /hooks/github, the newest 30 s ago (no signature; claims to be from o/r)`."""
    one = cause.newest
    newest = ", the newest " if cause.count > 1 else ", "
    return (f"{cause.count} at ", _path(one), newest, _age(one), " ", _why(one, names))


def _newest(one: RefusedWebhooks, names: Mapping[str, str]) -> Phrase:
    return (_age(one), " at ", _path(one), " ", _why(one, names))


def _age(one: RefusedWebhooks) -> Moment:
    return Moment(one.last, form=Form.AGE)


def _path(one: RefusedWebhooks) -> Text:
    return Text(shorten(harmless(one.path).strip(), LONGEST_PATH), LONGEST_PATH)


def _why(one: RefusedWebhooks, names: Mapping[str, str]) -> Text:
    return Text(f"({'; '.join(filter(None, [one.why, whose(one, names)]))})", LONGEST_WHY)
