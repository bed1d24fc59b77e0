"""Shared parts of Slack's handlers, and work that continues after an answer."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.chats.slack.api import People, SlackClient
from bridge.chats.slack.payloads import SLACK
from bridge.chats.slack.render import Outgoing
from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.replies import denial
from bridge.core.errors import BridgeError, Unreachable
from bridge.ports.chats import ChatJournal, Commands, ConfigDrafts, Place
from bridge.ports.clock import Clock
from bridge.ports.inbox import Delivery, Inbox
from bridge.views.links import Links

CHAT = "slack"
"""The `host` of deliveries from Slack."""

DOUBLE_CLICK = 10.0
"""Seconds within which a person's clicks on one button of a message count once."""

MOST_CLICKS = 1000


def one_time(*what: object) -> str:
    """Return the id of a delivery for a one-time event."""
    return f"{CHAT}-{hashlib.sha256(repr(what).encode()).hexdigest()[:24]}"


class Clicks:
    """Assigns delivery ids to clicks, so a double click acts once.

    Each click has its own time, so clicks within a few seconds share an id. Repeats are recognised
    here at once, or by the inbox if another or an earlier process kept them.
    """

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._last: OrderedDict[tuple[str, ...], tuple[float, str]] = OrderedDict()

    async def id_of(self, body: Mapping[str, Any]) -> str:
        """Return the id for a click on a button."""
        action = body["actions"][0]
        user = str((body.get("user") or {}).get("id"))
        message = str((body.get("container") or {}).get("message_ts") or "")
        view = str((body.get("view") or {}).get("id") or "")
        key = (user, message or view, str(action.get("action_id")), str(action.get("value")))
        at = _seconds(action.get("action_ts"), self._clock())
        last = self._last.get(key)
        if last is not None and abs(at - last[0]) < DOUBLE_CLICK:
            return last[1]
        window = int(at // DOUBLE_CLICK)
        id_ = one_time("click", *key, window)
        self._remember(key, at, id_)
        before = await self._inbox.find(CHAT, one_time("click", *key, window - 1))
        if before is not None and self._since(before, at) < DOUBLE_CLICK:
            self._remember(key, at, before.id)
            return before.id
        return id_

    def _since(self, before: Delivery, at: float) -> float:
        """Return the seconds between two clicks, by Slack's clock."""
        return min(self._clock() - before.received_at, abs(at - before.received_at))

    def _remember(self, key: tuple[str, ...], at: float, id_: str) -> None:
        self._last[key] = (at, id_)
        self._last.move_to_end(key)
        while len(self._last) > MOST_CLICKS:
            self._last.popitem(last=False)


def _seconds(text: object, otherwise: float) -> float:
    try:
        return float(str(text))
    except ValueError:
        return otherwise


# ── parts and background work ────────────────────────────────────────────────────────────────────

log = logging.getLogger(__name__)
T = TypeVar("T")

ACK_WITHIN = 2.0
"""Seconds after which Slack gets an empty acknowledgement and the answer follows; it waits 3."""

GRACE = 5.0
"""Seconds that background work gets when the bridge stops."""


class Background:
    """Work that continues after the answer to Slack; none of it is lost."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start it; log what it raises."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def in_time(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start it and wait as long as Slack does; the task itself knows whether it is done."""
        task = self.start(work, name)
        await asyncio.wait([task], timeout=ACK_WITHIN)
        return task

    async def stop(self) -> None:
        """Let running work finish, for a while."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=GRACE)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, BridgeError):
            log.warning(
                "background work failed", extra={"what": task.get_name(), "why": str(error)}
            )
        else:
            log.error("background work failed", extra={"what": task.get_name()}, exc_info=error)


@dataclass
class Workspace:
    """The one workspace that is served, and the bridge's user there; learned from Slack.

    Attributes:
        team: its id; "" while it is neither set nor learned, when nobody is admitted.
        bot_user: the id of the bridge's own user there.
    """

    team: str = ""
    bot_user: str = ""


Configures = Callable[["Parts", Mapping[str, Any], App], Awaitable[Outgoing | None]]
"""Opens the dialog that configures an app, with the request's `trigger_id`; for a submitted dialog
(`view_submission`) it updates that one instead. Returns a message if it can't."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a handler needs.

    Attributes:
        commands: people's requests; it checks rights.
        desk: shows and prepares changes of apps' configurations.
        configure: opens the dialog that configures an app.
    """

    client: SlackClient
    workspace: Workspace
    people: People
    access: Access
    commands: Commands
    journal: ChatJournal
    inbox: Inbox
    drafts: ConfigDrafts
    configure: Configures
    links: Links
    clicks: Clicks
    background: Background
    clock: Clock

    async def person(self, body: Mapping[str, Any]) -> Person:
        """Return the sender of a request."""
        user = body.get("user") or {}
        id_ = user.get("id") if isinstance(user, dict) else user
        team = user.get("team_id") if isinstance(user, dict) else None
        return await self.people.who(
            str(id_ or body.get("user_id") or ""), self.workspace.team, team
        )


def place_of(body: Mapping[str, Any]) -> Place:
    """Return where a request comes from."""
    channel = body.get("channel")
    id_ = channel.get("id") if isinstance(channel, dict) else body.get("channel_id")
    container = body.get("container") or {}
    message = body.get("message") or {}
    thread = container.get("thread_ts") or message.get("thread_ts") or ""
    return Place(str(id_ or container.get("channel_id") or ""), str(thread))


def names_of(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of a request's channel in settings: its id, or #name."""
    channel = body.get("channel")
    name = channel.get("name") if isinstance(channel, dict) else body.get("channel_name")
    found = {place_of(body).channel, f"#{name}" if name else ""}
    return frozenset(found - {""})


class Permits:
    """Checks rights again when a request is carried out; a `ports.Permits`."""

    def __init__(self, people: People, access: Access, workspace: Workspace) -> None:
        self._people = people
        self._access = access
        self._workspace = workspace

    async def __call__(self, user: str, app: App, channel: str) -> str | None:
        """Return why somebody may not configure an app; None if they may."""
        if not self._workspace.team:
            raise Unreachable(SLACK, "it has not yet reported which workspace is served")
        person = await self._people.who(user, self._workspace.team)
        if self._access.may(person, Right.CONFIGURE, app, channel):
            return None
        if person.unsure:
            raise Unreachable(SLACK, person.unsure)
        return denial(self._access, person, Right.CONFIGURE, app.label, app).sentence
