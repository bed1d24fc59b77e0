"""Socket Mode: the same handlers through a WebSocket that we open, so no address is needed."""

import asyncio
import logging
import re
from typing import Any

import aiohttp

from bridge.chats.slack.api.client import SlackClient

log = logging.getLogger(__name__)

PING_SECONDS = 10.0
"""Between two pings, and before a connection that failed is tried again."""


MOST_MESSAGE = 2**20
"""Bytes of a message; Slack's own, a dialog of 250 KB with what is typed, are well below."""

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
        sdk = self._handler.client
        sdk.aiohttp_client_session = _Bounded(sdk.aiohttp_client_session)
        sdk.on_error_listeners.append(_not_read)
        try:
            await self._handler.connect_async()
            log.info("socket mode is connected")
            await asyncio.Event().wait()
        finally:
            await self._handler.close_async()


class _Bounded:
    """A session whose WebSockets close on a message that is too large; the SDK sets no limit."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ws_connect(self, *args: Any, **settings: Any) -> Any:
        """Connect, as every session; the limit goes for all that comes."""
        return await self._session.ws_connect(*args, max_msg_size=MOST_MESSAGE, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)


async def _not_read(message: aiohttp.WSMessage) -> None:
    """Tell why a connection ends; Slack sends again, on the next one, what was not acknowledged."""
    code = getattr(message.data, "code", None)
    why = type(message.data).__name__
    if code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        why = f"more than {MOST_MESSAGE >> 20} MiB"
    log.warning("slack sent a message over the socket that is not read: %s", why)


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
