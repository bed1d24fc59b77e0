"""Dialogs open by a trigger, which is good once and for three seconds."""

import logging
from collections.abc import Mapping
from typing import Any

from bridge.chats.slack.api.client import code_of
from bridge.chats.slack.parts import Parts
from bridge.core.errors import Refused, Rejected

log = logging.getLogger(__name__)

_TOO_LATE = frozenset({"expired_trigger_id", "invalid_trigger_id", "exchanged_trigger_id"})


class TooLate(Rejected):
    """A trigger was not good any more; who asked has to ask again."""


async def open_view(
    parts: Parts, body: Mapping[str, Any], view: dict[str, Any], *, method: str = "views.open"
) -> dict[str, Any]:
    """Open a dialog by the trigger of a request; return Slack's answer.

    Raises:
        TooLate: the trigger is not good any more.
        Refused, Unreachable, Unanswered: as ever.
    """
    trigger = str(body.get("trigger_id") or "")
    try:
        return await parts.client.call(method, trigger_id=trigger, view=view)
    except Refused as error:
        if code_of(error) not in _TOO_LATE:
            raise
        log.warning("a dialog came too late for its trigger", extra={"why": str(error)})
        raise TooLate("Slack gave up waiting for the dialog. Please try again.") from None
