"""A chat that is only written to: all of it that is the same wherever messages are posted."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from bridge.core.apps import App
from bridge.messages.plans import Plans
from bridge.messages.told import publishers_of
from bridge.messages.writer import ChatWriter
from bridge.ports.chats import ChatParts
from bridge.views.links import Links

if TYPE_CHECKING:
    from bridge.ports.feedback import Planner, Publisher, ShowsPreviews, TellsOfLocks


class WrittenChat:
    """A chat in which nobody is heard; a `ports.chats.Chat`."""

    hears = False
    door = None

    def __init__(self, writer: ChatWriter, plans: Plans, parts: ChatParts) -> None:
        """Take the parts; send nothing yet."""
        self.writer = writer
        self.planners: Sequence[Planner] = (plans.cards, plans.changes, plans.pulls)
        self.of_preview: ShowsPreviews = plans.of_preview
        self.of_lock: TellsOfLocks = plans.of_lock
        links = Links(parts.pages, parts.titles, parts.console)
        self.publishers: Mapping[str, Publisher] = publishers_of(
            writer, plans.channels, links, tail=parts.tail, clock=parts.clock
        )

    @property
    def trouble(self) -> Mapping[str, str]:
        """Return what can't be written to."""
        return {}

    async def permits(self, _user: str, _app: App, _channel: str) -> str | None:
        """Permit nothing: the chat sends no requests."""
        return f"nobody configures anything by {self.writer.chat}"

    async def run(self) -> None:
        """Do nothing by itself."""

    async def stop(self) -> None:
        """Close the connections."""
        await self.writer.close()
