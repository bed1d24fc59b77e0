"""Deployments: a list, and one with its steps, its log and what can be done."""

from dataclasses import dataclass, replace

from bridge.console.records import Asked, Records, state_named
from bridge.console.render import Page, word
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.apps import App, find_app
from bridge.core.events import Action
from bridge.core.failure import failing_line
from bridge.core.health.rollback import Version
from bridge.core.health.rollback import version_of as served_version
from bridge.core.health.serving import Serving
from bridge.core.holds import warnings_in
from bridge.core.lifecycle import FINAL, Deployment, State
from bridge.core.log_text import shorten
from bridge.core.masking import redact
from bridge.ports.feedback import Pending
from bridge.ports.inbox import Delivery
from bridge.ports.outcomes import LINK
from bridge.views.decisions import IN_WORDS
from bridge.views.deployment_lists import note_of
from bridge.views.deployments import asked_by, first_line, took, version_of
from bridge.views.links import Links
from bridge.views.proposal import proposal_of, proposed_of
from bridge.views.values import plain

A_PAGE = 50
"""Deployments on a page."""

MOST_READ = 500
"""Deployments to read at most for a page of somebody who may not see all of them."""

MOST_NAMED = 24
"""Characters of a version on a button, which may be the name of an image."""

MOST_PLACES = 30
"""Places on the page of a deployment that show it."""


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
    live = await records.journal.serving_of(app) if app else None
    places = await records.journal.showing(found, limit=MOST_PLACES)
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
        "steps": await _steps(records, found, delivery),
        "delivery": delivery,
        "may": may,
        "way_back": await _way_back(records, found, app, live) if "rollback" in may else None,
        "live": _live_beside(found, live),
        "commit": built,
        "message": first_line(message),
        "took": took(found),
        "author": found.author if proposal is None else proposal.author,
        "commit_page": records.links.commit(app, built),
        "compare_page": await _compare(records, found, app),
        "log": log_of(found),
        "places": [place_of(one, app, records.links) for one in places],
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
        to: the deployment to whose version it goes back.
        why: why that very version is not gone back to; "" if it may be.
    """

    button: str = ""
    to: str = ""
    why: str = ""


async def _way_back(
    records: Records, found: Deployment, app: App | None, live: Serving | None
) -> WayBack | None:
    """Return the way back as far as the journal knows it; its button asks the backend, too."""
    if app is None:
        return None
    served = live.version_served if live is not None else None
    if served is not None and found.served and served.same_as(Version.of(found)):
        return replace(await back_of(records, app), why="it is what is live")
    if found.state is State.DONE:
        return WayBack("Roll back to this…", found.id)
    if found.state is State.UNHEALTHY:
        return WayBack(why="only a version that was healthy can be rolled back to")
    beside = _live_beside(found, live)
    way = await back_of(records, app) if beside and beside.stays else WayBack()
    return replace(way, why=f"it brought no version ({found.state})")


async def back_of(records: Records, app: App) -> WayBack:
    """Return the way back to the version that an app served before, if there is one."""
    target = (await records.journal.rollback_targets([app])).get(app.id)
    return WayBack(back_words(target), target.id) if target is not None else WayBack()


def back_words(target: Deployment) -> str:
    """Return the words of the button that goes back to the version of a deployment."""
    return f"Roll back to {shorten(served_version(target), MOST_NAMED)}…"


@dataclass(frozen=True, slots=True)
class LiveBeside:
    """The live version beside a failed deployment.

    Attributes:
        version: a short commit, or an image.
        id: our deployment that has brought it; "" for none of ours.
        stays: it was live before; else it went live since.
    """

    version: str
    id: str
    stays: bool


def _live_beside(found: Deployment, live: Serving | None) -> LiveBeside | None:
    if found.state is not State.FAILED or live is None or not live.version:
        return None
    ended = found.finished_at or found.created_at
    return LiveBeside(
        live.commit[:7] if live.commit else live.version,
        live.ours.id if live.ours else "",
        stays=(live.since or ended) <= ended,
    )


# ── the log, and the line that says why it failed ────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class ShownLog:
    """A kept log without secrets; `failing` is the line with the reason of the failure."""

    before: str = ""
    failing: str = ""
    after: str = ""


def log_of(deployment: Deployment) -> ShownLog:
    """Return what is kept of a deployment's log."""
    text = redact(deployment.log_kept)
    lines = text.split("\n")
    at = failing_line(lines, deployment.note) if deployment.state is State.FAILED else None
    if at is None:
        return ShownLog(text)
    above = "".join(f"{line}\n" for line in lines[:at])
    return ShownLog(above, lines[at], "\n".join(lines[at + 1 :]))


# ── its steps, and where it is shown ─────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a deployment: a state, or what somebody did about what held it."""

    at: float
    state: str
    word: str
    note: str


async def _steps(records: Records, found: Deployment, arrived: Delivery | None) -> list[Step]:
    """Return a deployment's steps, oldest first: from the push, and with who let it pass."""
    changes = await records.journal.changes(found.id)
    steps = [Step(one.at, one.state, word(one.state), note_of(one)) for one in changes]
    if arrived is not None:
        decided = (await records.journal.decisions([found.seq]))[found.seq]
        said = [f"{IN_WORDS[d.reason]}: {d.evidence}" for d in decided if d.app_id == found.app_id]
        came = Step(arrived.received_at, "", "came in", plain(asked_by(found)))
        steps = [came, *(Step(found.created_at, "", "decided", one) for one in said), *steps]
    commit = found.deployed_commit or found.head or found.commit
    if found.held_at is not None and commit is not None:
        given = await records.journal.approvals(found.app_id, commit)
        steps += [Step(one.at, State.DONE, "approved", f"by {one.name}") for one in given]
    steps += [
        Step(one.at, State.DONE, "let pass", f"by {one.by}: {redact(one.reason)}")
        for one in found.lifts
    ]
    return sorted(steps, key=lambda step: step.at)


@dataclass(frozen=True, slots=True)
class ShownPlace:
    """A place that shows a deployment.

    Attributes:
        kind: e.g. "Comment", "Card".
        name: which one, e.g. "#142"; link: its page, None if it is not known.
        why_not: why it is not up to date; "" if it is.
    """

    kind: str
    name: str
    link: str | None
    why_not: str


def place_of(pending: Pending, app: App | None, links: Links) -> ShownPlace:
    """Return a place that shows a deployment, as people name it."""
    where, _, kind = pending.subscription.kind.partition(".")
    place, link = pending.subscription.place, pending.cursor.get(LINK)
    name = where.capitalize()
    if kind == "comment":
        page, sign = links.pull_request(app, place["number"]) or (None, "#")
        name, link = f"{sign}{place['number']}", link or page
    elif kind == "status":
        name = place.get("context", where)
        link = links.commit(app, place["commit"])
    elif kind in ("deployment", "preview"):
        kind, name = "environment", place["environment"]
        link = links.environment(app, name)
    why_not = "" if pending.shown else "not yet"
    if pending.error is not None:
        why_not = "given up" if pending.parked else "fails, and is tried again"
    return ShownPlace(_KINDS.get(kind, kind).capitalize(), name, link, why_not)


_KINDS = {"pull": "message"}
"""The name of each kind of place."""


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
