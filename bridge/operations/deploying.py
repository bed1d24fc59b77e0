"""Deploying: deploy, redeploy, cancel, roll back, promote.

Each request is kept in the inbox like a webhook before it is answered, and decided like one.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bridge.core.access import Right
from bridge.core.chat.calls import Call
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.operations.arguments import App, At, Branch, End, Of, Seen, Source, Version
from bridge.operations.base import Context, operation
from bridge.operations.typed import called
from bridge.views import deploying as views
from bridge.views.values import Text
from bridge.views.view import View

if TYPE_CHECKING:
    from bridge.core.lifecycle import Deployment
    from bridge.pipeline.deploying.rollback_plan import Ways

DEPLOYING = "Act"

HEAD: Mapping[str, str] = {}
"""What is asked for without a certain version: the branch's head."""


@operation(
    "deploy",
    family=DEPLOYING,
    needs=Right.DEPLOY,
    acts=True,
    kept=True,
    examples=(
        "deploy shop/production/web",
        "deploy shop/production/web --follow --json",
        "deploy shop/web --at '22:00 Europe/Berlin'",
    ),
)
async def deploy(
    ctx: Context, app: App, branch: Branch = None, at: At = None, seen: Seen = None
) -> View:
    """Deploy the head of an app's branch.

    The backend builds the branch that the app is configured with; another one is refused. For a
    later time it is held until then.
    """
    if seen is not None:
        return await _again(ctx, app, seen)
    if branch is not None and (why := other_branch(app, branch)):
        return _refused(why, called("deploy", {"app": app.label}))
    return await _keep(ctx, app, Action.DEPLOY, at=at)


@operation(
    "redeploy",
    family=DEPLOYING,
    needs=Right.DEPLOY,
    acts=True,
    kept=True,
    aliases={"rebuild": {}},
    examples=("redeploy shop/web",),
)
async def redeploy(ctx: Context, app: App) -> View:
    """Build an app's existing checkout once more; nothing is fetched."""
    return await _keep(ctx, app, Action.REDEPLOY)


@operation(
    "cancel",
    family=DEPLOYING,
    needs=Right.CANCEL,
    acts=True,
    kept=True,
    aliases={"stop": {}, "abort": {}},
    examples=("cancel shop/web",),
)
async def cancel(ctx: Context, app: App, deployment: Of = None) -> View:
    """Cancel an app's waiting and running deployments.

    What runs is stopped if the backend can; what is live stays live.
    """
    from bridge.core.lifecycle import too_late
    from bridge.pipeline.feedback.lookup import live_already, undecided

    journal, inbox = ctx.desk.journal, ctx.desk.inbox
    only = "" if deployment is None else deployment
    if deployment is not None:
        found = await ctx.shown(deployment, app)
        if found.final:
            raise Rejected(f"It has ended already: it is {found.state}")
    if (live := await live_already(journal, inbox, app.id, only)) is not None:
        why = f"It can't be cancelled: {too_late(live)}. A rollback leads back"
        return _refused(why, called("rollback", {"app": app.label}))
    open_ = await journal.open_deployments()
    if not any(one.app_id == app.id for one in open_) and not await undecided(inbox):
        return views.nothing_to_cancel(app)
    return await _keep(ctx, app, Action.CANCEL, deployment=only)


# ── versions ──────────────────────────────────────────────────────────────────────────────────────


async def plan_rollback(
    ctx: Context, app: App, to: Version = None, seen: Seen = None, deployment: Of = None
) -> View | None:
    """Show how it would be done, unless they have seen that."""
    if seen is not None:
        return None
    shown = None if deployment is None else await ctx.shown(deployment, app)
    if shown is not None and shown.served and (gone := await _no_longer_served(ctx, app, shown.id)):
        return gone
    try:
        plan = await _ways(ctx).plan(app, to, person=ctx.actor.person)
    except NotFound:
        raise
    except Rejected as error:
        raise Rejected(f"{app.label} can't go back: {error}") from None
    served = "" if plan.served is None else plan.served.id
    given = {"app": app.id, "seen": f"{plan.way.rung} {plan.way.to.id} {served}".strip()}
    says, warns = plan.says, plan.warns
    return views.rollback_asked(
        app, plan.way, plan.served, says, warns, plan.holds, called("rollback", given)
    )


@operation(
    "rollback",
    family=DEPLOYING,
    needs=Right.DEPLOY,
    acts=True,
    kept=True,
    plan=plan_rollback,
    asks_backends=True,
    aliases={"revert": {}},
    examples=("rollback shop/web", "rollback shop/web --to v1.4.2", "rollback shop/web --plan"),
)
async def rollback(ctx: Context, app: App, seen: Seen = None) -> View:
    """Go back to an earlier version of an app, and lock the app.

    You see how it is done and what it does not restore before anything happens.
    """
    way, id_, served = [*(seen or ()), "", "", ""][:3]
    found = await ctx.desk.journal.deployment(id_)
    if found is None or found.app_id != app.id or found.state is not State.DONE:
        return _refused(GONE, called("rollback", {"app": app.label}))
    if served and (gone := await _no_longer_served(ctx, app, served, if_unknown=True)):
        return gone
    return await _keep(ctx, app, Action.ROLLBACK, id_, version=_version(found, way))


