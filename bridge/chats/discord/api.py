"""Discord's webhooks: one request at a time, their errors translated once.

Nothing is retried here: the outbox does that, and knows what may happen twice. A webhook's address
is a secret, so no error and no log has more of it than the name that rules call it.
Source: https://docs.discord.com/developers/resources/webhook
"""

import asyncio
import json
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import aiohttp

from bridge.chats.discord.settings import Webhook
from bridge.connecting import AGENT, CannotConnect
from bridge.connecting.clients import session
from bridge.connecting.proxies import proxy_for
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.core.log_text import cut, escaped
from bridge.ports.clock import Clock, Sleep

DISCORD = "discord"

MOST_ANSWER = 2**20
"""The most bytes of an answer to read; a message has a few thousand."""

ASK_AGAIN = 30.0
"""Seconds between requests for a webhook while Discord can't be reached."""

LONG = 5.0
"""The longest that a request waits for the rate limit, in seconds."""

BLOCKED = 60.0
"""Seconds to wait if Discord names no time."""

UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
TAG_REQUIRED = 40067
INVALID_TOKEN = 50027
ARCHIVED = 50083
NEEDS_A_POST = 220001
NO_FORUM = 220003

_GONE = frozenset({UNKNOWN_WEBHOOK, INVALID_TOKEN})
_REMEDIES = {
    TAG_REQUIRED: "; webhooks here set no tag: in the forum's settings, require none",
}
_RIGHT = "is discord.api_url right, and is no proxy in between?"


class DiscordRefused(Refused):
    """A refusal by Discord; `code`: its own error code, 0 if it has none."""

    def __init__(self, words: str, *, status: int, code: int) -> None:
        super().__init__(DISCORD, words, status=status)
        self.code = code


