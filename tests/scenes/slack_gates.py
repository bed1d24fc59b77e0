"""Gates in Slack, scene by scene: what holds, who lifts it, and what people are answered."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from bridge.chats.slack.blocks import Message
from bridge.chats.slack.dialogs import dialog_of
from bridge.chats.slack.render import outgoing
from bridge.chats.slack.views import message_of
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.gates.approvals import Approval
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import EVERYTHING, Lock, PullRef
from bridge.core.holds import Gate, Hold, Proposal
from bridge.core.lifecycle import Deployment
from bridge.ports.chats import AnyReply
from bridge.views.gates import (
    Affected,
    FreezeNow,
    lock_busy,
    lock_ended,
    lock_kept,
    lock_released,
    lock_reminder,
    lock_taken,
    locks,
    thawed,
)
from bridge.views.gates import frozen as frozen_view
from bridge.views.holds import approval_asked, approved, overridden, override_asked
from bridge.views.links import Links
from bridge.views.view import Field, View

Scene = Callable[[], Message | dict[str, Any]]

NOON = 1_779_969_600.0
PUSHED = "13dfa1f0c5b1d7a3c9c1b1a7de2f5a6b7c8d9e0f"

PROPOSAL = Proposal(
    PUSHED,
    "Open the shop on Sundays\n\nCloses #482.",
    "Ada Lovelace",
    "9ab41c7e0d1f2a3b4c5d6e7f8091a2b3c4d5e6f7",
    7,
    (
        "apps/web/cart.tsx",
        "apps/web/delivery.ts",
        "apps/web/index.html",
        "packages/dates/index.ts",
        "packages/dates/zones.ts",
        "packages/ui/button.tsx",
        "packages/ui/label.tsx",
    ),
)
APPROVAL = Hold(
    Gate.APPROVAL,
    f"approval:{PUSHED}",
    "needs 1 approval of 13dfa1f, has 0",
    Right.APPROVE,
    proposal=PROPOSAL,
)
LOCKED = Lock(
    "project/shop",
    "project shop",
    "slack:U0GRACE",
    "Grace Hopper",
    "moving the orders to the new database",
    NOON - 3600,
    NOON + 7200,
)
LOCK = Hold(
    Gate.LOCK,
    f"lock:project/shop:{LOCKED.at:.6f}",
    LOCKED.says,
    Right.OVERRIDE,
    until=LOCKED.until,
)
FREEZE = Hold(
    Gate.FREEZE,
    "freeze:weekend:1",
    "frozen by `freezes`: no releases over the weekend",
    Right.OVERRIDE,
    until=NOON + 2 * 86_400,
)
CHECKS = Hold(
    Gate.CHECKS,
    f"checks:{PUSHED}",
    "2 of 5 checks have not passed yet: build, e2e",
    Right.OVERRIDE,
)
ORDER = Hold(
    Gate.ORDER,
    f"order:shop/staging/web:{PUSHED}",
    "shop/staging/web runs 9ab41c7, not 13dfa1f: apps/web/cart.tsx differs;"
    " shop/staging/web was unhealthy with 13dfa1f, and was rolled back",
    Right.OVERRIDE,
    warns="shop/staging/web was unhealthy with 13dfa1f, and was rolled back",
)
SCHEDULE = Hold(
    Gate.SCHEDULE,
    "schedule:1",
    "asked for a later time by Ada Lovelace",
    Right.DEPLOY,
    until=NOON + 9 * 3600,
)
EVERY = (SCHEDULE, LOCK, FREEZE, CHECKS, APPROVAL, ORDER)
"""One hold of each gate."""


def gate_scenes(
    links: Links,
    web: App,
    held: Callable[..., Deployment],
    running: Deployment,
    hard: Deployment,
    hard_held: Deployment,
    hostile: str,
) -> Iterator[tuple[str, Scene]]:
    """What commands about gates are answered with, and the dialog that asks why.

    Args:
        web: the app that waits for an approval.
        held: makes a deployment that these holds hold.
        hard, hard_held: deployments that are hard to keep in form.
    """

    def said(reply: AnyReply) -> Scene:
        return lambda: outgoing(reply, links).message

    affected = Affected((running,), (held(LOCK),))
    ours = replace(LOCKED, owner="slack:U0123ABCD", name="Ada Lovelace", at=NOON)
    endless = replace(ours, scope="all", label="all apps", until=None, reason="an incident")
    yield "lock", said(lock_taken(ours, affected, zone="Europe/Berlin"))
    yield "lock_without_end", said(lock_taken(endless, Affected()))
    yield "lock_stolen", said(lock_taken(ours, Affected(), before=LOCKED))
    yield "lock_renewed", said(lock_taken(ours, Affected(), before=ours))
    typed = "steal shop for 2h a hotfix of the checkout"
    steal = Call("lock", {}, typed)
    yield "lock_busy", said(lock_busy(LOCKED, steal))
    yield "unlock", said(lock_released(LOCKED))
    merging = replace(ours, until=None, merge=PullRef("github", "my-org/shop", 482))
    yield "lock_until_merge", said(lock_taken(merging, affected))
    yield "lock_ended", lambda: message_of(lock_ended(merging, "my-org/shop#482 is merged"))
    yield "lock_reminder", lambda: message_of(lock_reminder(endless, 3, mine=True))
    yield (
        "lock_reminder_in_channel",
        lambda: message_of(lock_reminder(replace(merging, until=NOON), 0, mine=False)),
    )
    yield "lock_kept", said(lock_kept(replace(endless, remind_at=NOON + 7 * 86_400)))
    frozen = Freeze(
        "freeze-1",
        (),
        "the payment provider is down",
        by="Ada Lovelace",
        at=NOON,
        until=NOON + 6 * 3600,
        scope="all",
        label="all apps",
    )
    open_ended = replace(frozen, until=None)
    weekend = Freeze("weekend", ("shop/**",), "no releases over the weekend", at=NOON)
    yield "freeze", said(frozen_view(frozen, affected, "Europe/Berlin", NOON))
    yield "freeze_without_end", said(frozen_view(open_ended, Affected(), "", NOON))
    yield "unfreeze", said(thawed(EVERYTHING, (frozen, open_ended), NOON))
    closed = (
        FreezeNow(frozen, (NOON, frozen.until), ("shop/web", "site/docs")),
        FreezeNow(weekend, (NOON, NOON + 86_400), ("shop/web", "shop/staging/api")),
    )
    yield "locks", said(locks((LOCKED, endless), closed))
    yield "locks_none", said(locks((), ()))
    waits, approve = held(APPROVAL, LOCK), Call("approve", {"app": "app-web", "commit": PUSHED})
    needs_two = replace(web, rules=replace(web.rules, approvals=2))
    needs_one = replace(web, rules=replace(web.rules, approvals=1))
    given = [Approval(web.id, PUSHED, "slack:U0GRACE", "Grace Hopper", "", NOON)]
    alone = replace(waits, holds=(APPROVAL,))
    yield "approval_asked", said(approval_asked(web, waits, PROPOSAL, approve))
    unknown = Proposal(PUSHED)
    yield "approval_asked_of_the_first", said(approval_asked(web, waits, unknown, approve))
    worst_of_all = Proposal(PUSHED, hostile, hostile, PUSHED[::-1], 10**6, (hostile,) * 20)
    worst_asked = approval_asked(web, hard_held, worst_of_all, approve)
    yield "approval_asked_hardest", said(worst_asked)
    yield "approval", said(approved(needs_two, waits, PUSHED, given, new=True))
    yield "approval_enough", said(approved(needs_one, alone, PUSHED, given, new=True))
    yield "approval_again", said(approved(needs_two, alone, PUSHED, given, new=False))
    yield "override", said(overridden(waits, "the shop is down, and this mends it"))
    yield "override_warned", said(overridden(held(ORDER), "it is mended by hand"))

    def dialog(held_by: Deployment, *, more: bool = False) -> Scene:
        call = Call("override", {"app": "app-web", "deployment": held_by.id, "seen": "0a1b2c"})
        asking = override_asked(held_by, call, more=more)
        assert asking.asks is not None
        lacks = (Field("reason", "REASON", "Why; others will read it."),)
        asked: View = replace(asking, asks=replace(asking.asks, lacks=lacks))
        return lambda: dialog_of(asked, links, "C024BE91L")

    yield "modal_override", dialog(held(LOCK, APPROVAL))
    yield "modal_override_warned", dialog(held(ORDER))
    yield "modal_override_more", dialog(held(LOCK, CHECKS), more=True)
    yield "modal_override_hardest", dialog(hard_held)
    hard_lock = replace(LOCKED, label=hostile, scope=f"project/{hostile}", name=hostile)
    hard_lock = replace(hard_lock, reason=f"{hostile} NPM_TOKEN=npm_0123456789abcdefghijABCDEFGHIJ")
    many_held = Affected((hard,) * 9, (hard_held,) * 9)
    yield "lock_hardest", said(lock_taken(hard_lock, many_held, before=LOCKED))
    hard_merge = replace(hard_lock, merge=PullRef("github", hostile, 10**15))
    yield "lock_reminder_hardest", lambda: message_of(lock_reminder(hard_merge, 10**9, mine=False))
    yield (
        "lock_ended_hardest",
        lambda: message_of(lock_ended(hard_merge, f"{hostile * 9} is merged")),
    )
    yield "lock_busy_hardest", said(lock_busy(hard_lock, Call("lock", {}, f"steal {hostile}")))
    hard_freeze = replace(frozen, label=hostile, by=hostile, reason=hostile * 9)
    yield "freeze_hardest", said(frozen_view(hard_freeze, many_held, "", NOON))
    lots = FreezeNow(replace(hard_freeze, by=""), (NOON, None), (hostile,) * 90)
    yield "locks_hardest", said(locks((hard_lock,) * 90, (lots,) * 90))
    many_given = [replace(given[0], name=hostile)] * 90
    yield "approval_hardest", said(approved(needs_two, hard_held, PUSHED, many_given, new=True))
    yield "override_hardest", said(overridden(hard_held, hostile * 9))
