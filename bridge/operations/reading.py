"""What only reads: who may do what, what there is, what happened, and why."""

from collections.abc import Mapping, Sequence

from bridge.core.access import Right
from bridge.core.apps import App, of_people
from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.lifecycle import Deployment
from bridge.core.report import DEFINITIONS, LEFT_OUT, report_of, without_previews
from bridge.operations.arguments import (
    DeploymentName,
    EveryApp,
    Filter,
    Gone,
    ItsApp,
    Known,
    Limit,
    MaybeApp,
    OfApp,
    Period,
    moment_of,
)
from bridge.operations.base import Context, operation
from bridge.views import apps as of_apps
from bridge.views import deployment_lists, figures
from bridge.views import reading as views
from bridge.views.reading import NAME
from bridge.views.values import Moment, Phrase, Text
from bridge.views.view import View

LOOK = "Look"


@operation("whoami", family=LOOK, aliases={"me": {}}, examples=("whoami",))
async def whoami(ctx: Context) -> View:
    """Show who you are here, and what you may do."""
    rights = {right: [app.label for app in of_people(ctx.seen(right))] for right in Right}
    return views.identity(ctx.person, rights)


# ── apps ──────────────────────────────────────────────────────────────────────────────────────────


@operation(
    "apps",
    family=LOOK,
    lists=True,
    aliases={"list": {}, "ls": {}},
    examples=("apps", "apps shop web", "apps my-org/mono --json", "apps --all"),
)
async def apps(
    ctx: Context, words: Filter = (), gone: Gone = False, every: EveryApp = False
) -> View:
    """List the apps: what is live since when, and what deploys each, including our own rules."""
    journal = ctx.desk.journal
    there = await ctx.seen_gone() if gone else ctx.seen()
    found = of_apps.having(there if every else of_people(there), words)
    last = await journal.last_deployments()
    if gone:
        return of_apps.gone_list(found, last)
    none = ctx.desk.no_apps
    if there and not found:
        none = f"no app has {' and '.join(map(repr, words))} in its name or source"
    live = await journal.serving(found)
    return of_apps.listed(found, last, live, none, await troubles(ctx, []))


@operation("status", family=LOOK, lists=True, examples=("status", "status shop/web"))
async def status(ctx: Context, app: MaybeApp = None) -> View:
    """Show how an app stands, or what is under way, held or broken of all."""
    journal = ctx.desk.journal
    going, last = await journal.open_deployments(), await journal.last_deployments()
    if app is not None:
        open_ = [one for one in going if one.app_id == app.id]
        newest = max([*open_, *([last[app.id]] if app.id in last else [])], key=_seq, default=None)
        live = await journal.serving_of(app)
        return of_apps.status(app, newest, live, await troubles(ctx, [app]))
    seen = ctx.seen()
    ids = {one.id for one in seen}
    return of_apps.status_of_all(
        of_people(seen),
        [one for one in going if one.app_id in ids],
        {id_: one for id_, one in last.items() if id_ in ids},
        await troubles(ctx, []),
    )


def _seq(deployment: Deployment) -> int:
    return deployment.seq


# ── deployments ───────────────────────────────────────────────────────────────────────────────────

PAGE = 1000
"""Deployments to read at once, while those of certain apps are looked for."""


@operation(
    "deployments",
    family=LOOK,
    lists=True,
    aliases={"history": {}},
    examples=("deployments", "deployments --app shop/web --limit 5"),
)
async def deployments(ctx: Context, app: OfApp = None, limit: Limit = 20) -> View:
    """List what was deployed, newest first."""
    found = await _newest(ctx, limit, app)
    fates = await ctx.desk.journal.fates(found)
    remarks = [*remarks_of(app), *await troubles(ctx, [] if app is None else [app.app])]
    return deployment_lists.listed(found, fates, app.app if app else None, remarks)


async def _newest(ctx: Context, limit: int, app: Known | None) -> list[Deployment]:
    """Return the newest deployments of an app, or of all that the person may view."""
    journal = ctx.desk.journal
    if app is not None or ctx.sees():
        return await journal.deployments(limit=limit, app_id=app.app.id if app else None)
    viewable, found = await ctx.viewable(), list[Deployment]()
    page = await journal.deployments(limit=PAGE)
    while page and len(found) < limit:
        found += [one for one in page if viewable(one)]
        page = await journal.deployments(limit=PAGE, after=page[-1])
    return found[:limit]


