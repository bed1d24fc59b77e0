"""The actions of the console: each is a form, whose sender's rights are checked on arrival."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.console.records import GONE, Records
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.chat.replies import (
    Denied,
    NotAllowed,
    Sorry,
    denial,
)
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import CONSOLE_HOST
from bridge.core.previews.preview import Preview
from bridge.pipeline.audit import named
from bridge.ports.chats import AnyReply
from bridge.views.values import plain
from bridge.views.view import View


@dataclass(frozen=True, slots=True)
class Done:
    """The outcome of an action that was carried out, or is on disk: the next page, and words."""

    then: str
    says: str


Parts = Mapping[str, str]
Form = Mapping[str, str]
Action = Callable[[Records, Visitor, Parts, Form], Awaitable[Done | Page]]


async def adopt(records: Records, visitor: Visitor, parts: Parts, _form: Form) -> Done:
    """Switch off Auto Deploy of an app at its backend, if its pushes reach the bridge."""
    app = await records.app(visitor, parts["id"])
    if Right.CONFIGURE not in records.rights(visitor, app):
        raise NotAllowed(denial(records.access, visitor.person, Right.CONFIGURE, app.label, app))
    adopter = await records.adopter()
    plan = await adopter.plan([app])
    then = f"/console/apps/{app.id}"
    if plan.unread:
        raise Rejected(f"{plan.unread[0]}. Nothing was changed.")
    if plan.left:
        raise Rejected(
            f"No push of {app.label} reaches the bridge, so Auto Deploy stays on: without it"
            " nothing would deploy. Set up a webhook first."
        )
    if not plan.those:
        return Done(then, f"Auto Deploy of {app.label} is off already.")
    await adopter.switch(plan.those[0], off=True, by=named(CONSOLE_HOST, visitor.person))
    return Done(then, f"Auto Deploy of {app.label} is switched off.")


# ── previews ─────────────────────────────────────────────────────────────────────────────────────


PREVIEWS = "/console/previews"


async def stop_preview(records: Records, visitor: Visitor, _parts: Parts, form: Form) -> Done:
    """Remove a preview; a form that is sent twice acts once."""
    found = await _preview(records, visitor, form)
    if found.stopped:
        records.asker(visitor).check(Right.DEPLOY, found.app)
    else:
        await records.previews.stop(records.asker(visitor), found)
    return Done(PREVIEWS, f"{found.label} is being removed; a push starts it again.")


async def extend_preview(records: Records, visitor: Visitor, _parts: Parts, form: Form) -> Done:
    """Keep a preview as if it had been pushed to now."""
    found = await _preview(records, visitor, form)
    await records.previews.extend(records.asker(visitor), found)
    return Done(PREVIEWS, f"{found.label} stays.")


async def approve_preview(records: Records, visitor: Visitor, _parts: Parts, form: Form) -> Done:
    """Approve the commit of a fork that the page showed; a form that is sent twice acts once."""
    found, commit = await _preview(records, visitor, form), form.get("commit", "")
    if commit and found.approved == commit == found.pull.head_sha:
        records.asker(visitor).check(Right.APPROVE, found.app)
    else:
        await records.previews.approve(records.asker(visitor), found, commit)
    return Done(PREVIEWS, f"{found.label} is approved at {commit[:12]}.")


async def _preview(records: Records, visitor: Visitor, form: Form) -> Preview:
    """Return the preview of a form; raise NotFound if they may not see it."""
    id_ = form.get("id", "")
    found = await records.journal.preview(id_) if id_ else None
    if found is None or not records.may_see(visitor, found.app):
        raise NotFound(f"There is no preview {id_[:80]!r}: {GONE}.")
    return found


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def refusal(reply: AnyReply) -> Rejected:
    """Return the refusal for people."""
    match reply:
        case Denied():
            return NotAllowed(reply)
        case Sorry(why=why):
            return Rejected(why)
        case View():
            more = ": " if reply.says else ""
            return Rejected(f"{plain(reply.head)}{more}{'; '.join(map(plain, reply.says))}.")
    return Rejected("That can't be done here.")


ACTIONS: Mapping[str, Action] = {
    "/console/apps/{id}/adopt": adopt,
    "/console/previews/approve": approve_preview,
    "/console/previews/extend": extend_preview,
    "/console/previews/stop": stop_preview,
}
"""Each action by its path."""

_AUDITED: Mapping[str, str] = {
    "/console/previews/approve": "preview approve",
    "/console/previews/extend": "preview extend",
    "/console/previews/stop": "preview stop",
}


def audited_as(path: str) -> str:
    """Return what the audit log calls the action at a path."""
    return _AUDITED.get(path, path.rpartition("/")[2])
