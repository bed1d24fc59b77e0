"""Messages of ours that may be there already, looked for by the metadata that each carries."""

import time
from collections.abc import Mapping
from typing import Any

from bridge.chats.slack.api.client import SlackClient, code_of
from bridge.core.errors import Refused, Unreachable
from bridge.ports.clock import Clock

LOOKED_THROUGH = "100"
"""Messages, of the newest."""

WITHOUT_SCOPE = 3600.0
"""Seconds until a channel's history is asked for again, after Slack missed a scope."""

_MAY_NOT_LOOK = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "not_allowed"})


class History:
    """Looks through channels and threads, where the app may read them."""

    def __init__(self, client: SlackClient, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._closed: dict[str, float] = {}
        """Channels that are not asked about again, since their scope is missing, until when."""

    async def find(self, channel: str, metadata: Mapping[str, Any], thread: str = "") -> str | None:
        """Return the ts of a message in a channel or thread; None where it can't be found."""
        if self._closed.get(channel, 0.0) > self._clock():
            return None
        where = {"ts": thread} if thread else {}
        try:
            answer = await self._client.read(
                "conversations.replies" if thread else "conversations.history",
                channel=channel,
                limit=LOOKED_THROUGH,
                include_all_metadata="true",
                **where,
            )
        except Refused as error:
            if code_of(error) not in _MAY_NOT_LOOK:
                raise
            if code_of(error) == "missing_scope":
                self._closed[channel] = self._clock() + WITHOUT_SCOPE
            return None
        found = (one for one in answer.get("messages") or () if one.get("metadata") == metadata)
        return next((str(one["ts"]) for one in found), None)


def surely_not_done(error: Unreachable) -> bool:
    """Return whether nothing needs to be looked for: Slack, or our own pace, said "later".

    A connection that broke is another matter: the request may have been read by then.
    """
    return error.retry_after is not None
