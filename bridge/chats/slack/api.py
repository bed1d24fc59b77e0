"""Call Slack's Web API, one call at a time, and translate its errors once.

slack_sdk sends and reads; it is imported late, since only a bridge with Slack needs it. Its retries
are off: only the caller knows whether a call may be repeated.
"""

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bridge.chats.slack.payloads import RIGHT, SLACK, Answer, BoundedResponse, OddAnswer
from bridge.connecting import AGENT, CannotConnect
from bridge.connecting.clients import session
from bridge.connecting.proxies import proxy_for
from bridge.core.access import Access, Person
from bridge.core.errors import (
    BridgeError,
    Refused,
    Rejected,
    Unanswered,
    Unreachable,
)
from bridge.core.errors.connection import why_not_connected
from bridge.core.log_text import cut, escaped, harmless
from bridge.ports.clock import Clock

_NOT_SENT = (CannotConnect, aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)

_TOO_MANY = frozenset({"ratelimited", "rate_limited"})
_AGAIN = frozenset(
    {"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"}
)
"""Temporary errors. Slack may have done what was requested, so they count as unanswered."""

REMEDIES = {
    "not_in_channel": "invite the bridge's app to the channel: /invite @its-name",
    "channel_not_found": "check the channel's name or id; a private one needs an invitation first",
    "is_archived": "the channel is archived: name another in bridge.yaml",
    "invalid_auth": "the bot token is invalid: replace BRIDGE_SLACK_BOT_TOKEN",
    "not_authed": "the bot token is missing: set BRIDGE_SLACK_BOT_TOKEN",
    "account_inactive": "the app was removed or its token revoked: install it again",
    "token_revoked": "the token was revoked: install the app again",
    "missing_scope": "install the app again with the scopes of `dokploy-bridge manifest slack`",
    "restricted_action": "a workspace preference forbids it: ask an administrator",
}
"""Remedies for errors that last until somebody acts."""


