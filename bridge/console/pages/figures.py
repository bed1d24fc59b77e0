"""Looking back: how often, how fast and how well apps are deployed; and who changed what."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bridge.console.pages.plots import BOTTOM, HEIGHT, TOP, WIDTH, Plot, plots_of
from bridge.console.records import Asked, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.apps import find_app
from bridge.core.errors import Rejected
from bridge.core.lifecycle import LIVE, State
from bridge.core.report import (
    DAY,
    DEFINITIONS,
    LEFT_OUT,
    EndedDeployment,
    Figures,
    held_by_gate,
    report_of,
    stretches_of,
    without_previews,
)
from bridge.views.figures import rate_words, restore_words, spread_words

PERIODS = (7, 30, 90)
"""Days of a report."""

DAYS_EACH = 7
"""The longest period whose plots have days; those of longer ones have weeks."""

TALLEST = 100

MOST_APPS = 50
"""Apps on the page."""


@dataclass(frozen=True, slots=True)
class Day:
    """The deployments that ended on one day.

    Attributes:
        live, failed: how many; live_height, failed_height: of 100 for the busiest day.
    """

    date: date
    live: int
    failed: int
    live_height: int
    failed_height: int


@dataclass(frozen=True, slots=True)
class Worked:
    """The figures of a period, as of one moment: in all, and of the apps that deployed most.

    Attributes:
        apps: each with its name and its id.
    """

    at: float
    all: Figures
    apps: Sequence[tuple[str, str, Figures]]
    more: int
    days: Sequence[Day]
    plots: Sequence[Plot]


async def figures(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Collect the figures of a period."""
    days = asked.number("days", 30)
    if days not in PERIODS:
        raise Rejected(f"The figures are of {', '.join(map(str, PERIODS))} days, not of {days}.")
    key = ("figures", days, records.grants_of(visitor))
    worked = await records.workshop.result(key, lambda: _work_out(records, visitor, days))
    facts = {
        "worked": worked,
        "period": days,
        "periods": PERIODS,
        "definitions": DEFINITIONS,
        "left_out": LEFT_OUT,
        "width": WIDTH,
        "height": HEIGHT,
        "top": TOP,
        "bottom": HEIGHT - BOTTOM,
        "spread": spread_words,
        "rate": rate_words,
        "restore": restore_words,
    }
    return Page("figures", "Figures", facts)


async def _work_out(records: Records, visitor: Visitor, days: int) -> Worked:
    journal, until = records.journal, records.clock()
    since = until - days * DAY
    apps = [*await journal.apps(), *await journal.gone_apps()]
    ended = without_previews(await journal.ended_since(since), apps)
    spans = without_previews(await journal.held_since(since), apps)
    oldest = await journal.oldest_deployment()
    since = since if oldest is None else min(max(since, oldest), until - 1.0)

    def work() -> Worked:
        seen = [one for one in ended if records.may_see(visitor, one.app)]
        held = held_by_gate((one for one in spans if records.may_see(visitor, one.app)), since)
        report = report_of(seen, since, until)
        ids = {f"{one.app} ({one.app_id})": one.app_id for one in seen}
        ids |= {one.app: one.app_id for one in seen}
        busiest = sorted(report.apps.items(), key=lambda one: (-one[1].live, one[0]))
        shown = [(name, ids[name], of) for name, of in sorted(busiest[:MOST_APPS])]
        length, each = ("day", DAY) if days <= DAYS_EACH else ("week", 7 * DAY)
        midnight = until - until % DAY + DAY  # whole days, as people count them
        begin = max(since - since % DAY, midnight - days * DAY)
        plots = plots_of(stretches_of(seen, begin, midnight, each), held, length)
        more = len(busiest) - len(shown)
        return Worked(until, report.all, shown, more, days_of(seen, until, days), plots)

    return await asyncio.to_thread(work)


def days_of(ended: Sequence[EndedDeployment], until: float, count: int) -> list[Day]:
    """Return the days of a period, oldest first."""
    live, failed = Counter[date](), Counter[date]()
    for one in ended:
        day = datetime.fromtimestamp(one.finished_at, UTC).date()
        if one.state in LIVE and one.state is not State.UNHEALTHY:
            live[day] += 1
        elif one.state in (State.FAILED, State.UNHEALTHY):
            failed[day] += 1
    today = datetime.fromtimestamp(until, UTC).date()
    dates = [today - timedelta(days=back) for back in reversed(range(count))]
    most = max((live[day] + failed[day] for day in dates), default=0) or 1
    return [
        Day(
            day,
            live[day],
            failed[day],
            round(TALLEST * live[day] / most),
            round(TALLEST * failed[day] / most),
        )
        for day in dates
    ]


# ── Audit: who changed what, when, and how it ended; and what could not be shown ──────────────────

A_PAGE = 200
"""Entries on a page."""


async def audit(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List the changes that somebody may see, newest first, a page at a time."""
    name, before = asked.text("app"), asked.number("before", 0) or None
    app_id = find_app(records.seen(visitor), name).id if name else None
    found = await records.journal.audited(limit=A_PAGE, app_id=app_id, before=before)
    everything = records.sees_all(visitor)
    entries = [
        one for one in found if everything or (one.app_id and records.may_see(visitor, one.app))
    ]
    tells = everything and before is None
    failing = await records.journal.feedback(limit=A_PAGE, failing=True) if tells else []
    facts = {
        "entries": entries,
        "app": name,
        "failing": failing,
        "older": asked.again(before=found[-1].number) if len(found) == A_PAGE else "",
        "newest": asked.again(before="") if before else None,
    }
    return Page("audit", "Audit", facts, live=before is None)
