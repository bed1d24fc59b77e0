"""Tell whoever has asked for a change of a configuration what became of it.

The dialog is updated while it is open; otherwise only the person is told.
"""

from collections.abc import Sequence

from bridge.chats.slack.api import SlackClient, code_of, tell_alone
from bridge.chats.slack.config_views import outcome_view, told
from bridge.core.errors import Refused
from bridge.messages.told import note_in
from bridge.ports.feedback import SaveCursor, Snapshot, Turn
from bridge.ports.outcomes import DONE, Audited, Cursor, Subscription

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