class SlackClient:
    """Calls Slack with the bot's token; `close` it in the end."""

    def __init__(
        self,
        token: str,
        api_url: str = "https://slack.com/api/",
    ) -> None:
        """Take the parts; nothing is sent yet."""
        self._token = token
        self._api_url = api_url if api_url.endswith("/") else f"{api_url}/"
        self._session: aiohttp.ClientSession | None = None
        self._web: Any = None
        self._answers_to = answer_origins(self._api_url)

    async def call(self, method: str, **arguments: Any) -> Answer:
        """Call a method, e.g. "chat.update"; return Slack's answer.

        Raises:
            Refused: Slack says no; `words` begins with its error code.
            Unreachable: nothing was done; `retry_after` is set if Slack named it.
            Unanswered: it may have been done.
        """
        from slack_sdk.errors import SlackApiError

        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            answer = await self._client().api_call(method, json=given)
        except SlackApiError as error:
            raise translated(method, error.response) from None
        except (*_NOT_SENT, aiohttp.ServerDisconnectedError) as error:
            raise _lost(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(SLACK, _why(error, method)) from error
        return Answer(method, answer.data, headers=answer.headers)

    async def read(self, method: str, **arguments: Any) -> Answer:
        """Call a method that takes its arguments in the address, e.g. "users.info"."""
        from slack_sdk.errors import SlackApiError

        try:
            answer = await self._client().api_call(method, http_verb="GET", params=arguments)
        except SlackApiError as error:
            raise translated(method, error.response) from None
        except (CannotConnect, aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(SLACK, _why(error, method)) from error
        return Answer(method, answer.data, Unreachable, answer.headers)

    async def answer(self, url: str, message: dict[str, Any]) -> None:
        """Answer a command or click through its `response_url`.

        Raises:
            Rejected: the address is not Slack's.
            Refused: it is used up. Unreachable, Unanswered: as for `call`.
        """
        if not any(url.startswith(origin) for origin in self._answers_to):
            raise Rejected("a response_url that is not Slack's is not answered")
        try:
            async with self._opened().post(
                url, json=message, allow_redirects=False, proxy=proxy_for(url)
            ) as answer:
                if answer.status >= 500:
                    raise Unanswered(SLACK, f"response_url answered {answer.status}")
                if answer.status != 200:
                    raise Refused(SLACK, "response_url is used up", status=answer.status)
        except _NOT_SENT as error:
            raise _lost(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unanswered(SLACK, _why(error)) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = session(response_class=BoundedResponse)
        return self._session

    def plain(self, **settings: Any) -> Any:
        """slack_sdk's own client, for parts with their own connection."""
        from slack_sdk.web.async_client import AsyncWebClient

        made = AsyncWebClient(
            base_url=self._api_url,
            session=self._opened(),
            user_agent_prefix=AGENT,
            **settings,
        )
        made.proxy = proxy_for(self._api_url)  # its own knows no NO_PROXY
        return made

    def _client(self) -> Any:
        if self._web is None:
            self._web = self.plain(token=self._token, retry_handlers=[])
        return self._web


def answer_origins(api_url: str) -> tuple[str, ...]:
    """Return the hosts of response URLs: Slack's own, and that of another API's base."""
    parts = urlsplit(api_url)
    found = ["https://hooks.slack.com/"]
    if parts.hostname not in (None, "slack.com"):
        found += [f"{parts.scheme}://{parts.netloc}/", f"https://hooks.{parts.netloc}/"]
    return tuple(found)


def translated(method: str, response: Any) -> BridgeError:
    """Translate Slack's refusal into one of our errors."""
    status, headers = response.status_code, response.headers
    data = response.data if isinstance(response.data, dict) else {}
    code = str(data.get("error") or f"status {status}")
    if status == 429 or (status == 200 and code in _TOO_MANY):
        return Unreachable(SLACK, f"{method}: too many calls", retry_after=_seconds(headers))
    if status == 200 and "error" not in data:
        return Unanswered(SLACK, f"{method}: the answer has neither ok nor an error; {RIGHT}")
    if status >= 500 or code in _AGAIN:
        return Unanswered(SLACK, f"{method}: {code}")
    detail = data.get("response_metadata") or {}
    messages = json.dumps(detail.get("messages"), ensure_ascii=False)
    more = cut(escaped(messages), 300) if detail.get("messages") else ""
    needed = f" (needed: {data['needed']})" if data.get("needed") else ""
    remedy = "" if data.get("error") else f"; {RIGHT}"
    if code in REMEDIES:
        remedy = f"; {REMEDIES[code]}"
    return Refused(SLACK, f"{code} ({method}){needed}{remedy}{more and f'; {more}'}", status=status)


def code_of(error: Refused) -> str:
    """Slack's error code, e.g. "channel_not_found"."""
    return error.words.partition(" ")[0]


def _seconds(headers: Any) -> float:
    try:
        return max(1.0, float(headers.get("Retry-After", 30)))
    except (TypeError, ValueError):
        return 30.0


def _why(error: Exception, method: str = "response_url") -> str:
    """Describe an error; most of its own texts are about addresses and sockets."""
    if isinstance(error, OddAnswer):
        return f"{method}: {error}"
    return why_not_connected(error) or type(error).__name__


def _lost(error: Exception) -> BridgeError:
    return Unreachable(SLACK, why_not_connected(error) or type(error).__name__)


# ── Find our own messages by the metadata that each carries ───────────────────────────────────────

LOOKED_THROUGH = "100"
"""The number of newest messages to search."""

WITHOUT_SCOPE = 3600.0
"""Seconds until a channel's history is requested again after a missing scope."""

_MAY_NOT_LOOK = frozenset({"missing_scope", "not_in_channel", "channel_not_found", "not_allowed"})


class History:
    """Searches channels and threads that the app may read."""

    def __init__(self, client: SlackClient, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._closed: dict[str, float] = {}
        """For channels with a missing scope, the time of the next request."""

    async def find(self, channel: str, metadata: Mapping[str, Any], thread: str = "") -> str | None:
        """Return the ts of a message in a channel or thread; None if it is not found."""
        if self._closed.get(channel, 0.0) > self._clock():
            return None
        where = {"ts": thread} if thread else {}
        try:
            answer = await self._client.read(
                "conversations.replies" if thread else "conversations.history",
                channel=channel,
                limit=LOOKED_THROUGH,
                include_all_metadata="true",
                **where,
            )
        except Refused as error:
            if code_of(error) not in _MAY_NOT_LOOK:
                raise
            if code_of(error) == "missing_scope":
                self._closed[channel] = self._clock() + WITHOUT_SCOPE
            return None
        for one in answer.list("messages"):
            if isinstance(one, Mapping) and one.get("metadata") == metadata and one.get("ts"):
                return str(one["ts"])
        return None


def surely_not_done(error: Unreachable) -> bool:
    """Return whether a search is needless: Slack or our own rate limiter said "later".

    After a broken connection it is needed: Slack may have read the request.
    """
    return error.retry_after is not None


# ── Look up people for their rights, and cache them for a while ───────────────────────────────────

MOST_KEPT = 10_000
"""The most people and groups to keep in memory."""

STALE = 3600.0
"""Seconds for which cached facts count while Slack is unreachable."""


_IS_GROUP = re.compile(r"S[A-Z0-9]{2,}").fullmatch

_NOBODY = frozenset({"user_not_found", "user_not_visible"})


@dataclass(frozen=True, slots=True)
class _Known:
    value: Any
    at: float


class People:
    """Knows people by their ids.

    Only facts that grants need are looked up: emails if a grant names a domain, and the groups that
    grants name.
    """

    def __init__(
        self,
        client: SlackClient,
        access: Access,
        *,
        ttl: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._access = access
        self._ttl = ttl
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Any]] = {}

    async def who(self, user: str, home: str, team: str | None = None) -> Person:
        """Return the person with an id; never raise: a failed lookup makes them `unsure`.

        Args:
            home: the id of the workspace that the bridge serves.
            team: the id of the workspace that the request came from, if it named one.
        """
        try:
            record = await self._cached(f"user {user}", lambda: self._record(user))
        except BridgeError as error:
            if isinstance(error, Refused) and code_of(error) in _NOBODY:
                return Person(user, stranger=True)  # final: another request changes nothing
            return Person(user, stranger=team not in (None, home), unsure=str(error))
        person = _person(user, record, home)
        if team not in (None, home) and not _member(record, home):
            return Person(user, person.name, stranger=True)
        try:
            return Person(
                user,
                person.name,
                person.email,
                await self._groups(user),
                person.stranger,
            )
        except BridgeError as error:
            return Person(
                user, person.name, person.email, stranger=person.stranger, unsure=str(error)
            )

    async def by_email(self, email: str) -> str | None:
        """Return the id of the member with that address; None if unknown."""
        try:
            found = await self._cached(f"email {email}", lambda: self._by_email(email))
        except BridgeError:
            return None
        return str(found) if found else None

    async def _groups(self, user: str) -> frozenset[str]:
        found = set()
        for group in filter(_IS_GROUP, self._access.named):
            members = await self._cached(f"group {group}", partial(self._members, group))
            if user in members:
                found.add(group)
        return frozenset(found)

    async def _record(self, user: str) -> Mapping[str, Any]:
        return (await self._client.read("users.info", user=user)).object("user")

    async def _members(self, group: str) -> frozenset[str]:
        answer = await self._client.read("usergroups.users.list", usergroup=group)
        return frozenset(answer.list("users"))

    async def _by_email(self, email: str) -> str:
        try:
            answer = await self._client.read("users.lookupByEmail", email=email)
        except Refused as error:
            if code_of(error) in ("users_not_found", "missing_scope"):
                return ""
            raise
        return answer.text("user", "id")

    async def _cached(self, key: str, ask: Callable[[], Any]) -> Any:
        """Return a fresh cached value, or look it up once for all concurrent callers."""
        known = self._known.get(key)
        if known is not None and self._clock() - known.at < self._ttl:
            return known.value
        task = self._asking.get(key)
        if task is None:
            task = asyncio.ensure_future(ask())
            self._asking[key] = task
            task.add_done_callback(lambda done: self._learn(key, done))
        try:
            return await asyncio.shield(task)
        except BridgeError:
            if known is not None and self._clock() - known.at < STALE:
                return known.value
            raise

    def _learn(self, key: str, done: "asyncio.Task[Any]") -> None:
        self._asking.pop(key, None)
        if not done.cancelled() and done.exception() is None:
            self._known[key] = _Known(done.result(), self._clock())
            self._known.move_to_end(key)
            while len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)

    async def close(self) -> None:
        """Cancel pending lookups."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


def _person(user: str, record: Mapping[str, Any], home: str) -> Person:
    profile = record.get("profile") or {}
    name = profile.get("display_name") or profile.get("real_name") or record.get("real_name")
    guest = any(
        record.get(flag) for flag in ("is_restricted", "is_ultra_restricted", "is_stranger")
    )
    away = bool(record.get("deleted")) or not _member(record, home)
    email = profile.get("email") if record.get("is_email_confirmed", True) else None
    return Person(
        user, _one_line(str(name or record.get("name") or "")), email, stranger=guest or away
    )


def _member(record: Mapping[str, Any], home: str) -> bool:
    teams = (record.get("enterprise_user") or {}).get("teams") or ()
    return record.get("team_id") == home or home in teams


def _one_line(name: str) -> str:
    return harmless(name, unseen=" ").strip()[:80]


# ── A message to one person, in the channel where they asked ──────────────────────────────────────


async def tell_alone(client: SlackClient, channel: str, person: str, said: dict[str, Any]) -> None:
    """Send a message to one person; if the bridge is not in the channel, directly."""
    if channel:
        try:
            await client.call("chat.postEphemeral", channel=channel, user=person, **said)
        except Refused:
            pass  # the bridge is not in that channel, or the person has left it
        else:
            return
    await client.call("chat.postMessage", channel=person, **said)
