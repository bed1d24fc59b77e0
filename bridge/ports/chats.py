"""A chat's door, and what it may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bridge.core.access import Person, Right
from bridge.core.chat.grammar import Command, Unclear
from bridge.core.chat.replies import Reply
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment
from bridge.core.watch import App


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
