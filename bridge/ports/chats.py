"""A chat: its door, what it may ask for, and what it is made from."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.core.access import Access, Person, Right
from bridge.core.apps import App
from bridge.core.chat.grammar import Command, Unclear
from bridge.core.chat.replies import Reply
from bridge.core.configuration.difference import Configured
from bridge.core.configuration.merge import Wanted
from bridge.core.configuration.plan import Plan
from bridge.core.decision import Rehearsal
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment
from bridge.ports.backends import GitAccount, GitRepository
from bridge.ports.clock import Clock, Limit
from bridge.ports.feedback import Planner, Shows, Turn
from bridge.ports.githosts import Pages
from bridge.ports.inbox import Inbox
from bridge.ports.journal import Journal


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a chat somebody is; a channel's id, and a thread's where they are in one."""

    channel: str = ""
    thread: str = ""


class Commands(Protocol):
    """What people can ask for by chat. Rights are checked at every call; nothing is cached."""

    async def answer(
        self, person: Person, place: Place, typed: Command | Unclear, id_: str
    ) -> Reply:
        """Do or answer what somebody typed.

        Args:
            id_: of the delivery that an action is kept as; the same one acts once.

        Raises:
            Unreachable: it could not be kept, so nothing will happen.
        """

    async def ask(
        self,
        person: Person,
        place: Place,
        action: Action,
        app_id: str,
        id_: str,
        *,
        deployment: str = "",
    ) -> Reply:
        """Do what somebody clicked or picked; raises as `answer`.

        Args:
            deployment: the one of that app that shall be cancelled; "" for all that goes on.
        """

    def apps(self, person: Person, place: Place, right: Right) -> list[App]:
        """The apps to which somebody has a right, by label."""

    async def log_of(self, person: Person, place: Place, deployment_id: str) -> "LogTail | Reply":
        """The end of a deployment's log, without secrets."""

    async def why(self, person: Person, place: Place, deployment_id: str) -> Reply:
        """Why a deployment was made."""

    async def note(self, person: Person, what: str, reply: Reply) -> None:
        """Keep in the audit log that somebody asked for something, where that is worth it."""


@dataclass(frozen=True, slots=True)
class LogTail:
    """The end of a deployment's log; "" where there is none, or none any more."""

    deployment: Deployment
    text: str


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a chat's request is answered with."""

    status: int
    body: str = ""
    content_type: str = "text/plain"


class ChatDoor(Protocol):
    """A chat that sends requests by HTTP."""

    def open(self, headers: Mapping[str, str]) -> Any:
        """Read the headers, before the body; what `take` needs. Raises BadSignature."""

    async def take(self, opened: Any, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        """Check and handle a request. Raises BadSignature."""


# ── Configuring an app by chat ──────────────────────────────────────────────────────────────────

Permits = Callable[[str, App, str], Awaitable[str | None]]
"""Why somebody, by their id in the chat, may not configure an app from a channel; None: they may.
Raises Unreachable where that can't be found out."""


class Desk(Protocol):
    """What a chat shows and prepares before somebody changes an app; nothing is changed here.

    Raises what the backend raises; Rejected where a change can't be, naming the field.
    """

    async def now(self, app: App) -> Configured:
        """How the app is configured at this moment."""

    async def lately(self, app: App) -> Configured:
        """How it was configured a moment ago: for what is redrawn at every key that is pressed."""

    async def plan(self, app: App, wanted: Wanted) -> Plan:
        """What a change would do."""

    async def keep(self, plan: Plan) -> str:
        """Keep a plan, sealed, until it is agreed to; returns the draft's id."""

    async def accounts(self, app: App) -> list[GitAccount]:
        """The Git accounts that the app's backend has; none where it offers no lists."""

    async def repositories(self, app: App, account: str) -> list[GitRepository]:
        """What an account can see."""

    async def branches(self, app: App, account: str, path: str) -> list[str]:
        """The branches of a repository, by its whole path."""

    async def rehearse(self, app: App, configured: Configured) -> Rehearsal:
        """What the app's recent pushes would do if it were configured like that."""


# ── Secrets that must be written down ───────────────────────────────────────────────────────────


class Seal(Protocol):
    """Keeps secrets that must be written down from being read there (docs/notes/0011)."""

    def close(self, text: str) -> str:
        """Seal a text."""

    def open(self, sealed: str) -> str:
        """The text again; raises Rejected where it was sealed with a key that is gone."""


# ── A chat as the rest of the bridge has it, and what it is made from ───────────────────────────

OfDeployment = Callable[[Deployment], Awaitable[str]]
"""Something about a deployment, as text; "" where there is nothing."""


@dataclass(frozen=True, slots=True)
class ChatParts:
    """What a chat may use of the bridge.

    Attributes:
        book: the channels that rules name.
        pages: the web address of each Git host, and where it has the pages of a repository.
        hears: whether people are heard in this process.
        within: waits for turns to write within limits.
        tail: the end of a deployment's log.
        email_of: the address of who made a deployment's commit.
    """

    commands: Commands
    access: Access
    journal: Journal
    inbox: Inbox
    desk: Desk
    book: Sequence[tuple[str, tuple[str, ...]]]
    pages: Mapping[str, tuple[str, Pages]]
    hears: bool
    within: Callable[[Sequence[Limit]], Turn]
    tail: OfDeployment
    email_of: OfDeployment
    clock: Clock


class Chat(Protocol):
    """A chat that is used."""

    @property
    def planners(self) -> Sequence[Planner]:
        """Which targets a delivery's outcome gets there."""

    @property
    def shows(self) -> Mapping[str, Shows]:
        """What brings a target up to date, by its kind."""

    @property
    def door(self) -> ChatDoor | None:
        """What takes its requests; None where it sends none here."""

    @property
    def hears(self) -> bool:
        """Whether people are heard at all."""

    @property
    def permits(self) -> Permits:
        """See `Permits`."""

    async def run(self) -> None:
        """Do what the chat does by itself, as long as it is used."""

    async def stop(self) -> None:
        """Finish what goes on, and let go."""
