"""Deployments: a list, and one with its steps, its log and what can be done."""

from dataclasses import dataclass

from bridge.console.records import Asked, Records, state_named
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.apps import App, find_app
from bridge.core.events import Action
from bridge.core.health.rollback import Version
from bridge.core.holds import warnings_in
from bridge.core.lifecycle import FINAL, Deployment, State
from bridge.core.masking import redact
from bridge.views.deployments import version_of
from bridge.views.proposal import proposal_of, proposed_of

A_PAGE = 50
"""Deployments on a page."""

MOST_READ = 500
"""Deployments to read at most for a page of somebody who may not see all of them."""


async def deployments(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """List deployments, newest first."""
    app, state = asked.text("app"), state_named(asked.text("state"), "a state")
    app_id = find_app(records.seen(visitor), app).id if app else None
    everything = app_id is not None or records.sees_all(visitor)
    limit = A_PAGE if everything else MOST_READ
    found = await records.journal.deployments(
        limit=limit,
        app_id=app_id,
        state=state,
        after=await records.journal.deployment(asked.text("after")),
    )
    seen = [one for one in found if records.may_see(visitor, one.app)][:A_PAGE]
    last = seen if len(seen) == A_PAGE else found if len(found) == limit else []
    facts = {
        "deployments": seen,
        "fates": await records.journal.fates(seen),
        "app": app,
        "state": state or "",
        "states": list(State),
        "older": asked.again(after=last[-1].id) if last else "",
        "newest": asked.again(after="") if asked.text("after") else None,
    }
    return Page("deployments", "Deployments", facts, live=not asked.text("after"))


async def a_deployment(records: Records, visitor: Visitor, asked: Asked) -> Page:
    """Show one deployment: its steps, its log, and what the visitor may do about it."""
    found, app = await records.deployment(visitor, asked.parts["id"])
    own = records.access.rights(visitor.person, found.app, None)
    rights = own if app is None else records.rights(visitor, app)
    exists = app is not None and any(one.id == app.id for one in records.apps())
    delivery = await records.inbox.get(found.seq)
    may = frozenset(may_of(found, rights) if exists else ())
    built, message = version_of(found)
    proposal = proposal_of(found)
    fate = (await records.journal.fates([found])).get(found.id)
    facts = {
        "deployment": found,
        "fate": fate,
        "proposed": None if proposal is None else proposed_of(proposal, app, records.links),
        "proposal": proposal,
        "warnings": warnings_in(found.holds),
        "app": app,
        "changes": await records.journal.changes(found.id),
        "delivery": delivery,
        "may": may,
        "way_back": await _way_back(records, found, app) if app and "rollback" in may else None,
        "commit": built,
        "message": message,
        "author": found.author if proposal is None else proposal.author,
        "commit_page": records.links.commit(app, built),
        "compare_page": await _compare(records, found, app),
        "log": redact(found.log_kept),
        "seen": redact(found.log_tail or "") if found.state is State.UNHEALTHY else "",
        "follows": found.backend_id is not None or not found.final,
        "newer": found.superseded_by,
    }
    return Page(
        "deployment", f"{found.app} {found.state}", facts, live=fate is not None or not found.final
    )


async def _compare(records: Records, found: Deployment, app: App | None) -> str | None:
    """Return the page that shows what a deployment changed; None if it is not known."""
    if app is None:
        return None
    if (proposal := proposal_of(found)) is not None:
        return records.links.compare(app, proposal.live, proposal.commit)
    new = found.deployed_commit or found.commit
    lived = await records.journal.deployments(app_id=found.app_id, limit=1, lived=True, after=found)
    return records.links.compare(app, lived[0].deployed_commit, new) if lived else None


@dataclass(frozen=True, slots=True)
class WayBack:
    """The way back from a deployment's page.

    Attributes:
        button: its button; "" if there is none.
        to: the deployment to go back to; "" is the healthy version before the one that is live.
        why: why that very version is not gone back to; "" if it may be.
    """

    button: str = ""
    to: str = ""
    why: str = ""


async def _way_back(records: Records, found: Deployment, app: App) -> WayBack:
    """Return the way back as far as the journal knows it; its button asks the backend, too."""
    live = await records.journal.serving_of(app)
    served = live.version_served if live is not None else None
    if served is not None and found.served and served.same_as(Version.of(found)):
        return WayBack("Roll back…", why="it is what is live")
    if found.state is State.DONE:
        return WayBack("Roll back to this…", found.id)
    if found.state is State.UNHEALTHY:
        return WayBack(why="only a version that was healthy can be rolled back to")
    return WayBack(why=f"it brought no version ({found.state})")


def may_of(found: Deployment, rights: frozenset[Right]) -> list[str]:
    """Return the actions on a deployment of an app that exists, which these rights allow."""
    may = []
    if found.state not in FINAL and found.state is not State.VERIFYING and Right.CANCEL in rights:
        may.append("cancel")
    if found.state in FINAL and Right.DEPLOY in rights:
        if found.action is not Action.ROLLBACK:
            may.append("redeploy")
        may.append("rollback")
    if found.state is State.HELD:
        lifting = {hold.may_lift for hold in found.holds}
        if lifting <= rights:
            may.append("lift")
        if Right.APPROVE in rights and proposal_of(found) is not None:
            may.append("approve")
    return may
