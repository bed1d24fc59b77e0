"""What a batch of deliveries means, replays as well."""

import asyncio
from collections.abc import Mapping, Sequence

from bridge.core.events import Action, Asked
from bridge.journey.delivery.meaning import Meaning, read
from bridge.ports.githosts import GitHost
from bridge.ports.inbox import Delivery, Inbox

LONGEST_NUMBER = 20
"""Digits of a delivery's number; more name none that there is."""


class Reading:
    """Reads what the inbox kept."""

    def __init__(self, inbox: Inbox, hosts: Mapping[str, GitHost]) -> None:
        self._inbox = inbox
        self._hosts = hosts

    async def meanings(self, batch: Sequence[Delivery]) -> list[Meaning | str]:
        """What each delivery means, or why that can't be said."""
        found = await asyncio.to_thread(lambda: [read(d, self._hosts) for d in batch])
        return [await self._replayed(m) if isinstance(m, Meaning) else m for m in found]

    async def _replayed(self, meaning: Meaning) -> Meaning | str:
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action is not Action.REPLAY:
            return meaning
        number = asked.target if asked.target.isdecimal() else "0"
        original = await self._inbox.get(int(number[:LONGEST_NUMBER]))
        if original is None:
            return f"there is no delivery {asked.target} to replay"
        found = await asyncio.to_thread(read, original, self._hosts)
        if isinstance(found, str):
            return f"delivery {original.id} can't be replayed: {found}"
        if isinstance(found.event, Asked):
            return f"delivery {original.id} is a command; give the command again instead"
        return Meaning(meaning.delivery, found.event, asked)
