"""The actions of the console: each is a form, whose sender's rights are checked on arrival."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.console.records import GONE, HERE, Records, is_number
from bridge.console.render import Page
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import (
    Denied,
    NotAllowed,
    Sorry,
    denial,
)
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import ASKING_HOSTS, CONSOLE_HOST, Asked, write_command
from bridge.core.events import Action as Wish
from bridge.core.people import Actor
from bridge.pipeline.audit import named, record
from bridge.ports.chats import AnyReply
from bridge.ports.inbox import NewDelivery
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


async def show_again(records: Records, visitor: Visitor, _parts: Parts, form: Form) -> Done:
    """Retry feedback that could not be published."""
    if not records.sees_all(visitor):
        raise NotFound("What could not be shown elsewhere is for those who may view every app.")
    count = await records.journal.retry_feedback(id_ := form.get("id") or None)
    if count:
        by = named(CONSOLE_HOST, visitor.person)
        await record(records.journal, by, "feedback retry", id_ or "all that fail")
    what = "1 place is" if count == 1 else f"{count} places are"
    return Done("/console/audit", f"{what} tried again.")


# ── replays ──────────────────────────────────────────────────────────────────────────────────────


async def replay(records: Records, visitor: Visitor, parts: Parts, form: Form) -> Done:
    """Decide a webhook anew, with today's rules."""
    seq = await _replayable(records, visitor, parts["seq"])
    for app in records.apps():
        if Right.DEPLOY not in records.rights(visitor, app):
            raise NotAllowed(denial(records.access, visitor.person, Right.DEPLOY, app.label, app))
    person = visitor.person
    asked = Asked(
        Wish.REPLAY,
        str(seq),
        Actor(CONSOLE_HOST, person.called),
        person=person.key(CONSOLE_HOST),
        accounts=" ".join(person.accounts(CONSOLE_HOST)),
    )
    id_ = _once(visitor, Wish.REPLAY, str(seq), form)
    new = NewDelivery(CONSOLE_HOST, id_, Wish.REPLAY, {}, write_command(asked), records.clock())
    kept = await records.inbox.keep(new)
    return Done(f"/console/deliveries/{kept.seq}", "It is decided anew, with today's rules.")


async def replay_as_it_was(records: Records, visitor: Visitor, parts: Parts, form: Form) -> Done:
    """Deploy again the versions that a webhook has deployed, whatever the rules say today.

    If that is impossible for one app, nothing is done for the others.
    """
    seq = await _replayable(records, visitor, parts["seq"])
    then = (await records.journal.deployments_of([seq]))[seq]
    if not then:
        raise Rejected("It deployed nothing, so there is nothing to repeat.")
    apps = {app.id: app for app in records.apps()}
    if gone := [one.app for one in then if one.app_id not in apps]:
        raise Rejected(f"{', '.join(gone)} is gone: replay it with today's rules instead.")
    for one in then:
        if Right.DEPLOY not in records.access.rights(visitor.person, one.app, None):
            raise NotAllowed(denial(records.access, visitor.person, Right.DEPLOY, one.app))
    found = [(app := apps[one.app_id], await records.replays.plan(app, one)) for one in then]
    for app, again in found:
        seen = f"{again.way} {again.to.id} {again.served}".strip()
        call = Call(again.action, {"app": app.id, "seen": seen})
        once = _once(visitor, again.action, app.id, form)
        reply = await records.commands.answer(visitor.person, HERE, call, once)
        if not isinstance(reply, View) or reply.refused:
            raise refusal(reply)
    return Done("/console", "\n".join(f"{app.label}: {again.says}." for app, again in found))


async def _replayable(records: Records, visitor: Visitor, seq: str) -> int:
    """Return the position of a webhook that somebody may replay."""
    found = await records.inbox.get(int(seq)) if is_number(seq) else None
    if found is None or not records.sees_all(visitor):
        raise NotFound(f"There is no delivery {seq!r}: {GONE}.")
    if found.host in ASKING_HOSTS or found.host not in records.hosts:
        raise Rejected("That is not a webhook: make the same request again instead.")
    return found.seq


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


def _once(visitor: Visitor, wish: Wish, target: str, form: Form) -> str:
    """Return the id of the delivery, the same for a form that is sent twice, which so acts once."""
    parts = (visitor.person.id, wish, target, form.get("once", ""))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


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
    "/console/feedback/again": show_again,
    "/console/deliveries/{seq}/replay": replay,
    "/console/deliveries/{seq}/again": replay_as_it_was,
}
"""Each action by its path."""

_AUDITED: Mapping[str, str] = {"/console/deliveries/{seq}/again": "replay"}


def audited_as(path: str) -> str:
    """Return what the audit log calls the action at a path."""
    return _AUDITED.get(path, path.rpartition("/")[2])
