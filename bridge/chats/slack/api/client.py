"""Slack's Web API: one call at a time, its errors translated once.

slack_sdk sends and reads; it is imported late, since only a bridge with Slack needs it. It is
told to retry nothing: who calls knows whether a thing may happen twice.
"""

import json
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bridge.core.errors import BridgeError, Refused, Rejected, Unanswered, Unreachable

SLACK = "slack"
MOST_ANSWER = 16 * 2**20
"""Bytes, unpacked; a list of a thousand users has some two million."""

TIMEOUT = 15.0
"""Seconds for a whole call."""

_TOO_MANY = frozenset({"ratelimited", "rate_limited"})
_AGAIN = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
"""Errors of a moment. Slack may have done what was asked, so they count as unanswered."""

REMEDIES = {
    "not_in_channel": "invite the bridge's app to the channel: /invite @its-name",
    "channel_not_found": "check the channel's name or id; a private one needs an invitation first",
    "is_archived": "the channel is archived: name another in bridge.yaml",
    "invalid_auth": "the bot token is not valid: set BRIDGE_SLACK_BOT_TOKEN anew",
    "not_authed": "the bot token is missing: set BRIDGE_SLACK_BOT_TOKEN",
    "account_inactive": "the app was removed or its token revoked: install it again",
    "token_revoked": "the token was revoked: install the app again",
    "missing_scope": "install the app again with the scopes of `dokploy-bridge manifest slack`",
    "restricted_action": "a workspace preference forbids it: ask an administrator",
}
"""What to do about errors that do not end by themselves."""


class AnswerTooLarge(aiohttp.ClientPayloadError):
    """An answer has more bytes than are read."""


class _Bounded(aiohttp.ClientResponse):
    """An answer of which no more than `MOST_ANSWER` bytes are read."""

    async def read(self) -> bytes:
        """Return the body, once it is there."""
        if self._body is None:
            body = bytearray()
            async for piece in self.content.iter_any():
                body += piece
                if len(body) > MOST_ANSWER:
                    self.close()
                    why = f"the answer has more than {MOST_ANSWER >> 20} MiB, which are not read"
                    raise AnswerTooLarge(why)
            self._body = bytes(body)
        return await super().read()


class SlackClient:
    """Calls Slack with the bot's token; `close` it in the end."""

    def __init__(
        self,
        token: str,
        api_url: str = "https://slack.com/api/",
    ) -> None:
        """Take what is needed; nothing is sent."""
        self._token = token
        self._api_url = api_url if api_url.endswith("/") else f"{api_url}/"
        self._session: aiohttp.ClientSession | None = None
        self._web: Any = None
        self._answers_to = answer_origins(self._api_url)

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method, e.g. "chat.update"; returns Slack's answer.

        Raises:
            Refused: Slack says no; `words` begins with its error code.
            Unreachable: nothing was done; with `retry_after` where Slack named it.
            Unanswered: it may have been done.
        """
        from slack_sdk.errors import SlackApiError

        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            answer = await self._client().api_call(method, json=given)
        except SlackApiError as error:
            raise translated(method, error.response) from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
            raise _lost(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(SLACK, _why(error)) from error
        return dict(answer.data)

    async def read(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that takes its arguments in the address, e.g. "users.info"."""
        from slack_sdk.errors import SlackApiError

        try:
            answer = await self._client().api_call(method, http_verb="GET", params=arguments)
        except SlackApiError as error:
            raise translated(method, error.response) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(SLACK, _why(error)) from error
        return dict(answer.data)

    async def answer(self, url: str, message: dict[str, Any]) -> None:
        """Answer a command or click through its `response_url`.

        Raises:
            Rejected: the address is not Slack's.
            Refused: it was used up; Unreachable, Unanswered: as ever.
        """
        if not any(url.startswith(origin) for origin in self._answers_to):
            raise Rejected("a response_url that is not Slack's is not answered")
        session = self._opened()
        try:
            async with session.post(url, json=message, allow_redirects=False) as answer:
                if answer.status >= 500:
                    raise Unanswered(SLACK, f"response_url answered {answer.status}")
                if answer.status != 200:
                    raise Refused(SLACK, "response_url is used up", status=answer.status)
        except aiohttp.ClientConnectorError as error:
            raise _lost(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(SLACK, _why(error)) from error

    async def close(self) -> None:
        """Let go of connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._session = aiohttp.ClientSession(timeout=timeout, response_class=_Bounded)
        return self._session

    def plain(self) -> Any:
        """slack_sdk's own client, for what keeps a connection of its own."""
        from slack_sdk.web.async_client import AsyncWebClient

        return AsyncWebClient(base_url=self._api_url, session=self._opened())

    def _client(self) -> Any:
        if self._web is None:
            from slack_sdk.web.async_client import AsyncWebClient

            self._web = AsyncWebClient(
                self._token, self._api_url, session=self._opened(), retry_handlers=[]
            )
        return self._web


def answer_origins(api_url: str) -> tuple[str, ...]:
    """Where response URLs may lead: Slack's own host for them, and that of another API's base."""
    parts = urlsplit(api_url)
    found = ["https://hooks.slack.com/"]
    if parts.hostname not in (None, "slack.com"):
        found += [f"{parts.scheme}://{parts.netloc}/", f"https://hooks.{parts.netloc}/"]
    return tuple(found)


def translated(method: str, response: Any) -> BridgeError:
    """Slack's refusal as one of our errors."""
    status, headers = response.status_code, response.headers
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or f"status {status}")
    if status == 429 or (status == 200 and code in _TOO_MANY):
        return Unreachable(SLACK, f"{method}: too many calls", retry_after=_seconds(headers))
    if status >= 500 or code in _AGAIN:
        return Unanswered(SLACK, f"{method}: {code}")
    detail = data.get("response_metadata") or {}
    more = json.dumps(detail.get("messages"))[:300] if detail.get("messages") else ""
    needed = f" (needed: {data['needed']})" if data.get("needed") else ""
    remedy = f"; {REMEDIES[code]}" if code in REMEDIES else ""
    return Refused(SLACK, f"{code} ({method}){needed}{remedy}{more and f'; {more}'}", status=status)


def code_of(error: Refused) -> str:
    """Slack's error code, e.g. "channel_not_found"."""
    return error.words.partition(" ")[0]


def _seconds(headers: Any) -> float:
    try:
        return max(1.0, float(headers.get("Retry-After", 30)))
    except (TypeError, ValueError):
        return 30.0


def _why(error: Exception) -> str:
    """What is said of an error; the words of most are of addresses and sockets."""
    return str(error) if isinstance(error, AnswerTooLarge) else type(error).__name__


def _lost(error: aiohttp.ClientError) -> BridgeError:
    return Unreachable(SLACK, type(error).__name__)
