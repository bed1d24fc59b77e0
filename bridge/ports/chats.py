"""Chats: their HTTP endpoint, people's commands, configuration drafts, and sealed secrets."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.grammar import Read
from bridge.core.chat.replies import Reply
from bridge.core.configuration.difference import Configured
from bridge.core.configuration.merge import Wanted
from bridge.core.configuration.plan import Plan
from bridge.core.configuration.rehearsal import Rehearsal
from bridge.core.lifecycle import Deployment
from bridge.core.refs import Pages
from bridge.ports.backends import GitAccount, GitRepository
from bridge.ports.clock import Clock, Limit
from bridge.ports.deployments import Deployments
from bridge.ports.feedback import (
    Planner,
    Publisher,
    ShowsPreviews,
    Subscriptions,
    TellsOfLocks,
    Turn,
)
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Apps, Audit, Decisions
from bridge.views.links import ConsolePages
from bridge.views.view import View


class ChatJournal(Apps, Audit, Decisions, Deployments, Subscriptions, Protocol):
    """What a chat uses of the journal."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a chat somebody is: a channel's id, and a thread's or a dialog's if in one."""

    channel: str = ""
    thread: str = ""
    view: str = ""


AnyReply = Reply | View
"""What a person is answered."""


class LockReminders(Protocol):
    """Actions of the buttons on a lock's reminder; each call checks the person's rights."""

    async def release(self, person: Person, place: Place, key: str) -> AnyReply:
        """Remove the lock, given by its own key."""

    async def keep(self, person: Person, place: Place, key: str) -> AnyReply:
        """Say that the lock is still needed."""


class Commands(Protocol):
    """The commands that people can give by chat; rights are checked at every call, uncached."""

    @property
    def reminders(self) -> LockReminders: ...

    def parse(self, text: str, name: str = "") -> Read:
        """Read what somebody typed, after the short command of that name if there is one."""

    async def answer(self, person: Person, place: Place, typed: Read, id_: str) -> AnyReply:
        """Carry out or answer what somebody typed.

        Args:
            id_: of the delivery that an action is kept as; one id acts only once.

        Raises Unreachable: it could not be kept, so nothing will happen.
        """

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """Return the apps to which somebody has a right, by label."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The response to a chat's request."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


class ChatDoor(Protocol):
    """A chat that sends requests by HTTP."""

    def open(self, headers: Mapping[str, str]) -> Any:
        """Read the headers, before the body; return what `take` needs. Raises BadSignature."""

    async def take(self, opened: Any, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Verify and handle a request. Raises BadSignature."""


Permits = Callable[[str, App, str], Awaitable[str | None]]
"""Returns why somebody, given by their id in the chat, may not configure an app from a channel;
None if they may. Raises Unreachable if that can't be determined."""


class ConfigDrafts(Protocol):
    """Reads and previews configuration changes for a chat; changes nothing itself.

    Raises what the backend raises; Rejected, with the field, if a change is impossible.
    """

    async def now(self, app: App) -> Configured: ...

    async def lately(self, app: App) -> Configured:
        """Return how it was configured a moment ago, for views redrawn at every keystroke."""

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """Return what a change would do."""

    async def keep(self, plan: Plan) -> str:
        """Store a plan, sealed, until somebody confirms it; return the draft's id."""

    async def accounts(self, app: App) -> list[GitAccount]:
        """Return the Git accounts of the app's backend; none if it offers no lists."""

    async def repositories(self, app: App, account: str) -> list[GitRepository]: ...
    async def branches(self, app: App, account: str, path: str) -> list[str]: ...

    async def rehearse(self, app: App, configured: Configured) -> Rehearsal:
        """Return what the app's recent pushes would do with that configuration."""


class Seal(Protocol):
    """Seals secrets that must be stored (docs/notes/0011)."""

    def close(self, text: str) -> str: ...

    def open(self, sealed: str) -> str:
        """Return the text; raise Rejected if it was sealed with a key that is gone."""


# ── a chat ───────────────────────────────────────────────────────────────────────────────────────

OfDeployment = Callable[[Deployment], Awaitable[str]]
"""Returns something about a deployment, as text; "" if there is nothing."""


@dataclass(frozen=True, slots=True)
class ChatParts:
    """The parts of the bridge that a chat may use.

    Attributes:
        book: the channels that rules name.
        preview_book: those that they name for previews of apps; None: the app's own.
        pages: the web address of each Git host, and where a repository's pages are.
        titles: each backend's name for people, by its own name.
        hears: whether this process receives people's requests.
        within: returns the rate limiter for given limits.
        tail: returns the end of a deployment's log.
        email_of: returns the email address of a deployment's commit author.
    """

    commands: Commands
    access: Access
    journal: ChatJournal
    inbox: Inbox
    drafts: ConfigDrafts
    book: Sequence[tuple[str, tuple[str, ...]]]
    preview_book: Sequence[tuple[str, tuple[str, ...] | None]]
    pages: Mapping[str, tuple[str, Pages]]
    titles: Mapping[str, str]
    console: ConsolePages
    hears: bool
    within: Callable[[Sequence[Limit]], Turn]
    tail: OfDeployment
    email_of: OfDeployment
    clock: Clock


class Chat(Protocol):
    """A chat that is set up.

    Attributes:
        of_lock: tells of locks; it reaches nobody whose lock is of another chat.
        publishers: by kind of subscription.
        door: handles its HTTP requests; None if it sends none.
        hears: whether people's requests are received.
        trouble: what can't be written to, and why, by its name in `/readyz`; without secrets.
    """

    @property
    def planners(self) -> Sequence[Planner]: ...

    @property
    def of_lock(self) -> TellsOfLocks: ...

    @property
    def of_preview(self) -> ShowsPreviews: ...

    @property
    def publishers(self) -> Mapping[str, Publisher]: ...

    @property
    def door(self) -> ChatDoor | None: ...

    @property
    def hears(self) -> bool: ...

    @property
    def permits(self) -> Permits: ...

    @property
    def trouble(self) -> Mapping[str, str]: ...

    async def run(self) -> None:
        """Run the chat's background tasks as long as the process lives."""

    async def stop(self) -> None:
        """Finish running work, and close."""
