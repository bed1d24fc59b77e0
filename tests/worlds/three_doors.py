"""A bridge with somebody at each of its doors: the command line, Slack, and the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from bridge.app import commands
from bridge.core.access import Person, Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.events import Action
from bridge.core.lifecycle import Deployment, State
from bridge.operations.base import Argument, Door
from bridge.operations.commands import ChatCommands
from bridge.operations.every import OPERATIONS
from bridge.ports.chats import Place
from bridge.ports.outcomes import Audited
from bridge.views.view import View
from tests.chaos.recording_backend import free_port
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import SECRET, Origin
from tests.worlds.cli import Cli
from tests.worlds.console import ConsoleWorld, fields_of
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.previewed import previews_at_rest
from tests.worlds.slack import SlackWorld, slack_world

Given = dict[str, Any]
NAME, HERE = "my-org/mono", Place("C0SHOP")
GRACE = Person("U0GRACE", "Grace")
MAY = [{"who": ["everyone"], "may": [str(right) for right in Right]}]


@dataclass
class ThreeDoors:
    """A running bridge, and somebody at each of its doors.

    Attributes:
        label: the app that they are at now.
    """

    both: SlackWorld
    origin: Origin
    commands: ChatCommands
    cli: Cli
    web: httpx.AsyncClient
    environment: dict[str, str]
    label: str = "shop/web"

    async def command(self, *words: str) -> None:
        """Call a command in a thread."""
        await asyncio.to_thread(partial(self.cli, *words, code=0, **self.environment))

    async def app(self, label: str = "") -> App:
        apps = await self.both.world.stores.journal.apps()
        return next(one for one in apps if one.label == (label or self.label))

    async def made(self, *names: str) -> None:
        """Create apps of the same branch, and wait until the bridge knows them."""
        backend = self.both.world.backend
        assert backend is not None
        environment = await backend.environment()
        for name in names:
            url = self.origin.clone_url
            app = await backend.app(name, url, environment=environment, publishDirectory="web")
            await backend.save_git(app["applicationId"], url)
        labels = {f"shop/{name}" for name in names}
        for known in (self.both.world.stores.journal.apps, self._seen):
            await until(known, lambda apps: labels <= {one.label for one in apps})

    async def _seen(self) -> list[App]:
        return self.commands.apps(GRACE, HERE, Right.VIEW)

    async def deployments(self, label: str = "") -> list[Deployment]:
        id_ = (await self.app(label)).id
        return [one for one in await self.both.world.deployments() if one.app_id == id_]

    async def deployed(self, label: str = "") -> None:
        """Have the head of an app's branch deployed."""
        count = len(await self.deployments(label))
        await self.both.world.ask(Action.DEPLOY, (await self.app(label)).id)
        ended = await until(
            lambda: self.deployments(label),
            lambda those: len(those) > count and all(one.final for one in those),
        )
        assert ended[-1].state is State.DONE

    async def asked(self, door: Door, name: str, given: Given) -> None:
        """Ask for an operation at a door, and agree to what it asks."""
        if door is Door.COMMAND_LINE:
            agreed = ["--yes"] * (OPERATIONS[name].plan is not None)
            await self.command(*name.split(), *words_of(name, given), *agreed)
        elif door is Door.CHATS:
            reply = await self.commands.answer(GRACE, HERE, Call(name, given), "1")
            if isinstance(reply, View) and reply.asks is not None:
                reply = await self.commands.answer(GRACE, HERE, reply.asks.call, "2")
            assert isinstance(reply, View), reply
            assert not reply.refused, reply
        else:
            answer = await self.web.post(f"/console/do/{name}", data=given)
            if answer.status_code == 200 and 'name="call"' in answer.text:
                path, fields = fields_of(answer.text, 'name="call"')
                answer = await self.web.post(path, data=fields)
            assert answer.status_code in (200, 303), answer.text

    async def audited(self) -> list[Audited]:
        return list(await self.both.world.stores.journal.audited(limit=100))


def words_of(name: str, given: Given) -> list[str]:
    """Return arguments as a shell has them."""

    def words(one: Argument, text: str) -> list[str]:
        if not one.kind.option:
            return [text]
        return [f"--{one.kind.option}", *([] if one.kind.flag else [text])]

    kinds = {one.name: one for one in OPERATIONS[name].arguments}
    return [word for key, text in given.items() for word in words(kinds[key], text)]


@asynccontextmanager
async def three_doors(
    folder: Path, cli: Cli, settings: dict[str, str]
) -> AsyncIterator[ThreeDoors]:
    root, made = folder / "served", list[ChatCommands]()
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})

    def commands_of(*parts: Any, **more: Any) -> ChatCommands:
        made.append(commands.commands_of(*parts, **more))
        return made[-1]

    async with AsyncExitStack() as stack:
        server, host = await stack.enter_async_context(git_server(root)), FakeGithub()
        await stack.enter_async_context(host)
        host.repository(NAME, id=4711, git=repository.path)
        port = free_port()
        there = host.settings | {"BRIDGE_GITHUB_WEB_URL": server.url} | settings
        there |= {"BRIDGE_PORT": str(port), "BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{port}"}
        there |= {"BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET, "BRIDGE_JOURNEY_CATALOG_EVERY": "2"}
        stack.enter_context(patch("bridge.app.chats.commands_of", commands_of))
        await stack.enter_async_context(previews_at_rest())
        both = await stack.enter_async_context(slack_world(folder / "bridge", MAY, **there))
        web = await stack.enter_async_context(ConsoleWorld(both.world).browsing())
        origin = Origin(repository, "github", NAME, 4711, f"{server.url}/{NAME}.git")
        environment = there | {"BRIDGE_DATA": str(folder / "bridge")}
        both.slack.person(GRACE.id, GRACE.name)
        stage = ThreeDoors(both, origin, made[0], cli, web, environment)
        if "BRIDGE_DOKPLOY_URL" in settings:
            await both.knows("shop/web")
        else:
            await both.app(origin)
        yield stage
