"""Socket Mode: the same handlers through a WebSocket that we open, so no address is needed."""

import asyncio
import logging
import re
from typing import Any

from bridge.chats.slack.api.client import SlackClient

log = logging.getLogger(__name__)

PING_SECONDS = 10.0
"""Between two pings, and before a connection that failed is tried again."""


_ADDRESS = re.compile(r"wss?://\S+")
"""Has a ticket in it that lets in whoever has it."""


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


class _Once(logging.Filter):
    """Says what is wrong once and in one line: the SDK repeats it with a traceback at every try."""

    def __init__(self) -> None:
        super().__init__()
        self._said = ""

    def filter(self, record: logging.LogRecord) -> bool:
        said = _ADDRESS.sub("wss://…", record.getMessage())
        record.msg, record.args, record.exc_info = said, (), None
        new, self._said = said != self._said, said
        return new


def _quiet() -> logging.Logger:
    """slack_sdk's, whose lines below errors hold addresses with one-time tickets."""
    logger = logging.getLogger("bridge.chats.slack.sdk")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(_Once())
    return logger
