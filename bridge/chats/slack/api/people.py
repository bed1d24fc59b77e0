"""Who somebody is, as far as rights depend on it: asked of Slack, and kept for a while."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bridge.chats.slack.api.client import SlackClient, code_of
from bridge.core.access import Access, Person
from bridge.core.errors import BridgeError, Refused

MOST_KEPT = 10_000
"""People and groups that are kept in memory."""

STALE = 3600.0
"""Seconds that what was known still counts while Slack can't be asked."""


_NOBODY = frozenset({"user_not_found", "user_not_visible"})


@dataclass(frozen=True, slots=True)
class _Known:
    value: Any
    at: float


class People:
    """Knows people by their ids.

    What no grant asks for is not looked up: emails only where one names a domain, groups only
    those that grants name.
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
        """The person of an id; never raises: what can't be found out makes them `unsure`.

        Args:
            home: the id of the workspace that the bridge serves.
            team: that of the workspace that the click or command came from, where it said so.
        """
        try:
            record = await self._cached(f"user {user}", lambda: self._record(user))
        except BridgeError as error:
            if isinstance(error, Refused) and code_of(error) in _NOBODY:
                return Person(user, stranger=True)  # for good: to ask again changes nothing
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
        """The id of the member with that address; None: there is none, or it can't be asked."""
        try:
            found = await self._cached(f"email {email}", lambda: self._by_email(email))
        except BridgeError:
            return None
        return str(found) if found else None

    async def _groups(self, user: str) -> frozenset[str]:
        found = set()
        for group in self._access.groups:
            members = await self._cached(f"group {group}", partial(self._members, group))
            if user in members:
                found.add(group)
        return frozenset(found)

    async def _record(self, user: str) -> Mapping[str, Any]:
        return dict((await self._client.read("users.info", user=user))["user"])

    async def _members(self, group: str) -> frozenset[str]:
        answer = await self._client.read("usergroups.users.list", usergroup=group)
        return frozenset(answer["users"])

    async def _by_email(self, email: str) -> str:
        try:
            answer = await self._client.read("users.lookupByEmail", email=email)
        except Refused as error:
            if code_of(error) in ("users_not_found", "missing_scope"):
                return ""
            raise
        return str(answer["user"]["id"])

    async def _cached(self, key: str, ask: Callable[[], Any]) -> Any:
        """What is known and not too old; else asked for once by all who want it now."""
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
        """End what is still being asked."""
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
    return "".join(char if char.isprintable() else " " for char in name).strip()[:80]
