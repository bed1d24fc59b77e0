"""Gates: lock, freeze, approve, override, and what holds whom."""

from typing import TYPE_CHECKING

from bridge.core.access import Right
from bridge.core.errors import Rejected
from bridge.core.gates.locks import covered, scopes_of
from bridge.core.holds import Gate, Hold, warnings_in
from bridge.core.lifecycle import OURS, State
from bridge.operations.arguments import (
    Allow,
    App,
    Commit,
    For,
    Of,
    Reason,
    Scope,
    Seen,
    Steal,
    Until,
    UntilMerge,
    end_of,
)
from bridge.operations.base import Context, operation
from bridge.operations.typed import called
from bridge.views import gates as views
from bridge.views import holds as held_views
from bridge.views.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.core.lifecycle import Deployment

GATES = "Gates"


# ── locks ─────────────────────────────────────────────────────────────────────────────────────────


@operation(
    "lock",
    family=GATES,
    needs=Right.LOCK,
    acts=True,
    recorded=True,
    aliases={"steal": {"steal": True}, "lock!": {"steal": True}},
    asks_hosts=("until_merge",),
    examples=(
        "lock shop/production -m 'a migration runs' --for 2h",
        "lock shop/web -m 'a risky change' --until-merge '#12'",
        "lock all -m 'an incident' --steal",
    ),
)
async def lock(
    ctx: Context,
    scope: Scope,
    reason: Reason,
    lasts: For = None,
    until: Until = None,
    until_merge: UntilMerge = None,
    steal: Steal = False,
) -> View:
    """Lock an app, a project, an environment or all apps: only you can deploy them.

    Your own deploys pass. Without an end it holds until it is unlocked, and you are reminded daily;
    the same command again renews it.
    """
    now = ctx.desk.clock()
    end = end_of(lasts, until, now)
    done = await ctx.desk.gates.lock(
        ctx.actor,
        scope,
        reason,
        seconds=None if end is None else end.at - now,
        steal=steal,
        until_merge=until_merge,
        channel=ctx.place.channel,
    )
    if not done.taken.taken:
        return views.lock_busy(done.taken.lock, called("lock", {**ctx.call.given, "steal": True}))
    affected = await _affected(ctx, scope, but=ctx.actor.person)
    zone = "" if end is None else end.zone
    return views.lock_taken(done.taken.lock, affected, done.taken.before, zone)


@operation(
    "unlock",
    family=GATES,
    needs=Right.LOCK,
    acts=True,
    recorded=True,
    examples=("unlock shop/production",),
)
async def unlock(ctx: Context, scope: Scope, seen: Seen = None) -> View:
    """Remove a lock, your own or somebody else's."""
    if seen is not None:
        there = [f"{Gate.LOCK}:{one.key}" for one in await ctx.desk.journal.locks()]
        if seen[0] not in there:
            return views.lock_gone(await ctx.desk.gates.covering(scope))
    released = await ctx.desk.gates.unlock(ctx.actor, scope)
    if released is not None:
        return views.lock_released(released)
    return views.not_locked(scope, await ctx.desk.gates.covering(scope))


@operation("locks", family=GATES, examples=("locks --json",))
async def locks(ctx: Context) -> View:
    """List locks and their owners."""
    keys = {key for app in ctx.seen() for key in scopes_of(app)}
    found = [one for one in await ctx.desk.journal.locks() if one.scope in keys]
    frozen = [one for one in await _freezes(ctx) if one.closed is not None]
    return views.locks(found, frozen)


async def _affected(ctx: Context, scope: Scope, but: str = "") -> views.Affected:
    """Return what a scope has under way; `but`: whose deployments are not held."""
    ids = {app.id for app in covered(scope, ctx.desk.apps())}
    open_ = [one for one in await ctx.desk.journal.open_deployments() if one.app_id in ids]
    going = [one for one in open_ if one.state not in OURS or one.intent_at is not None]
    held = [one for one in open_ if one not in going and not (but and one.person == but)]
    return views.Affected(going, held)


# ── freezes ───────────────────────────────────────────────────────────────────────────────────────


@operation(
    "freeze",
    family=GATES,
    needs=Right.LOCK,
    acts=True,
    recorded=True,
    examples=(
        "freeze all -m 'an incident' --until '18:00 Europe/Berlin'",
        "freeze shop -m 'an audit' --for 3d --allow rollback",
    ),
)
async def freeze(
    ctx: Context,
    scope: Scope,
    reason: Reason,
    until: Until = None,
    lasts: For = None,
    allow: Allow = (),
) -> View:
    """Pause deployments for a while, as in an incident.

    Unlike a lock it holds your own deploys, too.
    """
    end = end_of(lasts, until, ctx.desk.clock())
    declared = await ctx.desk.gates.freeze(
        *(ctx.actor, scope, reason),
        until=None if end is None else end.at,
        allow=frozenset(allow),
    )
    zone = "" if end is None else end.zone
    return views.frozen(declared, await _affected(ctx, scope), zone, ctx.desk.clock())


