"""Gates: lock, freeze, approve, override, and what holds whom."""

from bridge.core.access import Right
from bridge.core.gates.locks import covered, scopes_of
from bridge.core.lifecycle import OURS
from bridge.operations.arguments import (
    Allow,
    For,
    Reason,
    Scope,
    Steal,
    Until,
    UntilMerge,
    end_of,
)
from bridge.operations.base import Context, operation
from bridge.operations.typed import called
from bridge.views import gates as views
from bridge.views.view import View

GATES = "Gates"


# ── locks ─────────────────────────────────────────────────────────────────────────────────────────


@operation(
    "lock",
    family=GATES,
    needs=Right.LOCK,
    acts=True,
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
    """Keep others from deploying an app, a project, an environment or everything.

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
    examples=("unlock shop/production",),
)
async def unlock(ctx: Context, scope: Scope) -> View:
    """Remove a lock, your own or somebody else's."""
    released = await ctx.desk.gates.unlock(ctx.actor, scope)
    if released is not None:
        return views.lock_released(released)
    return views.not_locked(scope, await ctx.desk.gates.covering(scope))


@operation("locks", family=GATES, examples=("locks --json",))
async def locks(ctx: Context) -> View:
    """List who keeps others from deploying what."""
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
    """Let nothing deploy for a while, as in an incident.

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


@operation("unfreeze", family=GATES, needs=Right.LOCK, acts=True, examples=("unfreeze all",))
async def unfreeze(ctx: Context, scope: Scope) -> View:
    """End the freezes that somebody has declared; those of `bridge.yaml` stay."""
    ended = await ctx.desk.gates.unfreeze(ctx.actor, scope)
    return views.thawed(scope, ended, ctx.desk.clock())


@operation("freezes", family=GATES, examples=("freezes",))
async def freezes(ctx: Context) -> View:
    """List the freezes of `bridge.yaml` and those that somebody has declared."""
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
