"""Judge a hypothetical deployment by the current gates, for `explain`."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bridge.core.lifecycle import Deployment, State
from bridge.core.people import PUSH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.app.storage import Stores
    from bridge.core.apps import App
    from bridge.core.gates.approvals import Compared
    from bridge.core.gates.gates import Facts
    from bridge.core.gates.order import Earlier
    from bridge.core.holds import Hold
    from bridge.settings import Settings


async def add_holds(
    settings: "Settings", stores: "Stores", apps: "Sequence[App]", form: dict[str, Any]
) -> None:
    """Add to each decision that deploys what would hold the deployment now.

    Args:
        apps: with our own rules applied.
        form: of `what_if.explained`; no Git host is asked, so checks are as last read.
    """
    from bridge.views.holds import HoldData

    by_id = {app.id: app for app in apps}
    for one in form["decisions"]:
        app = by_id.get(one["app_id"])
        if one["deploy"] and app is not None:
            holds = await _holds(settings, stores, apps, app, form["commit"])
            one["holds"] = [asdict(HoldData.of(hold)) for hold in holds]


def opened_with(held: Deployment) -> list[str]:
    """Return the commands that open what only a person opens; nothing if there is no such hold."""
    commands = (_opening(hold, held) for hold in held.holds)
    return [f"`dokploy-bridge {one}`" for one in commands if one]


def _opening(hold: "Hold", held: Deployment) -> str:
    """Return the command that opens a hold; "" if it opens by itself."""
    from bridge.core.gates.locks import scope_of_hold
    from bridge.core.holds import Gate

    match hold.gate:
        case Gate.LOCK:
            return f"unlock {scope_of_hold(hold.key, held.app)}"
        case Gate.FREEZE:
            return f"override {held.app} -m WHY"
        case Gate.APPROVAL:
            return f"approve {held.app}"
    return ""


async def _holds(
    settings: "Settings", stores: "Stores", apps: "Sequence[App]", app: "App", commit: str | None
) -> "tuple[Hold, ...]":
    from bridge.core.events import Action
    from bridge.core.gates.gates import open_gates

    now = time.time()
    wanted = Deployment(
        id="what-if",
        seq=0,
        delivery="",
        app_id=app.id,
        app=app.label,
        action=Action.DEPLOY,
        origin=PUSH,
        state=State.WAITING,
        created_at=now,
        commit=commit,
    )
    return open_gates(wanted, app, await _facts(settings, stores, apps, app, commit), now)


def _compared(apps: "Sequence[App]", earlier: "Iterable[Earlier]", commit: str) -> "Compared":
    """Return what earlier apps run beside a commit, as far as no Git host has to be asked."""
    from bridge.core.gates.approvals import Content, at_once

    unasked, by_id = Content(None, "no Git host is asked here"), {one.id: one for one in apps}
    return {
        (one.app_id, runs): at_once(by_id[one.app_id], runs, commit) or unasked
        for one in earlier
        for runs in one.commits
    }


async def _facts(
    settings: "Settings", stores: "Stores", apps: "Sequence[App]", app: "App", commit: str | None
) -> "Facts":
    from bridge.core.gates.gates import Facts
    from bridge.core.gates.locks import scopes_of
    from bridge.core.gates.order import earlier_of
    from bridge.core.holds import Proposal
    from bridge.githosts.server import homes_of
    from bridge.pipeline.deciding.reconcile import place_of
    from bridge.ports.gates import CommitAt
    from bridge.settings import identities_of
    from bridge.settings.gates import freezes_of

    journal, scopes = stores.journal, scopes_of(app)
    place = app.source and place_of(app.source, homes_of(settings.host_servers().values()))
    ci = None
    if place and commit and app.rules.checks:
        ci = await journal.ci(CommitAt(*place, commit, ""))
    named = earlier_of(app, apps)
    earlier = await journal.earlier(named)
    freezes = [*freezes_of(settings.freezes), *await journal.freezes()]
    return Facts(
        locks=[one for one in await journal.locks() if one.scope in scopes],
        freezes=[one for one in freezes if one.covers(app.label, scopes)],
        approvals=await journal.approvals(app.id),
        identities=identities_of(settings),
        proposal=Proposal(commit or "", anyone=True),  # no Git host is asked who wrote it
        compared=_compared(apps, earlier.values(), commit or ""),
        ci=ci,
        earlier=earlier,
        nowhere=[name for name, id_ in named.items() if not id_],
    )
