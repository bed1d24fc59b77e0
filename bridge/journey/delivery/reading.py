"""What a batch of deliveries means, replays as well."""

import asyncio
from collections.abc import Mapping, Sequence

from bridge.core.errors import Rejected
from bridge.core.events import Action, Asked
from bridge.core.found import FOUND_EVENT
from bridge.journey.delivery.attempts import is_heavy
from bridge.journey.delivery.meaning import Meaning, read
from bridge.ports.githosts import GitHost, ParsesApart
from bridge.ports.inbox import Delivery, Inbox

LONGEST_NUMBER = 20
"""Digits of a delivery's number; more name none that there is."""


class Reading:
    """Reads what the inbox kept."""

    def __init__(
        self, inbox: Inbox, hosts: Mapping[str, GitHost], apart: ParsesApart | None = None
    ) -> None:
        """Take the parts; `apart` parses large bodies, None: they are parsed like small ones."""
        self._inbox = inbox
        self._hosts = hosts
        self._apart = apart

    async def meanings(self, batch: Sequence[Delivery]) -> list[Meaning | str]:
        """What each delivery means, or why that can't be said."""
        heavy = {one.seq: await self._heavy(one) for one in batch if self._is_heavy(one)}
        light = [one for one in batch if one.seq not in heavy]
        read_ = await asyncio.to_thread(lambda: [read(one, self._hosts) for one in light])
        found = heavy | {one.seq: meaning for one, meaning in zip(light, read_, strict=True)}
        return [
            await self._replayed(meaning) if isinstance(meaning, Meaning) else meaning
            for meaning in (found[one.seq] for one in batch)
        ]

    def _is_heavy(self, delivery: Delivery) -> bool:
        return (
            self._apart is not None
            and is_heavy(delivery)
            and delivery.host in self._hosts
            and delivery.event != FOUND_EVENT
        )

    async def _heavy(self, delivery: Delivery) -> Meaning | str:
        """What a delivery with a large body means, as `read`."""
        assert self._apart is not None
        assert delivery.stored is not None
        try:
            event = await self._apart(
                delivery.host, delivery.event, delivery.headers, delivery.stored.pieces()
            )
        except Rejected as error:
            return str(error)
        return Meaning(delivery, event)

    async def _replayed(self, meaning: Meaning) -> Meaning | str:
        asked = meaning.event
        if not isinstance(asked, Asked) or asked.action is not Action.REPLAY:
            return meaning
        number = asked.target if asked.target.isdecimal() else "0"
        original = await self._inbox.get(int(number[:LONGEST_NUMBER]))
        if original is None:
            return f"there is no delivery {asked.target} to replay"
        if self._is_heavy(original):
            found = await self._heavy(original)
        else:
            found = await asyncio.to_thread(read, original, self._hosts)
        if isinstance(found, str):
            return f"delivery {original.id} can't be replayed: {found}"
        if isinstance(found.event, Asked):
            return f"delivery {original.id} is a command; give the command again instead"
        return Meaning(meaning.delivery, found.event, asked)