@operation(
    "deployments show",
    family=LOOK,
    examples=("deployments show 4711", "deployments show 4711 --app shop/web"),
)
async def show_deployment(ctx: Context, deployment: DeploymentName, app: ItsApp = None) -> View:
    """Show one deployment with its whole history."""
    journal = ctx.desk.journal
    found = await deployment_named(ctx, deployment, app)
    changes = await journal.changes(found.id)
    fate = (await journal.fates([found])).get(found.id)
    gone = {one.id for one in await ctx.seen_gone()}
    remarks: list[Phrase] = []
    if found.app_id in gone:
        remarks = [(Text(f"{found.app} ({found.app_id}) is gone from the backends", 300),)]
    return deployment_lists.shown(found, fate, changes, remarks)


LONGEST_NUMBER = 16
"""Digits of a deployment's number."""


async def deployment_named(ctx: Context, name: str, app: Known | None) -> Deployment:
    """Return the deployment with an id, the start of it or a number, of any app or of one.

    Raises:
        NotFound, Ambiguous: none or several match.
    """
    journal, viewable = ctx.desk.journal, await ctx.viewable()
    id_ = name.removeprefix("#")
    exact = await journal.deployment(id_)
    fits = [] if exact is None else [exact]
    number = id_.partition(".")[0]
    if not fits and number.isdecimal() and len(number) <= LONGEST_NUMBER:
        of_delivery = await journal.deployments(limit=PAGE, seq=int(number))
        fits = [one for one in of_delivery if id_ == number or one.id.startswith(id_)]
    fits = [one for one in fits if viewable(one) and (not app or one.app_id == app.app.id)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        apps = ", ".join(one.app for one in fits[:5]) + (", …" if fits[5:] else "")
        which = f"name the app: {ctx.typed(f'deployments show {id_} --app APP')}"
        raise Ambiguous(f"{len(fits)} apps have a deployment {id_}: {apps}; {which}")
    whose = "" if app is None else " of that app"
    lists = ctx.typed("deployments")
    raise NotFound(f"there is no deployment {id_!r}{whose}; {lists} lists them")


# ── figures ───────────────────────────────────────────────────────────────────────────────────────


@operation(
    "report",
    family=LOOK,
    lists=True,
    more="\n\n".join(
        [
            *(f"{name.capitalize()}: {words}." for name, words in DEFINITIONS.items()),
            f"{LEFT_OUT.capitalize()}.",
        ]
    ),
    examples=("report", "report --since 12w --app shop/web --json"),
)
async def report(ctx: Context, since: Period = "30d", app: OfApp = None) -> View:
    """Report how often, how fast and how well apps are deployed, in all and by app."""
    journal, now = ctx.desk.journal, ctx.desk.clock()
    begin = moment_of(since, now)
    if begin >= now:
        raise Rejected(
            f"--since {since!r} is not in the past: write an age (30d), or an older date"
        )
    ended = await journal.ended_since(begin, app.app.id if app else None)
    if app is None:
        apps = [*await journal.apps(), *await journal.gone_apps()]
        viewable = await ctx.viewable()
        ended = [one for one in without_previews(ended, apps) if viewable(one)]
    oldest = await journal.oldest_deployment()
    is_cut = oldest is not None and oldest > begin
    begin = begin if oldest is None else min(max(begin, oldest), now)
    found = report_of(ended, begin, now)
    return figures.report(found, is_cut=is_cut, help_=ctx.help, remarks=remarks_of(app))


# ── what to know before ───────────────────────────────────────────────────────────────────────────


def remarks_of(app: Known | None) -> list[Phrase]:
    """Return what to know of an app's name; see `Known`."""
    return [(Text(app.remark, 400),)] if app is not None and app.remark else []


async def troubles(ctx: Context, apps: Sequence[App]) -> list[Phrase]:
    """Return which backends can't be read: those of some apps, or of all that are seen."""
    seen = {app.backend for app in apps or ctx.seen()}
    found = await ctx.desk.troubles()
    return [(Text(why, 500),) for name, why in found.items() if ctx.sees() or name in seen]


async def owed(ctx: Context) -> list[Phrase]:
    """Return for which backends that they see pushes of new apps are still to be decided."""
    from bridge.pipeline.deciding.apps import unread_since

    seen = {app.backend for app in ctx.seen()}
    found = await unread_since(ctx.desk.journal)
    return owed_by({name: at for name, at in found.items() if ctx.sees() or name in seen})


def owed_by(unread: Mapping[str, float]) -> list[Phrase]:
    """Return for each unreadable backend what is still to be decided."""
    later = ": for apps that are new there, later pushes are decided once it can be"
    return [
        (Text(name, NAME), " could not be read since ", Moment(since), later)
        for name, since in sorted(unread.items())
    ]
