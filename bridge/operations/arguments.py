"""The types of arguments: how each is written, read and explained, once for all doors."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

from bridge.core import apps
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.gates import locks
from bridge.core.gates.freezes import EXCEPTIONS, Allowed
from bridge.core.holds import MOST_OF_A_REASON
from bridge.core.log_text import shorten
from bridge.operations.base import Context, Kind, Several, Took, Unfound

# ── what it is about ──────────────────────────────────────────────────────────────────────────────


def app_named(text: str, ctx: Context) -> apps.App:
    """Return the app that somebody means, among those that they may view.

    Raises:
        NotAllowed: they may view none.
        Unfound: none or several fit.
    """
    return _found(text, ctx)


def _found(text: str, ctx: Context, gone: Sequence[apps.App] = ()) -> apps.App:
    seen = ctx.seen()
    if not ctx.sees():
        ctx.desk.finding.must_see_some(ctx.person, [*seen, *gone], ctx.right, text)
    try:
        return apps.find_app(seen, text, gone)
    except NotFound as error:
        ctx.desk.finding.refresh()  # it may have been created just now: the next attempt finds it
        if len(gone := apps.named(ctx.desk.gone, text)) == 1:
            raise NotFound(
                f"{gone[0].label} is gone from the backends; `dokploy-bridge deployments --app"
                f" {gone[0].id}` lists what was deployed"
            ) from None
        several = isinstance(error, Ambiguous)
        why = f"{text!r} fits several apps" if several else f"there is no app {text!r}"
        if not several and ctx.sees() and (away := ctx.desk.trouble().values()):
            why = f"{why}; a backend that may have it can't be read: {'; '.join(away)}"
            raise Unfound(why, why, ()) from None
        like = [one.label for one in apps.apps_like(ctx.seen(ctx.right), text)]
        raise (Several if several else Unfound)(str(error), why, like) from None


@dataclass(frozen=True, slots=True)
class Known:
    """An app with a history.

    Attributes:
        gone: it was deleted at its backend, or the backend was removed.
        remark: what to know of its name: that it is gone, or that an earlier app had the same.
    """

    app: apps.App
    gone: bool = False
    remark: str = ""


async def known_named(text: str, ctx: Context) -> Known:
    """Return the app that somebody means, live or gone, for its history; raise as `app_named`."""
    gone = await ctx.seen_gone()
    app = _found(text, ctx, gone)
    if app in gone:
        remark = f"{app.label} ({app.id}) is gone from the backends; this is its history"
        return Known(app, True, remark)
    same = [one.id for one in gone if one.label == app.label]
    if not same:
        return Known(app)
    return Known(
        app, remark=f"an earlier {app.label} is gone; its history is under its id, {same[-1]}"
    )


def scope_named(text: str, ctx: Context) -> locks.Scope:
    """Return the scope that somebody means, among what they may view; raise as `app_named`."""
    seen = ctx.seen()
    try:
        return locks.scope_named(text, seen)
    except Ambiguous:
        raise
    except NotFound:
        found = app_named(text, ctx)
        return locks.Scope(f"app/{found.id}", found.label)


APP_HELP = "Its label (project/app), name, or id."
SCOPES = "An app, a project, PROJECT/ENVIRONMENT, or all."

App = Annotated[apps.App, Kind("APP", app_named, APP_HELP, checked=True, completes="app")]
MaybeApp = Annotated[apps.App | None, Kind("APP", app_named, APP_HELP, completes="app")]
KnownApp = Annotated[
    Known,
    Kind("APP", known_named, APP_HELP, completes="app"),
]
SEARCHED = 10_000
"""The number of newest changes to search for a deleted app."""


async def _audited_named(text: str, ctx: Context) -> str:
    """Return the id of an app, also of one of which nothing but its changes are known."""
    try:
        return (await known_named(text, ctx)).app.id
    except NotFound:
        for one in await ctx.desk.journal.audited(limit=SEARCHED):
            if text in (one.app, one.app_id) and ctx.sees(one.app):
                return one.app_id
        raise


OF_APP = Kind(
    *("APP", known_named, "Only of this app, even a deleted one."),
    option="app",
    short="a",
    completes="app",
)
OfApp = Annotated[Known | None, OF_APP]
AuditedApp = Annotated[str | None, replace(OF_APP, read=_audited_named)]
ItsApp = Annotated[
    Known | None,
    replace(OF_APP, help="Its app, if several have a deployment with that number."),
]
Scope = Annotated[locks.Scope, Kind("SCOPE", scope_named, SCOPES, checked=True)]


# ── words, times ──────────────────────────────────────────────────────────────────────────────────


def _words(text: str, _: Context) -> str:
    return text


DeploymentName = Annotated[str, Kind("ID", _words, "Its id, the start of it, or its number.")]


def after(keyword: str) -> Any:
    """Return how one word is found after a keyword, e.g. "limit 5"."""

    def takes(words: Sequence[str]) -> Took | None:
        return (words[1], 2) if len(words) > 1 and words[0].lower() == keyword else None

    return takes


_AGE = re.compile(r"([0-9]{1,6}) ?(s|m|min|h|d|w)").fullmatch
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def moment_of(text: str, now: float) -> float:
    """Return the time that somebody means, in seconds since 1970; without a zone, this machine's.

    Raises:
        Rejected: it is neither an age nor a time.
    """
    if age := _AGE(text.strip()):
        return now - int(age[1]) * _SECONDS[age[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise Rejected(
            f"--since {text!r} is no time: write an age (30m, 2h, 3d, 1w), a date (2026-01-31),"
            " or a time (2026-01-31T12:00, with Z for UTC)"
        ) from None


Period = Annotated[
    str,
    Kind(
        *("TIME", _words, "Since when: an age such as 30d or 12w, or a date."),
        *("since 12w", "since"),
        takes=after("since"),
    ),
]

MOST = 10_000
"""The most that can be listed."""


def _limit(text: str, _: Context) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= MOST:
        raise Rejected(f"{text!r} is no number from 1 to {MOST}")
    return int(text)


Limit = Annotated[
    int,
    Kind(
        *("NUMBER", _limit, "At most this many.", "limit 5", "limit", "n"),
        takes=after("limit"),
        number=(1, MOST),
    ),
]

LogLines = Annotated[
    int,
    Kind(
        *("NUMBER", _limit, "At most this many lines, from the end.", "lines 100", "lines", "n"),
        takes=after("lines"),
        number=(1, MOST),
    ),
]
LogOf = Annotated[
    str | None,
    Kind(
        *("ID", _words, "Deployment to show: its number, its id, or its id at the backend."),
        *("deployment 4711", "deployment", "d"),
        takes=after("deployment"),
    ),
]
Raw = Annotated[bool, Kind("", _words, flag=True, hidden=True)]
"""With the values of variables and other secrets; only the command line gives it."""

FOR, UNTIL, MERGE = "for", "until", "merge"


def _keyword(*kinds: str) -> Any:
    """Return how a time is found that begins with its keyword, e.g. "for 2h"."""

    def takes(words: Sequence[str]) -> Took | None:
        from bridge.core.chat.when import merge_in, when_in

        found = when_in(words, kinds)
        ours = found is not None and (merge_in(found.text) is not None) == (MERGE in kinds)
        return (found.text, found.words) if found is not None and ours else None

    return takes


@dataclass(frozen=True, slots=True)
class End:
    """When something ends.

    Attributes:
        at: seconds since 1970.
        zone: in which somebody has said it; "" if they said for how long.
    """

    at: float
    zone: str = ""


def _until(text: str, ctx: Context) -> End:
    from bridge.core.chat.when import ends_at, zone_of

    said = text if text.startswith(f"{UNTIL} ") else f"{UNTIL} {text}"
    return End(ends_at(said, ctx.desk.clock()), zone_of(said).key)


def _lasts(text: str, _: Context) -> float:
    from bridge.core.words import read_duration

    return read_duration(text.removeprefix(f"{FOR} "))


def _merge(text: str, _: Context) -> locks.PullName:
    from bridge.core.chat.when import merge_in

    named = merge_in(text) or locks.pull_named(text)
    if named is None:
        raise Rejected(
            f"{text!r} names no pull request: write e.g. #12, acme/shop#12 or its address"
        )
    return named


def end_of(lasts: float | None, until: End | None, now: float) -> End | None:
    """Return the end that somebody means; None if they name none.

    Raises:
        Rejected: they name two.
    """
    if lasts is not None and until is not None:
        raise Rejected("give `until` or `for`, not both")
    return until if lasts is None else End(now + lasts)


def _allowed(text: str, _: Context) -> Allowed:
    known = {str(one): one for one in EXCEPTIONS}
    if text not in known:
        raise Rejected(f"{text!r} can't be let through: write {', '.join(known)}")
    return known[text]


def _takes_allowed(words: Sequence[str]) -> Took | None:
    """Find "allow rollback"; a reason may begin with "allow" as well."""
    said = [word.lower().rstrip(",:") for word in words[:2]]
    fits = len(said) == 2 and said[0] == "allow" and said[1] in set(EXCEPTIONS)
    return (said[1], 2) if fits else None


Filter = Annotated[
    tuple[str, ...],
    Kind(
        *("WORD", _words, "Only apps whose name or source contains all of these words.", "FILTER"),
        rest=True,
        many=True,
    ),
]
Gone = Annotated[
    bool,
    Kind(
        "", _words, "Apps that were deleted, or whose backend was removed.", "", "gone", flag=True
    ),
]
EveryApp = Annotated[
    bool,
    Kind("", _words, "Also the apps of previews, which `previews` lists.", "", "all", flag=True),
]
EveryPull = Annotated[
    bool,
    Kind("", _words, "Also pull requests without a preview, and why.", "", "all", flag=True),
]
Reason = Annotated[
    str,
    Kind(
        *("REASON", _words, "Why; others will read it."),
        option="reason",
        short="m",
        rest=True,
        most=MOST_OF_A_REASON,
    ),
]
For = Annotated[
    float | None,
    Kind(
        *("DURATION", _lasts, "How long, e.g. 90m, 2h or 1d.", "for 2h", "for"),
        takes=_keyword(FOR),
    ),
]
Until = Annotated[
    End | None,
    Kind(
        *("TIME", _until, "Its end, e.g. '18:00 Europe/Berlin'; in UTC without a zone."),
        *("until 18:00", "until"),
        takes=_keyword(UNTIL),
    ),
]
UntilMerge = Annotated[
    locks.PullName | None,
    Kind(
        *("PULL_REQUEST", _merge),
        "Until it is merged or closed, e.g. '#12', 'acme/shop#12' or its address.",
        *("until merge of #12", "until-merge"),
        takes=_keyword(UNTIL, MERGE),
    ),
]
Allow = Annotated[
    tuple[Allowed, ...],
    Kind(
        *("KIND", _allowed, f"What passes: {', '.join(EXCEPTIONS)}."),
        *("allow rollback", "allow"),
        takes=_takes_allowed,
        many=True,
    ),
]
Steal = Annotated[bool, Kind("", _words, "Take it from its owner.", option="steal", flag=True)]

_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}").fullmatch


def _commit(text: str, _: Context) -> str:
    if not _COMMIT(text):
        raise Rejected(f"{text!r} is no commit: give at least 4 digits of its object id")
    return text.lower()


_PUSHED = re.compile(r"[0-9a-fA-F]{1,64}").fullmatch


def _pushed(text: str, _: Context) -> str:
    if not _PUSHED(text):
        raise Rejected(
            f"{shorten(text, 60)!r} is no commit: give 1 to 64 digits of 0-9 a-f, e.g. 18f234f;"
            " without a commit, `why` shows the newest of all branches"
        )
    return text.lower()


PushedCommit = Annotated[str | None, Kind("COMMIT", _pushed, "Only for this commit.")]
Commit = Annotated[
    str | None,
    Kind(
        *("COMMIT", _commit, "The commit that you have looked at; refused if it is another now."),
        option="commit",
    ),
]


PreviewCommit = Annotated[
    str | None,
    Kind(
        *("COMMIT", _commit),
        "The commit that you have looked at; refused if there is a newer one.",
        option="commit",
        takes=lambda words: (words[0], 1) if _COMMIT(words[0]) else None,
    ),
]


def _at(text: str, ctx: Context) -> End:
    from bridge.core.chat.when import AT, ends_at, zone_of

    said = text if text.startswith(f"{AT} ") else f"{AT} {text}"
    return End(ends_at(said, ctx.desk.clock()), zone_of(said).key)


Branch = Annotated[
    str | None,
    Kind("BRANCH", _words, "The branch that you mean.", option="branch", behind="@"),
]
At = Annotated[
    End | None,
    Kind(
        *("TIME", _at, "Not before, e.g. '22:00 Europe/Berlin'.", "at 22:00", "at"),
        takes=_keyword("at"),
    ),
]
Version = Annotated[
    str | None,
    Kind(
        *("VERSION", _words),
        "A commit, tag, image or deployment; by default the previous healthy version.",
        option="to",
    ),
]
Source = Annotated[
    apps.App,
    Kind(
        *("from APP", app_named, "The app whose version it gets.", "from shop/staging"),
        takes=after("from"),
        completes="app",
    ),
]

DeliveryName = Annotated[str, Kind("ID", _words, "Its id, or the start of it.")]
AsItWas = Annotated[
    bool,
    Kind(
        *("", _words, "Deploy exactly the commits that it has deployed, whatever the rules say."),
        option="as-it-was",
        flag=True,
    ),
]
FeedbackName = Annotated[
    str | None, Kind("ID", _words, "Its id, as it is listed, or the beginning of it.")
]
OnlyFailing = Annotated[
    bool, Kind("", _words, "Only what fails at the moment.", "", "failing", flag=True)
]
AllFailing = Annotated[bool, Kind("", _words, "All that fail or are parked.", "", "all", flag=True)]

# ── what a door gives along with what was shown ───────────────────────────────────────────────────


def _split(text: str, _: Context) -> tuple[str, ...]:
    return tuple(text.split())


Seen = Annotated[tuple[str, ...] | None, Kind("SEEN", _split, hidden=True)]
"""What the person has seen and agreed to, in words that the operation's plan has given."""

Of = Annotated[str | None, Kind("DEPLOYMENT", _words, hidden=True)]
"""The id of the deployment that was shown."""
