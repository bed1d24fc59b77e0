"""Backends that can't be read, noted in the journal for processes that read none themselves."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from bridge.core.errors import BridgeError
from bridge.core.troubles import NOTED, Trouble, read_troubles, write_troubles
from bridge.ports.journal import Notes

PATIENCE = 1.0
"""Seconds for the journal to answer; its own line in `/readyz` says when it does not."""


class Troubles:
    """Notes the troubles that one process has, where they have changed."""

    def __init__(self, journal: Notes) -> None:
        self._journal = journal
        self._since: dict[str, float] = {}
        self._noted: str | None = None

    async def note(self, found: Mapping[str, str], now: float) -> None:
        """Keep why each backend can't be read, and since when; raises Unreachable."""
        self._since = {name: self._since.get(name, now) for name in found}
        text = write_troubles(
            {name: Trouble(why, self._since[name]) for name, why in found.items()}
        )
        if text != self._noted:
            await self._journal.note(NOTED, text)
            self._noted = text


async def troubles_in(journal: Notes) -> dict[str, str]:
    """Each backend in trouble, as `/readyz` tells of it; none where the journal is away."""
    try:
        async with asyncio.timeout(PATIENCE):
            noted = await journal.recall(NOTED)
    except (BridgeError, TimeoutError):
        return {}
    return {
        f"backend {name}": f"{one.why} (since {_utc(one.since)})"
        for name, one in read_troubles(noted).items()
    }


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
