"""One wish, one delivery: ids for what people type, click and submit."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from bridge.core.commands import CHAT_HOST
from bridge.ports.clock import Clock
from bridge.ports.inbox import Delivery, Inbox

DOUBLE_CLICK = 10.0
"""Seconds in which the same person's clicks on the same button of a message are one."""

MOST_CLICKS = 1000


def one_time(*what: object) -> str:
    """The id of a delivery that stands for something that happens once."""
    return f"{CHAT_HOST}-{hashlib.sha256(repr(what).encode()).hexdigest()[:24]}"


class Clicks:
    """Gives clicks the ids of their deliveries, so that a double click acts once.

    Each click has a time of its own, so those of a few seconds share an id: what is remembered
    here tells at once, and the inbox where another process or an earlier life kept it.
    """

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._last: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    async def id_of(self, body: Mapping[str, Any]) -> str:
        """The id for a click on a button."""
        action = body["actions"][0]
        user = str((body.get("user") or {}).get("id"))
        message = str((body.get("container") or {}).get("message_ts") or "")
        view = str((body.get("view") or {}).get("id") or "")
        key = (user, message or view, str(action.get("action_id")), str(action.get("value")))
        at = _seconds(action.get("action_ts"), self._clock())
        last = self._last.get(key)
        if last is not None and abs(at - last[0]) < DOUBLE_CLICK:
            return last[1]
        window = int(at // DOUBLE_CLICK)
        id_ = one_time("click", *key, window)
        self._remember(key, at, id_)
        before = await self._inbox.find(CHAT_HOST, one_time("click", *key, window - 1))
        if before is not None and self._since(before, at) < DOUBLE_CLICK:
            self._remember(key, at, before.id)
            return before.id
        return id_

    def _since(self, before: Delivery, at: float) -> float:
        """Seconds between both clicks; by Slack's clock also where this one is sent once more."""
        return min(self._clock() - before.received_at, abs(at - before.received_at))

    def _remember(self, key: tuple[str, ...], at: float, id_: str) -> None:
        self._last[key] = (at, id_)
        self._last.move_to_end(key)
        while len(self._last) > MOST_CLICKS:
            self._last.popitem(last=False)


def _seconds(text: object, otherwise: float) -> float:
    try:
        return float(str(text))
    except ValueError:
        return otherwise
