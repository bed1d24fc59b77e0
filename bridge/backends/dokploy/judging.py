"""Asks the witness when a key is refused: once for all who are refused at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from bridge.backends.dokploy.witness import KeyStanding, Verdict, Witness
from bridge.ports.clock import Clock

FRESH = 2.0
"""Seconds for which an answer counts that the database is not well, or can't be asked about."""


class Judge:
    """Judges the refusals of one key at one server."""

    def __init__(self, ask: Callable[[], Awaitable[Witness]], clock: Clock) -> None:
        """Take the parts; `ask` asks the witness, in a short time, and never raises."""
        self._ask = ask
        self._clock = clock
        self._standing = KeyStanding()
        self._asking = asyncio.Lock()
        self._said = Witness.SILENT
        self._began = self._ended = -1e9

    @property
    def worked(self) -> bool:
        """True once the key has been accepted."""
        return self._standing.worked

    def accepted(self) -> None:
        """Take note that the key is good."""
        self._standing.accepted()

    async def refused(self, sent_at: float) -> Verdict:
        """Judge the refusal, just come, of a request that was sent at that time."""
        witness = await self._witness()
        return self._standing.refused(sent_at, self._ended, witness)

    async def database(self) -> Witness:
        """Return how the database is, asked anew."""
        return await self._witness()

    async def _witness(self) -> Witness:
        now = self._clock()
        async with self._asking:
            # "Well" counts only when it was asked for after the refusal had come.
            asked_since = now if self._said is Witness.WELL else now - FRESH
            if self._began < asked_since:
                self._began = self._clock()
                self._said = self._standing.heard(await self._ask())
                self._ended = self._clock()
            return self._said
