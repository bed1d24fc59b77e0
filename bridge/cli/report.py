"""`report`: how often, how fast and how well apps are deployed."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import known_app
from bridge.cli.context import Config, Json, kept_in, moment_of, run, settings_of
from bridge.cli.deployments import AppOption
from bridge.cli.show import NARROW, Listing, clean, console, hint, iso, say_json
from bridge.core.errors import NotFound, Rejected
from bridge.core.report import DEFINITIONS, ENOUGH, LEFT_OUT

if TYPE_CHECKING:
    from bridge.core.report import Figures, Report, Spread
    from bridge.settings import Settings

NONE = "nothing has ended since then: `dokploy-bridge deployments` lists what is in progress"

HELP = "\n\n".join(
    [
        "Report how often, how fast and how well apps are deployed, in all and by app.",
        *(f"{name.capitalize()}: {words}." for name, words in DEFINITIONS.items()),
        f"{LEFT_OUT.capitalize()}.",
    ]
)
"""The help of `report`, with the definitions."""

SHORT = (
    "live: deploys that went live; a day: how many on a day; lead: from the push until live;"
    " failed: the share that failed, was unhealthy or was rolled back from; restore: from a failure"
    " until live again. Times are medians (p90); with too few cases, their number. `report --help`"
    " defines them."
)


def report(
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="Since when: an age such as 30d or 12w, or a date."
        ),
    ] = "30d",
    app: AppOption = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Report how often, how fast and how well apps are deployed, in all and by app."""
    run(_report(settings_of(config), since, app, json))


async def _report(settings: "Settings", since: str, app: str | None, json: bool) -> None:
    from bridge.core.report import report_of, without_previews

    now = time.time()
    begin = moment_of(since, now)
    if begin is None or begin >= now:
        raise Rejected(
            f"--since {since!r} is not in the past: write an age (30d), or an older date"
        )
    try:
        async with kept_in(settings) as stores:
            app_id = None if app is None else (await known_app(stores.journal, app)).app.id
            ended = await stores.journal.ended_since(begin, app_id)
            if app_id is None:
                apps = [*await stores.journal.apps(), *await stores.journal.gone_apps()]
                ended = without_previews(ended, apps)
            oldest = await stores.journal.oldest_deployment()
    except NotFound:
        if app is not None:
            raise
        ended, oldest = [], None
    is_cut = oldest is not None and oldest > begin
    begin = begin if oldest is None else min(max(begin, oldest), now)
    found = report_of(ended, begin, now)
    if json:
        say_json(_form(found))
        return
    why = ", when the oldest deployment that is kept was recorded," if is_cut else ""
    hint(f"from {_minute(begin)}{why} to {_minute(now)} UTC")
    _say(found)


def _minute(at: float) -> str:
    return (iso(at) or "")[:16].replace("T", " ")


def _say(found: "Report") -> None:
    rows = list(found.apps.items())
    if len(rows) > 1:
        rows.insert(0, ("all apps", found.all))
    narrow = console().width < NARROW
    figures = ("*figures",) if narrow else ("lead (p90)", "failed", "restore (p90)")
    listing: Listing[tuple[str, Figures]] = Listing(
        form=lambda row: row,
        columns=("app", "live", "a day", *figures),
        row=lambda row: _row(*row, narrow=narrow),
        line=lambda row: _line(*row),
        side=3,
    )
    listing.say(rows, NONE, json=False)
    if rows:
        hint(SHORT)


def _row(name: str, of: "Figures", *, narrow: bool) -> list[str]:
    """Return the cells of a row; on a narrow terminal, the last ones are one."""
    head = [clean(name), str(of.live), "?" if of.per_day is None else f"{of.per_day:.1f}"]
    lead, rate, restore = _spread(of.lead), _rate(of), _spread(of.restore)
    restore += f", {of.open} open" if of.open else ""
    if narrow:
        return [*head, f"lead {lead}; failed {rate}; restore {restore}"]
    return [*head, lead, rate, restore]


def _line(name: str, of: "Figures") -> str:
    often = "" if of.per_day is None else f" ({of.per_day:.1f} a day)"
    still = f", {of.open} not restored" if of.open else ""
    unknown = f"; {of.unknown} with an unknown outcome" if of.unknown else ""
    return (
        f"{name}: {of.live} live{often}; lead time {_spread(of.lead)}; change failure rate"
        f" {_rate(of)}; time to restore {_spread(of.restore)}{still}{unknown}"
    )


def _rate(of: "Figures") -> str:
    bad = of.failed + of.unhealthy + of.rolled_back
    if of.failure_rate is None:
        return f"too few ({of.ended})" if of.ended else "none"
    return f"{of.failure_rate:.0%} ({bad} of {of.ended})"


def _spread(of: "Spread") -> str:
    if of.median is None or of.p90 is None:
        return f"too few ({of.cases})" if of.cases else "none"
    return f"{_span(of.median)} ({_span(of.p90)})"


def _span(seconds: float) -> str:
    """Return how long, in one unit."""
    steps = ((172_800, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min"))
    for from_, size, unit in steps:
        if seconds >= from_:
            return f"{seconds / size:.{1 if seconds < 10 * size else 0}f} {unit}"
    return f"{seconds:.0f} s"


def _form(found: "Report") -> dict[str, Any]:
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
