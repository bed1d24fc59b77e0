"""What a listener says of connections that it closes because there are too many."""

import asyncio
import logging
from collections.abc import Callable

SAID_EVERY = 60.0
"""Seconds, at least, between two lines of a listener."""


def count_nothing() -> None:
    """Count no closed connection."""


class Crowd:
    """Logs the first closed connection at once, and then once a minute how many there were.

    Args:
        logger: of the listener.
        count: is called for each of them.
    """

    def __init__(self, logger: logging.Logger, count: Callable[[], None] = count_nothing) -> None:
        self._logger = logger
        self._count = count
        self._closed = 0
        self._newest: dict[str, object] = {}
        self._timer: asyncio.TimerHandle | None = None

    def closed(self, *, limit: int, client: str, connections: int) -> None:
        """Note that a connection had to go.

        Args:
            limit: the one that was reached.
            client: whose connection it was.
            connections: those that are open.
        """
        self._count()
        self._closed += 1
        self._newest = {"limit": limit, "client": client, "open": connections}
        if self._timer is None:
            self._say()

    def _say(self) -> None:
        self._timer = None
        if not self._closed:
            return
        self._timer = asyncio.get_running_loop().call_later(SAID_EVERY, self._say)
        self._logger.info(
            "too many connections; those that were silent longest are closed",
            extra={"closed": self._closed, **self._newest},
        )
        self._closed = 0

    def end(self) -> None:
        """Say what was not said yet; nothing follows."""
        if self._timer is not None:
            self._timer.cancel()
            self._say()
        if self._timer is not None:
            self._timer.cancel()
