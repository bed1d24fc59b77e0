"""Who may configure what, and how what they ask for is kept."""

from typing import Any

from bridge.chats.slack.commands.clicks import one_time
from bridge.chats.slack.configuring import views
from bridge.chats.slack.parts import Parts
from bridge.core.access import Person, Right, granting, missing
from bridge.core.chat.replies import Denied
from bridge.core.commands import CHAT_HOST, write_command
from bridge.core.events import Action, Asked
from bridge.core.watch import App
from bridge.ports.chats import Place
from bridge.ports.inbox import NewDelivery


def allowed(parts: Parts, person: Person, place: Place, app_id: str) -> App | None:
    """The app, if somebody may configure it from there."""
    found = parts.commands.apps(person, place, Right.CONFIGURE)
    return next((one for one in found if one.id == app_id), None)


def denied(parts: Parts, person: Person, place: Place, app: App | None) -> Denied:
    """Why they may not; an app that they may not even see is not named."""
    seen = parts.commands.apps(person, place, Right.VIEW)
    if app is None or app.id not in {one.id for one in seen}:
        why = "That app is gone, or you may not configure it."
        return Denied(Right.CONFIGURE, why, "")
    why = missing(parts.access, person, Right.CONFIGURE, app.label)
    return Denied(Right.CONFIGURE, why, granting(person, Right.CONFIGURE, app.label), app)


def refused(parts: Parts, person: Person, place: Place, app: App | None) -> dict[str, Any]:
    """The same as a view; it is kept in the audit log."""
    reply = denied(parts, person, place, app)
    parts.background.start(parts.commands.note(person, str(Action.CONFIGURE), reply), "audit")
    return views.refused_view(reply.why, reply.lines)


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
    """Keep what somebody asks for; False: the very same was asked for before.

    Args:
        which: what makes it the same.

    Raises:
        Unreachable: it could not be kept.
    """
    asked = Asked(
        action,
        app.id,
        f"{CHAT_HOST}: {person.called}",
        person=person.id,
        channel=place.channel,
        thread=place.thread,
        app=app.label,
        view=view,
        draft=draft,
    )
    id_ = one_time("configure", *which)
    body = write_command(asked)
    kept = await parts.inbox.keep(NewDelivery(CHAT_HOST, id_, action, {}, body, parts.clock()))
    return not kept.duplicate
