"""What the handlers of the Slack door work with, and the work that goes on after an answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.chats.slack.api.client import SlackClient
from bridge.chats.slack.api.people import People
from bridge.chats.slack.commands.clicks import Clicks
from bridge.chats.slack.commands.outgoing import Outgoing
from bridge.chats.slack.drawing.facts import Links
from bridge.core.access import Access, Person
from bridge.core.errors import BridgeError
from bridge.core.watch import App
from bridge.ports.chats import Commands, Place
from bridge.ports.clock import Clock
from bridge.ports.desk import Desk
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)
T = TypeVar("T")

ACK_WITHIN = 2.0
"""Seconds after which Slack gets an empty acknowledgement and the answer follows; it waits 3."""

GRACE = 5.0
"""Seconds that work which goes on after an answer gets when the bridge stops."""


class Background:
    """Work that goes on after the answer to Slack; nothing of it is lost sight of."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Let it go on; what it raises is logged."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def in_time(self, work: Coroutine[Any, Any, T], name: str) -> "asyncio.Task[T]":
        """Start it and wait while Slack does; ask the task itself whether it is done."""
        task = self.start(work, name)
        await asyncio.wait([task], timeout=ACK_WITHIN)
        return task

    async def stop(self) -> None:
        """Let what goes on finish, for a while."""
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
            log.warning("after an answer", extra={"what": task.get_name(), "why": str(error)})
        else:
            log.error("after an answer", extra={"what": task.get_name()}, exc_info=error)


@dataclass
class Workspace:
    """The one workspace that is served, and who the bridge is there; learned from Slack.

    Attributes:
        team: its id; "" while neither set nor learned, and then nobody is let in.
        bot_user: the id of the bridge's own user there.
    """

    team: str = ""
    bot_user: str = ""


Configures = Callable[["Parts", Mapping[str, Any], App], Awaitable[Outgoing | None]]
"""Opens the dialog that configures an app, with the request's `trigger_id`; of a submitted dialog
(`view_submission`) it updates that one instead. Returns a message where it can't."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a handler needs.

    Attributes:
        commands: what people can ask for; it checks rights.
        desk: shows and prepares changes of how apps are configured.
        configure: opens the dialog that configures an app.
    """

    client: SlackClient
    workspace: Workspace
    people: People
    access: Access
    commands: Commands
    journal: Journal
    inbox: Inbox
    desk: Desk
    configure: Configures
    links: Links
    clicks: Clicks
    background: Background
    clock: Clock

    async def person(self, body: Mapping[str, Any]) -> Person:
        """Who has sent a request."""
        user = body.get("user") or {}
        id_ = user.get("id") if isinstance(user, dict) else user
        team = user.get("team_id") if isinstance(user, dict) else None
        return await self.people.who(
            str(id_ or body.get("user_id") or ""), self.workspace.team, team
        )


def place_of(body: Mapping[str, Any]) -> Place:
    """Where a request comes from."""
    channel = body.get("channel")
    id_ = channel.get("id") if isinstance(channel, dict) else body.get("channel_id")
    container = body.get("container") or {}
    message = body.get("message") or {}
    thread = container.get("thread_ts") or message.get("thread_ts") or ""
    return Place(str(id_ or container.get("channel_id") or ""), str(thread))


def names_of(body: Mapping[str, Any]) -> frozenset[str]:
    """What the channel that a request comes from is called in settings: by its id, or #name."""
    channel = body.get("channel")
    name = channel.get("name") if isinstance(channel, dict) else body.get("channel_name")
    found = {place_of(body).channel, f"#{name}" if name else ""}
    return frozenset(found - {""})
