"""The stored state of a message: its place, its content, and what is being sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from bridge.ports.outcomes import Cursor

_OLDER = {
    "ts": "message",
    "webhook": "by",
    "comment": "message",
    "shown": "shows",
    "bad": "urgent",
    "unwanted": "gone",
}
"""Names of fields as older releases wrote them for Slack, for Discord, and for comments."""


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """The cursor of a message.

    Attributes:
        message: its id; "" until it is posted.
        channel: where it was posted, by the id that the chat itself gives.
        thread: of its post, if it has one.
        by: who has posted it, where nobody else can edit it.
        link: its permalink.
        posting: it is being posted; waited: and was waited for.
        again: it was deleted once, and posted again.
        at: when it was last written; urgent: what it then showed that waits for nothing.
        lost: how often a posting was not confirmed.
        shows: a hash of what it shows.
        said, saying: how many lines of the history were told, and will have been after the reply
            that is being sent.
        turn, turning: the last rollback, or return from one, of which the thread tells, and of
            which the reply does.
        turns: how many of the lines tell of those.
        told, telling: what was told last of each preview, by its id, and will have been.
        gone: somebody deleted it, so it stays away.
    """

    message: str = ""
    channel: str = ""
    thread: str = ""
    by: str = ""
    link: str = ""
    posting: bool = False
    waited: bool = False
    again: bool = False
    at: float = 0.0
    urgent: str = ""
    lost: int = 0
    shows: str = ""
    said: int = 0
    saying: int = 0
    turn: str = ""
    turning: str = ""
    turns: int = 0
    told: Mapping[str, str] = field(default_factory=dict)
    telling: Mapping[str, str] = field(default_factory=dict)
    gone: bool = False

    @classmethod
    def of(cls, cursor: Cursor) -> "MessageCursor":
        """Read a stored cursor; unknown fields have their initial values."""
        given = {_OLDER.get(name, name): value for name, value in cursor.items()}
        return cls(**{one.name: given[one.name] for one in fields(cls) if one.name in given})

    def cursor(self) -> dict[str, Any]:
        """Return it as JSON, without what is not known."""
        known = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in known.items() if value}

    def now_said(self) -> "MessageCursor":
        """Return the cursor once the reply that it announces is there."""
        return replace(
            self,
            said=self.saying,
            saying=0,
            turn=self.turning or self.turn,
            turning="",
            turns=self.turns + bool(self.turning),
            told=self.telling or self.told,
            telling={},
        )

    def not_said(self) -> "MessageCursor":
        """Return the cursor without the reply that it announces."""
        return replace(self, saying=0, turning="", telling={})
