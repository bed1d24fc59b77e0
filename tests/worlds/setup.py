"""A sound set-up of everything on loopback, in which faults can be planted."""

import asyncio
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from bridge.app.doctor import collect
from bridge.app.run import Bridge, run_bridge
from bridge.app.setup.door import setup_routes
from bridge.app.setup.entry import new_link
from bridge.app.stored_settings import note_settings
from bridge.app.wiring import Beginning
from bridge.cli.every import app
from bridge.settings import read_settings
from tests.fakes.discord import FakeDiscord
from tests.fakes.dokploy_server import FakeDokploy
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeRepository
from tests.fakes.slack.methods import APP_TOKEN, BOT_TOKEN
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.bridge import World, make_stores, running_world, settings_for
from tests.worlds.frontage import Frontage, frontage

SECRET = "a-secret-of-the-tests-0123456789"
CHANNEL = "C0SHOP"


@dataclass
class Told:
    """What `doctor` said, and how long that took."""

    code: int
    findings: list[dict[str, str]]
    seconds: float

    @property
    def wrong(self) -> set[str]:
        """The checks that are not ok."""
        return {one["check"] for one in self.findings if one["level"] != "ok"}

    def of(self, check: str) -> dict[str, str]:
        """The only finding of a check that is not ok."""
        (one,) = (f for f in self.findings if f["check"] == check and f["level"] != "ok")
        return one


@dataclass
class SetUp:
    """Everything that a bridge works with; all of it is sound."""

    data: Path
    front: Frontage
    dokploy: FakeDokploy
    github: FakeGithub
    gitlab: FakeGitlab
    gitea: FakeGitea
    slack: FakeSlack
    discord: FakeDiscord
    webhook: str
    repositories: dict[str, FakeRepository]
    journal: Any = None

    def settings(self, **others: str) -> dict[str, str]:
        """Return the variables of the bridge; an empty one is left out."""
        given = {
            "BRIDGE_DATA": str(self.data),
            "BRIDGE_PUBLIC_URL": self.front.url,
            "SSL_CERT_FILE": str(self.front.authority),
            **self.dokploy.settings,
            **self.github.settings,
            **self.gitlab.settings,
            **self.gitea.settings,
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_GITLAB_WEBHOOK_TOKENS": SECRET,
            "BRIDGE_GITEA_WEBHOOK_SECRETS": SECRET,
            "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
            "BRIDGE_SLACK_APP_TOKEN": APP_TOKEN,
            "BRIDGE_SLACK_CHANNEL": CHANNEL,
            "BRIDGE_SLACK_API_URL": f"{self.slack.url}/api/",
            "BRIDGE_DISCORD_WEBHOOK": self.webhook,
            "BRIDGE_DISCORD_API_URL": self.discord.url,
            "BRIDGE_ACCESS": "[{who: [everyone], may: [view]}]",
        }
        return {name: value for name, value in (given | others).items() if value}

    async def doctor(self, **others: str) -> Told:
        """Ask for a diagnosis, with some settings changed and with time for a busy machine."""
        with patch.multiple(collect, WITHIN=120.0, TO_READ_APPS=60.0):
            return await self.doctor_in_time(**others)

    async def doctor_in_time(self, **others: str) -> Told:
        """Ask for a diagnosis, in the time that it really takes at most."""
        began = time.monotonic()
        if self.journal is not None:  # as if the bridge had been started with these settings
            await note_settings(read_settings(None, self.settings(**others)), self.journal)
        code, out = await command("doctor", "--json", **self.settings(**others))
        return Told(code, json.loads(out)["findings"], time.monotonic() - began)


async def command(*words: str, **environment: str) -> tuple[int, str]:
    """Run a command beside this loop; return its exit code and its output."""
    return await asyncio.to_thread(_run, words, environment)


def _run(words: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str]:
    bridge = logging.getLogger("bridge")
    level = bridge.level
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BRIDGE_", "DATABASE_"))}
    try:
        with patch.dict(os.environ, {**kept, **environment}, clear=True):
            result = CliRunner().invoke(app, list(words))
    finally:
        bridge.setLevel(level)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


@asynccontextmanager
async def sound_set_up(folder: Path, *, days: float = 90.0) -> AsyncIterator[SetUp]:
    """Run everything but the bridge; see `with_bridge`."""
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(frontage(folder / "tls", days=days))
        github = await stack.enter_async_context(FakeGithub())
        gitlab = await stack.enter_async_context(FakeGitlab())
        gitea = await stack.enter_async_context(FakeGitea())
        dokploy = await stack.enter_async_context(FakeDokploy().running())
        slack = FakeSlack()
        slack.scopes |= {"channels:read"}
        slack = await stack.enter_async_context(running_slack(slack))
        discord = await stack.enter_async_context(FakeDiscord().running())
        repositories = {
            "github": github.repository("my-org/mono"),
            "gitlab": gitlab.repository("my-group/api", id=815),
            "gitea": gitea.repository("ada/site", id=7),
        }
        hosts: dict[str, Any] = {"github": github, "gitlab": gitlab, "gitea": gitea}
        for name, host in hosts.items():
            host.hook(repositories[name], f"{front.url}/hooks/{name}", SECRET)
        _apps(dokploy, gitea.web_url)
        yield SetUp(
            folder / "data",
            front,
            dokploy,
            github,
            gitlab,
            gitea,
            slack,
            discord,
            discord.webhook(),
            repositories,
        )


def _apps(dokploy: FakeDokploy, gitea: str) -> None:
    dokploy.app("web")
    dokploy.app(
        "api",
        sourceType="gitlab",
        gitlabOwner="my-group",
        gitlabRepository="api",
        gitlabPathNamespace="my-group/api",
        gitlabProjectId=815,
        gitlabBranch="main",
    )
    dokploy.app(
        "site",
        sourceType="gitea",
        giteaOwner="ada",
        giteaRepository="site",
        giteaBranch="main",
        gitea={"giteaUrl": gitea},
    )


@asynccontextmanager
async def with_bridge(made: SetUp) -> AsyncIterator[World]:
    """Run the bridge of a set-up, behind its proxy."""
    only = ("BRIDGE_DOKPLOY_", "BRIDGE_PUBLIC_URL")
    given: dict[str, Any] = {k: v for k, v in made.settings().items() if k.startswith(only)}
    async with running_world(made.data, **given) as world:
        made.front.target, made.journal = world.bridge.url, world.bridge.stores.journal
        try:
            await note_settings(read_settings(None, made.settings()), made.journal)
            yield world
        finally:
            made.journal = None


@asynccontextmanager
async def with_setup_page(made: SetUp) -> AsyncIterator[tuple[Bridge, dict[str, str], str]]:
    """Run the bridge of a set-up with its setup page, which checks everything.

    It can ask the Dokploy alone. Yields it, the variables that it checks, and a link to the page.
    """
    environment = made.settings()
    only = {k: v for k, v in environment.items() if k.startswith("BRIDGE_DOKPLOY_")}
    await make_stores(made.data)
    beginning = Beginning(environment=environment, anew=lambda: None, setup=setup_routes)
    given = settings_for(made.data, **only, BRIDGE_PUBLIC_URL=made.front.url)
    with patch.dict(os.environ, SSL_CERT_FILE=str(made.front.authority)):
        async with run_bridge(given, beginning=beginning) as bridge:
            made.front.target = bridge.url
            yield bridge, environment, await new_link(bridge.stores.journal, bridge.url)
