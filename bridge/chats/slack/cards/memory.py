"""What a card remembers of itself, and what is said at once in its thread. Pure."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bridge.chats.slack.cards.lines import LOUD
from bridge.chats.slack.drawing.messages import Message
from bridge.core.lifecycle import Change
from bridge.ports.targets import LINK, Memory, Target

EVENT = "bridge_card"
"""The type of our messages' metadata."""

MOST_AT_ONCE = 40
"""Changes that one message tells, each in a block; a message has fifty at most."""


@dataclass(frozen=True, slots=True)
class CardMemory:
    """What a target remembers of its card.

    Attributes:
        channel, ts: of the message; "" while it is not posted.
        link: its permalink.
        posting: it was about to be posted.
        shows: a hash of what it shows.
        said, saying: how many changes the thread has, and is about to have.
        gone: somebody has deleted it, so it stays away.
    """

    channel: str = ""
    ts: str = ""
    link: str = ""
    posting: bool = False
    shows: str = ""
    said: int = 0
    saying: int = 0
    gone: bool = False

    @classmethod
    def of(cls, memory: Memory) -> "CardMemory":
        """What was kept; what an older release did not keep is as at the beginning."""
        known = {name: memory[name] for name in cls.__slots__ if name in memory}
        return cls(**known)

    def memory(self) -> dict[str, Any]:
        """As JSON; `LINK` only once it is known."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in found.items() if value or name != LINK}


def about(target: Target, lines: int) -> dict[str, Any]:
    """The metadata of a card (no lines) or of so many lines in its thread."""
    payload = {"deployment": str(target.place["deployment"]), "lines": lines}
    return {"event_type": EVENT, "event_payload": payload}


def hash_of(message: Message) -> str:
    """By which an unchanged card is known."""
    return hashlib.sha256(json.dumps(message.body()).encode()).hexdigest()[:16]


def portions(history: Sequence[Change], said: int) -> list[tuple[int, Sequence[Change]]]:
    """What is to be said at once, up to which change: quiet ones together, a loud one alone."""
    portions: list[tuple[int, Sequence[Change]]] = []
    begin = said
    for at in range(said, len(history)):
        last = at + 1 == len(history)
        full = at + 1 - begin == MOST_AT_ONCE
        if history[at].state in LOUD or last or full or history[at + 1].state in LOUD:
            portions.append((at + 1, history[begin : at + 1]))
            begin = at + 1
    return portions


def joined(messages: Sequence[Message]) -> Message:
    """Several small messages as one."""
    blocks = tuple(block for message in messages for block in message.blocks)
    return Message("\n".join(message.text for message in messages), blocks)
