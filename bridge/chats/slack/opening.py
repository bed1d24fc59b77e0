"""Put Slack together: its door, its socket, its publishers, and the bridge's own identity."""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.chats.slack.api import People, SlackClient
from bridge.chats.slack.config_changes import Told
from bridge.chats.slack.config_dialog import configure
from bridge.chats.slack.door import SlackDoor, Socket, build_bolt
from bridge.chats.slack.home import HOME, Homes
from bridge.chats.slack.plans import NOTICE, TOLD, SlackPlans
from bridge.chats.slack.posts import Notices, Posts
from bridge.chats.slack.quiet_repositories import Silence
from bridge.chats.slack.workspace import Background, Clicks, Parts, Permits, Workspace
from bridge.core.access import Access
from bridge.core.errors import BridgeError
from bridge.messages.told import publishers_of
from bridge.ports.chats import ChatJournal, Commands, ConfigDrafts, OfDeployment
from bridge.ports.clock import Clock, Limit
from bridge.ports.feedback import Planner, Publisher, ShowsPreviews, TellsOfLocks, Turn
from bridge.ports.inbox import Inbox
from bridge.views.links import Links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

LIMITS = (Limit(1, 1.0),)
"""The rate limit of a channel: a message a second (docs.slack.dev/apis/web-api/rate-limits)."""

ASK_AGAIN = 10.0
"""Seconds between attempts to ask Slack who we are, while it is unreachable."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """The settings of Slack.

    Attributes:
        signing_secret: for HTTP; "" turns HTTP off.
        app_token: for Socket Mode; "" turns Socket Mode off.
        team: the workspace that is served; "": the token's.
    """

    bot_token: str
    api_url: str
    signing_secret: str = ""
    app_token: str = ""
    team: str = ""
    people_every: float = 300.0
    links: Links = field(default_factory=Links)


class Slack:
    """Slack, as the composition root uses it."""

    def __init__(
        self,
        wiring: Wiring,
        *,
        commands: Commands,
        access: Access,
        journal: ChatJournal,
        inbox: Inbox,
        drafts: ConfigDrafts,
        turn: Turn,
        tail: OfDeployment,
        email_of: OfDeployment,
        clock: Clock,
        plans: SlackPlans,
    ) -> None:
        """Take the parts; nothing is sent.

        Args:
            channels: where the previews of an app are told.
        """
        self.planners: Sequence[Planner] = (plans.cards, plans.changes, plans.pulls)
        self.of_preview: ShowsPreviews = plans.of_preview
        self.of_lock: TellsOfLocks = plans.of_lock
        self.trouble: Mapping[str, str] = {}
        client = SlackClient(wiring.bot_token, wiring.api_url)
        people = People(client, access, ttl=wiring.people_every)
        self.parts = Parts(
            client=client,
            workspace=Workspace(wiring.team),
            people=people,
            access=access,
            commands=commands,
            journal=journal,
            inbox=inbox,
            drafts=drafts,
            configure=configure,
            links=wiring.links,
            clicks=Clicks(inbox, clock),
            background=Background(),
            clock=clock,
        )
        homes = Homes(self.parts, turn, Silence(self.parts, clock))
        self.permits = Permits(people, access, self.parts.workspace)
        bolt = build_bolt(self.parts, homes)
        secret = wiring.signing_secret
        self.door = SlackDoor(bolt, secret, clock) if secret else None
        self.socket = Socket(bolt, client, wiring.app_token) if wiring.app_token else None
        self.publishers: Mapping[str, Publisher] = {
            **publishers_of(
                Posts(client, people, turn, email_of),
                plans.channels,
                wiring.links,
                tail=tail,
                clock=clock,
            ),
            NOTICE: Notices(client, turn),
            TOLD: Told(client, turn),
            HOME: homes,
        }

    @property
    def hears(self) -> bool:
        """True if requests can be received, by HTTP or Socket Mode."""
        return self.door is not None or self.socket is not None

    async def run(self) -> None:
        """Find out who we are; then serve Socket Mode, if it is set."""
        await self.learn()
        if self.socket is not None:
            await self.socket.run()

    async def stop(self) -> None:
        """Finish running work, and close."""
        await self.parts.background.stop()
        await self.parts.people.close()
        await self.parts.client.close()

    async def learn(self) -> None:
        """Ask Slack whose the token is; keep asking, if no workspace is set."""
        told = ""
        while True:
            try:
                answer = await self.parts.client.call("auth.test")
                team = answer.text("team_id")
            except BridgeError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("slack does not report who we are", extra={"why": told})
                await asyncio.sleep(ASK_AGAIN)
                continue
            self._recognise(team, str(answer.get("user_id") or ""))
            return

    def _recognise(self, team: str, bot_user: str) -> None:
        workspace = self.parts.workspace
        if workspace.team and workspace.team != team:
            log.error(
                "the bot token belongs to a different workspace from slack.team_id",
                extra={"set": workspace.team, "token": team},
            )
        workspace.team = workspace.team or team
        workspace.bot_user = bot_user
        log.info("slack is served", extra={"team": workspace.team})
