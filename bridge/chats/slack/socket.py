"""Socket Mode: the same handlers through a WebSocket that we open, so no address is needed."""

import asyncio
import logging
from typing import Any

from bridge.chats.slack.client import SlackClient

log = logging.getLogger(__name__)

PING_SECONDS = 10.0
RETRY_SECONDS = 5.0


class Socket:
    """Keeps one connection to Slack, and makes it anew when it ends."""

    def __init__(self, bolt: Any, client: SlackClient, app_token: str) -> None:
        self._bolt = bolt
        self._client = client
        self._app_token = app_token
        self._handler: Any = None

    async def run(self) -> None:
        """Connect, and stay connected as long as the process lives."""
        from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler

        self._handler = AsyncSocketModeHandler(
            self._bolt,
            self._app_token,
            logger=_quiet(),
            web_client=self._client.plain(),
            ping_interval=PING_SECONDS,
        )
        try:
            await self._handler.connect_async()
            log.info("socket mode is connected")
            await asyncio.Event().wait()
        finally:
            await self._handler.close_async()


def _quiet() -> logging.Logger:
    """slack_sdk's, whose lines hold addresses with one-time tickets: only what is wrong."""
    logger = logging.getLogger("bridge.chats.slack.sdk")
    logger.setLevel(logging.ERROR)
    return logger
