"""Whether somebody may still do what they have asked for, by the time that it is done."""

from bridge.chats.slack.api.client import SLACK
from bridge.chats.slack.api.people import People
from bridge.chats.slack.parts import Workspace
from bridge.core.access import Access, Right, missing
from bridge.core.errors import Unreachable
from bridge.core.watch import App


class Permits:
    """Asks again, as `ports.Permits` has it: rights may be gone by then."""

    def __init__(self, people: People, access: Access, workspace: Workspace) -> None:
        self._people = people
        self._access = access
        self._workspace = workspace

    async def __call__(self, user: str, app: App, channel: str) -> str | None:
        """Why somebody may not configure an app; None: they may."""
        if not self._workspace.team:
            raise Unreachable(SLACK, "it has not told yet which workspace is served")
        person = await self._people.who(user, self._workspace.team)
        if self._access.may(person, Right.CONFIGURE, app, channel):
            return None
        if person.unsure:
            raise Unreachable(SLACK, person.unsure)
        return missing(self._access, person, Right.CONFIGURE, app.label)