async def plan_promotion(ctx: Context, app: App, source: Source, seen: Seen = None) -> View | None:
    """Show what it would bring, unless they have seen that."""
    if seen is not None:
        return None
    try:
        found = await _ways(ctx).promotion(source, app, ctx.actor.person)
    except NotFound:
        raise
    except Rejected as error:
        raise Rejected(f"{app.label} can't be promoted: {error}") from None
    has = found.served.commit if found.served else None
    compare = ctx.desk.compare(source, has, found.version.deployed_commit)
    given = {"app": app.id, "source": source.id, "seen": f"{found.rung} {found.version.id}"}
    return views.promotion_asked(found, called("promote", given), compare)


@operation(
    "promote",
    family=DEPLOYING,
    needs=Right.DEPLOY,
    acts=True,
    kept=True,
    plan=plan_promotion,
    examples=("promote shop/production from shop/staging",),
)
async def promote(ctx: Context, app: App, source: Source, seen: Seen = None) -> View:
    """Bring the version that runs in one app to another: its image, or its commit built again.

    A commit is built again, which needs a pinned app. You see what is new before anything happens.
    """
    from bridge.pipeline.deploying.rollback_plan import promotion

    found = await promotion(ctx.desk.journal, source, app)
    way, id_ = [*(seen or ()), "", ""][:2]
    if (str(found.rung), found.version.id) != (way, id_):
        return _refused(GONE, called("promote", {"app": app.label, "source": source.label}))
    return await _keep(ctx, app, Action.DEPLOY, id_, version=_version(found.version, way))


GONE = "That version is gone, or another one runs there now: ask again"


async def _again(ctx: Context, app: App, seen: tuple[str, ...]) -> View:
    """Deploy an earlier commit of the app itself: it is pinned, or that is still the head."""
    from bridge.core.health.rollback import Rung

    way, id_ = [*seen, "", ""][:2]
    found = await ctx.desk.journal.deployment(id_)
    if found is None or found.app_id != app.id or way != Rung.PIN:
        return _refused(GONE, called("deploy", {"app": app.label}))
    return await _keep(ctx, app, Action.DEPLOY, id_, version=_version(found, way))


def _ways(ctx: Context) -> "Ways":
    if ctx.desk.ways is None:
        raise Rejected("no backend can be asked for earlier versions here")
    return ctx.desk.ways


def _version(to: "Deployment", way: str) -> Mapping[str, str]:
    from bridge.pipeline.deploying.rollback_plan import version_asked

    return version_asked(to, way)


async def _no_longer_served(
    ctx: Context, app: App, served: str, *, if_unknown: bool = False
) -> View | None:
    """Return a refusal if the version that somebody saw as live is live no more.

    Args:
        if_unknown: refuse as well if it is not known what is served.
    """
    serving = await ctx.desk.journal.serving_of(app)
    now = serving.version_served if serving is not None else None
    if (now is None and not if_unknown) or (now is not None and now.id == served):
        return None
    why = f"By now it is not known what {app.label} serves"
    if now is not None:
        by = f", by #{now.ours.seq}" if now.ours is not None else ""
        why = f"By now another version of {app.label} is live: {now}{by}"
    return _refused(f"{why}. Nothing was done", called("rollback", {"app": app.label}))


# ── what all share ────────────────────────────────────────────────────────────────────────────────


def other_branch(app: App, branch: str) -> str:
    """Return why a branch can't be deployed; "" if it is the app's own."""
    from bridge.core.pins import tracked

    own = tracked(app)
    if own is None:
        return f"{app.label} deploys from no branch, so it can't deploy {branch}"
    if branch in (own, f"refs/heads/{own}"):
        return ""
    return (
        f"{app.label} deploys the head of {own}, whatever is asked for: the backend builds the"
        f" branch that it has. To deploy {branch}, change its branch with `provider` first"
    )


def _refused(why: str, *offers: Call) -> View:
    return View((Text(why, views.SAYS),), offers=offers, refused=True)


async def _keep(
    ctx: Context,
    app: App,
    action: Action,
    deployment: str = "",
    *,
    at: End | None = None,
    version: Mapping[str, str] = HEAD,
) -> View:
    desk, not_before = ctx.desk, "" if at is None else f"{at.at:.0f}"
    facts = {"app": app.label, "deployment": deployment, "not_before": not_before}
    duplicate = await keep_request(ctx, action, app.id, facts | dict(version))
    return views.kept(
        app,
        action,
        ctx.once,
        duplicate=duplicate,
        channels=desk.channels(app, ctx.place.channel),
        trouble=desk.trouble().get(app.backend),
        at=None if at is None else at.at,
        zone="" if at is None else at.zone,
    )


async def keep_request(
    ctx: Context, action: Action, target: str, facts: Mapping[str, str] = HEAD
) -> bool:
    """Keep a request in the inbox; one id acts only once. Return whether it was there already.

    Args:
        facts: what else is asked, by the fields of `Asked`.

    Raises:
        Unreachable: it could not be kept, so nothing will happen.
    """
    from bridge.core.events import Asked
    from bridge.core.people import Actor
    from bridge.ports.inbox import as_delivery

    desk, person, place = ctx.desk, ctx.person, ctx.place
    on_server = ctx.by is not None  # who is there is known by their name
    asked = Asked(
        action,
        target,
        Actor(desk.door, person.called),
        person="" if on_server else person.key(desk.door) if person.chat else person.id,
        accounts=" ".join(person.accounts(desk.door)),
        channel=place.channel,
        thread=place.thread,
        view=place.view,
        operation="" if ctx.call.name == action else ctx.call.name,
        **facts,
    )
    kept = await desk.inbox.keep(as_delivery(desk.door, ctx.once, asked, desk.clock()))
    return kept.duplicate
