"""Replay a webhook: decide it anew with today's rules, or deploy again what it has deployed."""

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.core.access import Right
from bridge.core.chat.calls import Call
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import Action
from bridge.operations.arguments import AsItWas, DeliveryName
from bridge.operations.arrivals import delivery_named
from bridge.operations.base import Context, operation
from bridge.operations.calls import carry_out
from bridge.operations.deploying import DEPLOYING, keep_request
from bridge.views.deploying import SAYS, Kept
from bridge.views.deployments import APP_NAME
from bridge.views.values import Phrase, Sentence, Strong, Text, plain
from bridge.views.view import View

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.pipeline.deploying.rollback_plan import Again
    from bridge.ports.inbox import Delivery

ID = 100
"""Characters of a delivery's id."""


@operation(
    "replay",
    family=DEPLOYING,
    needs=Right.DEPLOY,
    acts=True,
    kept=True,
    asks_hosts=("as_it_was",),
    asks_backends=True,
    examples=("replay 72d3162e --follow", "replay 72d3162e --as-it-was"),
)
async def replay(ctx: Context, delivery: DeliveryName, as_it_was: AsItWas = False) -> View:
    """Decide a delivery again, as if it had just arrived; apps that it deploys deploy again.

    This excludes apps created after the push: use `deploy` for these. Like any push, it deploys the
    head of the branch; `--as-it-was` deploys exactly the commits that it has deployed, or nothing.
    It is for those who may view every app, and deploy those that are concerned.
    """
    if not ctx.sees():
        raise NotFound(f"there is no delivery {delivery!r}, or you may not see its apps")
    if as_it_was:
        return await _again(ctx, await _webhook(ctx, delivery))
    for app in ctx.desk.apps():
        ctx.check(Right.DEPLOY, app)
    found = await _webhook(ctx, delivery)
    await keep_request(ctx, Action.REPLAY, str(found.seq))
    kept = Kept(ctx.once, str(Action.REPLAY), found.id, "")
    return View(("Replaying ", Text(found.id, ID)), data=kept)


async def _webhook(ctx: Context, name: str) -> "Delivery":
    found = await delivery_named(ctx, name)
    if found.host not in ctx.desk.hosts:
        why = "is no webhook of a Git host that is set up: give its command again instead"
        raise Rejected(f"{found.id} {why}")
    return found


async def _again(ctx: Context, delivery: "Delivery") -> View:
    """Deploy again the versions that a webhook has deployed, whatever the rules say today.

    If that is impossible for one app, nothing is done for the others.
    """
    desk, seq = ctx.desk, delivery.seq
    then = (await desk.journal.deployments_of([seq]))[seq]
    if not then:
        raise Rejected("It deployed nothing, so there is nothing to repeat")
    apps = {app.id: app for app in desk.apps()}
    if gone := [one.app for one in then if one.app_id not in apps]:
        raise Rejected(f"{', '.join(gone)} is gone: replay it with today's rules instead")
    for one in then:
        ctx.check(Right.DEPLOY, apps[one.app_id])
    if desk.replays is None:
        raise Rejected("no backend can be asked for earlier versions here")
    found = [(app := apps[one.app_id], await desk.replays.plan(app, one)) for one in then]
    kept = [await _asked(ctx, *one, f"{ctx.once}-{place}") for place, one in enumerate(found)]
    head: Phrase = ()
    for app, again in found:
        says = (Strong(Text(app.label, APP_NAME)), ": ", Sentence(again.says, SAYS))
        head = (*head, ". ", *says) if head else says
    return View(head, data=kept[0] if len(kept) == 1 else kept)


async def _asked(ctx: Context, app: "App", again: "Again", once: str) -> Kept:
    """Ask for the version of one app; raise Rejected if it was refused."""
    seen = f"{again.way} {again.to.id} {again.served}".strip()
    call = Call(again.action, {"app": app.id, "seen": seen})
    done = await carry_out(replace(ctx, call=call, once=once))
    if done.refused:
        raise Rejected(plain(done.head))
    assert isinstance(done.data, Kept)
    return done.data
