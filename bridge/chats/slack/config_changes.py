"""Keep changes that were requested by chat, and tell the person what became of them.

The dialog is updated while it is open; otherwise only the person is told.
"""

from collections.abc import Sequence
from typing import Any

from bridge.chats.slack import config_views, names
from bridge.chats.slack.answers import problem
from bridge.chats.slack.api import SlackClient, code_of, tell_alone
from bridge.chats.slack.commands import later
from bridge.chats.slack.config_views import outcome_view, told
from bridge.chats.slack.render import Outgoing, outgoing
from bridge.chats.slack.workspace import CHAT, Parts, one_time, place_of
from bridge.core.access import Person, Right
from bridge.core.apps import App
from bridge.core.chat.replies import Denied, denial
from bridge.core.errors import BridgeError, Refused
from bridge.core.events import Action, Asked, write_command
from bridge.core.people import Actor
from bridge.messages.told import note_in
from bridge.ports.chats import Place
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.inbox import NewDelivery
from bridge.ports.outcomes import DONE, Audited, Cursor, Subscription


def allowed(parts: Parts, person: Person, place: Place, app_id: str) -> App | None:
    """Return the app, if the person may configure it from there."""
    found = parts.commands.apps(person, place, Right.CONFIGURE)
    return next((one for one in found if one.id == app_id), None)


def denied(parts: Parts, person: Person, place: Place, app: App | None) -> Denied:
    """Return why they may not; don't name an app that they may not see."""
    seen = parts.commands.apps(person, place, Right.VIEW)
    if app is None or app.id not in {one.id for one in seen}:
        why = "That app is gone, or you may not configure it."
        return Denied(Right.CONFIGURE, why, "")
    return denial(parts.access, person, Right.CONFIGURE, app.label, app)


def refused(parts: Parts, person: Person, place: Place, app: App | None) -> dict[str, Any]:
    """Return the same as a view; record it in the audit log."""
    reply = denied(parts, person, place, app)
    parts.background.start(parts.commands.note(person, str(Action.CONFIGURE), reply), "audit")
    return config_views.refused_view(reply.sentence, reply.lines)


async def ask(
    parts: Parts,
    person: Person,
    place: Place,
    action: Action,
    app: App,
    which: tuple[Any, ...],
    *,
    view: str = "",
    draft: str = "",
) -> bool:
    """Keep a request; return False if the same request is already kept.

    Args:
        which: identifies the request.

    Raises:
        Unreachable: it could not be kept.
    """
    asked = Asked(
        action,
        app.id,
        Actor(CHAT, person.called),
        person=person.id,
        channel=place.channel,
        thread=place.thread,
        app=app.label,
        view=view,
        draft=draft,
    )
    id_ = one_time("configure", *which)
    body = write_command(asked)
    kept = await parts.inbox.keep(NewDelivery(CHAT, id_, action, {}, body, parts.clock()))
    return not kept.duplicate


# ── Publishing the outcome ────────────────────────────────────────────────────────────────────────

_CLOSED = frozenset({"not_found", "view_not_found"})


class Told:
    """Publisher of `TOLD`: tells the person who asked."""

    def __init__(self, client: SlackClient, turn: Turn) -> None:
        self._client = client
        self._turn = turn

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        """Update the dialog; if it is closed, tell the outcome once."""
        note = note_in(subscription, snapshot)
        if note is None or cursor.get("said") == note.outcome:
            return ()
        await self._turn(subscription.lane)
        if not await self._in_dialog(str(subscription.place["view"]), note) and note.over:
            seen = (
                note.result == DONE and subscription.place["channel"] in subscription.place["shown"]
            )
            if not seen:
                place, said = subscription.place, told(note).body()
                await tell_alone(self._client, str(place["channel"]), str(place["person"]), said)
        await save_cursor({"said": note.outcome})
        return ()

    async def _in_dialog(self, view_id: str, note: Audited) -> bool:
        if not view_id:
            return False
        try:
            await self._client.call("views.update", view_id=view_id, view=outcome_view(note))
        except Refused as error:
            if code_of(error) in _CLOSED:
                return False
            raise
        return True


# ── undo ─────────────────────────────────────────────────────────────────────


def register(bolt: Any, parts: Parts) -> None:
    """Register the button that undoes a change."""

    async def on_undo(ack: Any, body: dict[str, Any]) -> Any:
        said = await _undo(parts, body)
        if said is not None:
            parts.background.start(later(parts, body, said), "answer to an undo")
        return await ack()

    bolt.action(names.PROVIDER_UNDO)(on_undo)


async def _undo(parts: Parts, body: dict[str, Any]) -> Outgoing | None:
    """Keep the undo; return the error if that is impossible."""
    person, place = await parts.person(body), place_of(body)
    value = str(body["actions"][0].get("value") or "")
    try:
        note = await parts.journal.change(int(value)) if value.isdecimal() else None
        app = allowed(parts, person, place, note.app_id) if note else None
        if note is None or app is None:
            known = await parts.journal.app(note.app_id) if note else None
            reply = denied(parts, person, place, known)
            parts.background.start(parts.commands.note(person, str(Action.UNDO), reply), "audit")
            return outgoing(reply, parts.links)
        which = (await parts.clicks.id_of(body),)
        await ask(parts, person, place, Action.UNDO, app, which, draft=str(note.number))
    except BridgeError as error:
        return Outgoing(problem(f"It could not be kept, so nothing will change: {error}"))
    return None
