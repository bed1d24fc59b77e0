"""Configuring an app by chat."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from bridge.core.configuring.difference import Configured
from bridge.core.configuring.merge import Wanted
from bridge.core.configuring.plan import Plan
from bridge.core.rehearsal import Rehearsal
from bridge.core.watch import App
from bridge.ports.backends import GitAccount, GitRepository

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
