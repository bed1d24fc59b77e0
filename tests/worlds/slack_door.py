"""The Slack endpoint alone, over real HTTP: real stores, chosen apps, and no backend."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bridge.chats.slack.opening import Slack, Wiring
from bridge.chats.slack.plans import plans_of
from bridge.core.access import Access, Grant, Right
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import Policy
from bridge.core.events import Asked, parse_command
from bridge.core.lifecycle import Deployment
from bridge.messages.plans import Channels
from bridge.operations.commands import ChatCommands
from bridge.pipeline.deciding.ingest import Ingest
from bridge.pipeline.deploying.config_drafts import ConfigDrafts
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.outcomes import Audited
from bridge.storage.engines import sqlite_engine
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.storage.seal import FernetSeal
from bridge.web.hooks import BodyLimits
from bridge.web.server import WebServer, routes
from tests.fakes.slack.hands import Hands, signed
from tests.fakes.slack.methods import BOT_TOKEN, SECRET
from tests.fakes.slack.server import FakeSlack

ALL = frozenset(Right)
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def shop(name: str, project: str = "shop", **others: object) -> App:
    """Return an app that deploys from the branch main."""
    source = Source(SourceType.GITHUB, "my-org/mono", branch="main")
    return App(f"app-{name}", name, project, source=source, **others)  # type: ignore[arg-type]


APPS = (shop("web"), shop("api"), shop("vault", "secret"))


def granted(*who: str, may: frozenset[Right] = ALL, apps: tuple[str, ...] = ("*",)) -> Access:
    return Access([Grant(who or ("everyone",), may, apps)])


@dataclass
class Door:
    """A listener with the Slack endpoint, its stores, and people's hands."""

    url: str
    web: httpx.AsyncClient
    slack: FakeSlack
    hands: Hands
    parts: Slack
    inbox: SqliteInbox
    journal: SqlJournal
    trouble: dict[str, str] = field(default_factory=dict)

    async def asked(self) -> list[Asked]:
        """Return the kept deliveries, oldest first."""
        found = []
        for delivery in (await self.inbox.newest(100))[::-1]:
            whole = await self.inbox.find(delivery.host, delivery.id)
            assert whole is not None
            assert whole.body is not None
            found.append(parse_command(whole.event, whole.body))
        return found

    async def audit(self) -> list[Audited]:
        """Return the requests and their authors, newest first, once background work is done."""
        await self.parts.parts.background.stop()
        return await self.journal.audited(limit=100)


@asynccontextmanager
async def open_door(
    slack: FakeSlack,
    folder: Path,
    access: Access,
    *,
    apps: Sequence[App] = APPS,
    team: str = "",
    channel: str = "C0SHOP",
) -> AsyncIterator[Door]:
    """Run the endpoint for people of that workspace."""
    inbox = SqliteInbox(folder / "inbox.sqlite")
    journal = SqlJournal(sqlite_engine(folder / "journal.sqlite"), clock=time.time)
    await inbox.start()
    await journal.start()
    await journal.save_apps("dokploy", list(apps))
    trouble: dict[str, str] = {}
    channels = Channels((), channel)
    known = Known(
        lambda: apps, lambda: trouble, lambda app, here: channels.of(app.label, here), lambda: None
    )
    logs = BuildLogs({}, journal)
    parts = Slack(
        Wiring(BOT_TOKEN, f"{slack.url}/api/", SECRET, team=team),
        commands=ChatCommands("slack", inbox, journal, known, access, logs, time.time),
        access=access,
        journal=journal,
        inbox=inbox,
        drafts=ConfigDrafts({}, {}, inbox, journal, {}, FernetSeal(list), policy=Policy()),
        turn=_at_once,
        tail=logs.tail,
        email_of=_nobody,
        clock=time.time,
        plans=plans_of(channels),
    )
    if not team:
        await parts.learn()
    assert parts.door is not None
    ingest = Ingest({}, inbox, time.time)
    app = routes(ingest, {}, BodyLimits(), {}, chats={"slack": parts.door}, hears=False)
    server = WebServer(app, "127.0.0.1", 0)
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=20) as web:
            hands = Hands(slack, web)
            yield Door(server.url, web, slack, hands, parts, inbox, journal, trouble)
    finally:
        await server.stop()
        await parts.stop()
        await journal.stop()
        await inbox.stop()


async def _at_once(_lane: str) -> None:
    """Count nothing."""


async def _nobody(_deployment: Deployment) -> str:
    return ""


async def post(door: Door, body: bytes, **headers: Any) -> tuple[int, str]:
    """Post a body with signed headers, some of them replaced or (None) left out."""
    given = {**signed(body), **FORM, **{k.replace("_", "-"): v for k, v in headers.items()}}
    kept = [(k.encode(), _raw(v)) for k, v in given.items() if v is not None]
    answer = await door.web.post("/slack/events", content=body, headers=kept)
    return answer.status_code, answer.text


def _raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