class DiscordClient:
    """Writes by webhooks; `close` it when done.

    Attributes:
        gone: the webhooks that Discord does not know any more, by name, each with what to do.
            Discord bans who keeps asking for them, so nothing is sent there again.
    """

    def __init__(
        self, api_url: str, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        """Take the parts; send nothing yet."""
        self.gone: dict[str, str] = {}
        self._api_url = api_url.rstrip("/")
        self._clock = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._free_at: dict[str, float] = {}
        """When a webhook may be used again, by its id; "" stands for all of them."""

    async def post(
        self, webhook: Webhook, body: Mapping[str, Any], *, thread: str = ""
    ) -> Mapping[str, Any]:
        """Post a message; return it as Discord has it.

        Args:
            thread: the post or thread to add it to; "" posts to the channel.

        Raises:
            DiscordRefused: it was not posted.
            Unreachable: it was not posted; with `retry_after` where Discord named it.
            Unanswered: it may have been posted.
        """
        where = {"wait": "true"} | ({"thread_id": thread} if thread else {})
        return await self._ask("POST", webhook, "", where, body)

    async def edit(
        self, webhook: Webhook, message: str, body: Mapping[str, Any], *, thread: str = ""
    ) -> None:
        """Replace a message's content; raise as `post`."""
        where = {"thread_id": thread} if thread else {}
        await self._ask("PATCH", webhook, f"/messages/{message}", where, body)

    async def about(self, webhook: Webhook) -> Mapping[str, Any]:
        """Return the webhook as Discord knows it; raise as `post`."""
        return await self._ask("GET", webhook, "", {})

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(
        self,
        method: str,
        webhook: Webhook,
        path: str,
        where: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        if (why := self.gone.get(webhook.name)) is not None:
            raise DiscordRefused(why, status=HTTPStatus.NOT_FOUND, code=UNKNOWN_WEBHOOK)
        await self.ready(webhook)
        url = f"{self._api_url}/webhooks/{webhook.id}/{webhook.token}{path}"
        try:
            async with self._opened().request(
                method, url, params=where, json=body, allow_redirects=False, proxy=proxy_for(url)
            ) as answer:
                said = await _read(answer)
                return self._understood(webhook, answer, said)
        except (CannotConnect, aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError) as error:
            raise Unreachable(DISCORD, _why(error)) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(DISCORD, _why(error)) from None

    async def ready(self, webhook: Webhook) -> None:
        """Wait until the rate limit lets a request pass; raise Unreachable if that takes long."""
        free_at = max(self._free_at.get(webhook.id, 0.0), self._free_at.get("", 0.0))
        if (wait := free_at - self._clock()) > LONG:
            why = f"its rate limit blocks requests to {webhook.name} for {wait:.0f} s"
            raise Unreachable(DISCORD, why, retry_after=wait)
        if wait > 0:
            await self._sleep(wait)

    def _understood(
        self, webhook: Webhook, answer: aiohttp.ClientResponse, said: Any
    ) -> Mapping[str, Any]:
        """Return an answer's object, or raise its error."""
        status, told = answer.status, said if isinstance(said, dict) else {}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise self._too_many(webhook, answer.headers, told)
        if answer.headers.get("X-RateLimit-Remaining") == "0":
            self._rest(webhook.id, _seconds(answer.headers.get("X-RateLimit-Reset-After"), 0.0))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unanswered(DISCORD, f"status {status}")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise self._refused(webhook, status, told)
        if status != HTTPStatus.OK or not told:
            raise Unanswered(DISCORD, f"status {status} without an object; {_RIGHT}")
        return told

    def _too_many(
        self, webhook: Webhook, headers: Mapping[str, str], told: Mapping[str, Any]
    ) -> Unreachable:
        """Return the error; pause this webhook, or all if Discord says so or blocks us."""
        asked = told.get("retry_after", headers.get("Retry-After"))
        seconds = max(_seconds(asked, BLOCKED), 0.05)
        everywhere = told.get("global", True) is True
        self._rest("" if everywhere else webhook.id, seconds)
        whose = "everything" if everywhere else webhook.name
        why = f"too many requests: {whose} has to wait {seconds:.1f} s"
        return Unreachable(DISCORD, why, retry_after=seconds)

    def _rest(self, scope: str, seconds: float) -> None:
        self._free_at[scope] = max(self._free_at.get(scope, 0.0), self._clock() + seconds)

    def _refused(self, webhook: Webhook, status: int, told: Mapping[str, Any]) -> DiscordRefused:
        code = told["code"] if isinstance(told.get("code"), int) else 0
        if code in _GONE:
            self.gone[webhook.name] = self._remedy(webhook, code)
            return DiscordRefused(self.gone[webhook.name], status=status, code=code)
        says = cut(escaped(str(told.get("message") or f"status {status}; {_RIGHT}")), 200)
        detail = cut(escaped(json.dumps(told["errors"])), 300) if told.get("errors") else ""
        words = f"{says} (code {code}, webhook {webhook.name}){detail and f'; {detail}'}"
        words += _REMEDIES.get(code, "")
        return DiscordRefused(words.replace(webhook.token, "***"), status=status, code=code)

    @staticmethod
    def _remedy(webhook: Webhook, code: int) -> str:
        what = "was deleted" if code == UNKNOWN_WEBHOOK else "has another token"
        return (
            f"the webhook {webhook.name} {what}: make a new one in the channel's settings"
            " (Integrations, Webhooks), set its address, and start the bridge again"
        )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            agent = f"DiscordBot (dokploy-bridge, 1) {AGENT}"  # the form that Discord asks for
            self._session = session(headers={"User-Agent": agent})
        return self._session


async def asked(api_url: str, webhooks: Mapping[str, Webhook]) -> dict[str, BridgeError | None]:
    """Ask Discord for each webhook; return why it can't be used, None if it can."""
    client = DiscordClient(api_url)
    found: dict[str, BridgeError | None] = {}
    try:
        for name, webhook in webhooks.items():
            try:
                await client.about(webhook)
                found[name] = None
            except BridgeError as error:
                found[name] = error
    finally:
        await client.close()
    return found


async def _read(answer: aiohttp.ClientResponse) -> Any:
    """Return the JSON of an answer; None for anything else, e.g. a proxy's page."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > MOST_ANSWER:
            answer.close()
            raise Unanswered(DISCORD, f"its answer has more than {MOST_ANSWER >> 20} MiB")
    try:
        return json.loads(body)
    except ValueError:
        return None


def _seconds(value: Any, otherwise: float) -> float:
    """Return a duration in seconds from a header or answer."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return otherwise
    return found if 0.0 <= found <= 86400.0 else otherwise


def _why(error: Exception) -> str:
    return why_not_connected(error) or type(error).__name__
