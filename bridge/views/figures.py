"""What is said about how often, how fast and how well apps are deployed."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bridge.core.chat.calls import Call
from bridge.core.report import DEFINITIONS, ENOUGH, LEFT_OUT, Figures, Report, Spread
from bridge.views.values import Phrase, Strong, Text, Typed, iso, many
from bridge.views.view import Column, Row, Table, View

APP = 200
"""Characters of an app's name."""

SHORT = (
    "live: deploys that went live; a day: how many on a day; lead: from the push until live;"
    " failed: the share that failed, was unhealthy or was rolled back from; restore: from a failure"
    " until live again. Times are medians (p90); with too few cases, their number."
)

COLUMNS = (
    Column("app"),
    Column("live", said="live"),
    Column("a day", said="a day"),
    Column("lead (p90)", long=True, said="lead"),
    Column("failed", long=True, said="failed"),
    Column("restore (p90)", long=True, said="restore"),
)


def report(found: Report, *, is_cut: bool, help_: str, remarks: Sequence[Phrase]) -> View:
    """Report figures in all and by app.

    Args:
        is_cut: they begin with the oldest deployment that is kept.
        help_: how help about them is asked for.
    """
    why = ", when the oldest deployment that is kept was recorded," if is_cut else ""
    span = f"from {_minute(found.since)}{why} to {_minute(found.until)} UTC"
    rows = list(found.apps.items())
    if len(rows) > 1:
        rows.insert(0, ("all apps", found.all))
    if not rows:
        lists = Typed(Call("deployments", {}, "deployments"))
        none: Phrase = ("nothing has ended since then: ", lists, " lists what is in progress")
        return View(none, notes=[(span,)], data=_report_form(found), empty=True, remarks=remarks)
    return View(
        (f"{many(found.all.live, 'live deploy')} {span}",),
        notes=[(span,)],
        parts=[Table(COLUMNS, [_figures_row(*row) for row in rows], ("Figures",))],
        data=_report_form(found),
        hints=[(f"{SHORT} {help_} defines them.",)],
        remarks=remarks,
    )


def _minute(at: float) -> str:
    return (iso(at) or "")[:16].replace("T", " ")


def _figures_row(name: str, of: Figures) -> Row:
    often = "?" if of.per_day is None else f"{of.per_day:.1f}"
    figures = (str(of.live), often, spread_words(of.lead), rate_words(of), restore_words(of))
    return Row(((Strong(Text(name, APP)),), *((one,) for one in figures)), line=_line(name, of))


def _line(name: str, of: Figures) -> Phrase:
    often = "" if of.per_day is None else f" ({of.per_day:.1f} a day)"
    still = f", {of.open} not restored" if of.open else ""
    unknown = f"; {of.unknown} with an unknown outcome" if of.unknown else ""
    words = (
        f": {of.live} live{often}; lead time {spread_words(of.lead)}; change failure rate"
        f" {rate_words(of)}; time to restore {spread_words(of.restore)}{still}{unknown}"
    )
    return (Text(name, APP), words)


def restore_words(of: Figures) -> str:
    """Return how long failures lasted, and how many still do, e.g. "not yet, 1 open"."""
    still_open = f"{of.open} open" if of.open else ""
    restored = spread_words(of.restore) if of.restore.cases or not of.open else "not yet"
    return ", ".join(filter(None, (restored, still_open)))


def rate_words(of: Figures) -> str:
    """Return the share of deploys that failed, e.g. "6% (1 of 18)", "too few (2)", "none"."""
    bad = of.failed + of.unhealthy + of.rolled_back
    if of.failure_rate is None:
        return f"too few ({of.ended})" if of.ended else "none"
    return f"{of.failure_rate:.0%} ({bad} of {of.ended})"


def spread_words(of: Spread) -> str:
    """Return median and 90th percentile, e.g. "3 min (9 min)", "too few (2)", "none"."""
    if of.median is None or of.p90 is None:
        return f"too few ({of.cases})" if of.cases else "none"
    return f"{span(of.median)} ({span(of.p90)})"


def span(seconds: float) -> str:
    """Return how long, in one unit."""
    steps = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"))
    for from_, size, unit in steps:
        if seconds >= from_:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f} {unit}"
    return f"{seconds:.0f} s"


def _report_form(found: Report) -> dict[str, Any]:
    return {
        "since": iso(found.since),
        "until": iso(found.until),
        "all": asdict(found.all),
        "apps": [{"app": name, **asdict(of)} for name, of in found.apps.items()],
        "enough": ENOUGH,
        "definitions": [
            *({"figure": name, "means": words} for name, words in DEFINITIONS.items()),
            {"figure": "all", "means": LEFT_OUT},
        ],
    }