@operation(
    "unfreeze", family=GATES, needs=Right.LOCK, acts=True, recorded=True, examples=("unfreeze all",)
)
async def unfreeze(ctx: Context, scope: Scope) -> View:
    """End declared freezes; those of `bridge.yaml` stay."""
    ended = await ctx.desk.gates.unfreeze(ctx.actor, scope)
    return views.thawed(scope, ended, ctx.desk.clock())


@operation("freezes", family=GATES, examples=("freezes",))
async def freezes(ctx: Context) -> View:
    """List freezes: those of `bridge.yaml` and declared ones."""
    return views.freezes(await _freezes(ctx))


async def _freezes(ctx: Context) -> list[views.FreezeNow]:
    """Return the freezes that cover an app which the person may view."""
    now = ctx.desk.clock()
    seen = [(app, scopes_of(app)) for app in ctx.seen()]
    found = []
    for one in [*ctx.desk.freezes, *await ctx.desk.journal.freezes()]:
        apps = [app.label for app, scopes in seen if one.covers(app.label, scopes)]
        if apps:
            found.append(views.FreezeNow(one, one.closed(now), apps))
    return found


# ── held deployments ──────────────────────────────────────────────────────────────────────────────


@operation("held", family=GATES, examples=("held",))
async def held(ctx: Context) -> View:
    """List held deployments, with every open reason."""
    ids = {app.id for app in ctx.seen()}
    open_ = await ctx.desk.journal.open_deployments()
    those = [one for one in open_ if one.state is State.HELD and one.app_id in ids]
    return held_views.held_list(those)


async def plan_approval(
    ctx: Context, app: App, commit: Commit = None, deployment: Of = None
) -> View | None:
    """Show the commit that would be approved, unless they name the one that they have seen."""
    from bridge.pipeline.gates.commands import proposed

    if commit is not None and not ctx.plan_only:
        return None
    waiting = await _held(ctx, app, deployment)
    proposal = proposed(waiting)
    approve = called("approve", {**ctx.call.given, "commit": proposal.commit})
    return held_views.approval_asked(app, waiting, proposal, approve)


@operation(
    "approve",
    family=GATES,
    needs=Right.APPROVE,
    acts=True,
    recorded=True,
    plan=plan_approval,
    asks_hosts=("app",),
    examples=("approve shop/web", "approve shop/web --commit 18f234f"),
)
async def approve(ctx: Context, app: App, commit: Commit = None, deployment: Of = None) -> View:
    """Approve the commit that a held deployment would build, after showing it.

    With a commit, it is approved at once if it is still that one. Nobody approves what they have
    asked for or written.
    """
    from bridge.pipeline.gates.commands import proposed

    gates, waiting = ctx.desk.gates, await _held(ctx, app, deployment)
    new = await gates.approve(ctx.actor, waiting, commit or "")
    given, at = await gates.counting(waiting), proposed(waiting).commit
    return held_views.approved(app, waiting, at, given, new=new)


async def plan_override(
    ctx: Context,
    app: App,
    reason: Reason = "",
    seen: Seen = None,
    deployment: Of = None,
) -> View | None:
    """Show what holds it, unless they have seen all of it.

    On the server itself, a reason is enough where there is nothing to warn of.
    """
    waiting = await _held(ctx, app, deployment)
    ctx.check(right_to_lift(waiting.holds), app)
    holds = {one.short for one in waiting.holds}
    told = seen is not None and holds <= set(seen)
    on_server = ctx.by is not None
    nothing_to_ask = on_server and seen is None and reason and not warnings_in(waiting.holds)
    if not ctx.plan_only and (told or nothing_to_ask):
        return None
    given = {**ctx.call.given, "deployment": waiting.id, "seen": " ".join(sorted(holds))}
    return held_views.override_asked(waiting, called("override", given), more=seen is not None)


@operation(
    "override",
    family=GATES,
    needs=Right.OVERRIDE,
    right_varies=True,
    acts=True,
    recorded=True,
    plan=plan_override,
    examples=("override shop/web -m 'the fix of the outage'",),
)
async def override(
    ctx: Context, app: App, reason: Reason, seen: Seen = None, deployment: Of = None
) -> View:
    """Deploy despite the gates that hold it; the reason is recorded.

    You see what holds it before anything happens; on the command line only if the version did not
    work where it was live before. To end a mere wait for a time, the right to deploy is enough.
    """
    waiting = await _held(ctx, app, deployment)
    ctx.check(right_to_lift(waiting.holds), app)
    if seen is not None and any(one.short not in seen for one in waiting.holds):
        raise Rejected(f"something else holds {app.label} by now: look again")
    await ctx.desk.gates.lift(ctx.actor, waiting, reason)
    return held_views.overridden(waiting, reason)


async def _held(ctx: Context, app: App, deployment: Of) -> "Deployment":
    """Return the held deployment that was shown, else the newest one of an app."""
    if deployment is None:
        return await ctx.desk.gates.held(app)
    found = await ctx.shown(deployment, app)
    if found.state is not State.HELD:
        raise Rejected(f"It is not held any more: it is {found.state}")
    return found


def right_to_lift(holds: "Sequence[Hold]") -> Right:
    """Return the right that lets a deployment pass; `deploy` ends a mere wait for a time."""
    only_time = all(one.may_lift is Right.DEPLOY for one in holds)
    return Right.DEPLOY if only_time else Right.OVERRIDE
