"""A bridge that nothing is set up for, beside a GitHub, a Slack and a backend; and a browser.

Each step is one that `docs/setup.md` counts; `STEPS` are their names.
"""

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from playwright.async_api import Page, expect

from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeRepository
from tests.fakes.slack.methods import BOT_TOKEN
from tests.fakes.slack.methods import SECRET as SIGNING_SECRET
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.bridge import Origin
from tests.worlds.browser import HOST
from tests.worlds.embedded import Client, Repository, until
from tests.worlds.processes import start_bridge
from tests.worlds.shell import PATIENCE, Shell

NAME = "my-org/mono"

Look = Callable[[str], Awaitable[None]]
"""Takes a picture of a step."""


@dataclass
class SetupWorld:
    """Everything beside the bridge, and the bridge."""

    shell: Shell
    github: FakeGithub
    theirs: FakeRepository
    slack: FakeSlack
    origin: Origin
    backend: Client
    backend_url: str
    key: str
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def log(self, name: str = "serve") -> list[dict[str, Any]]:
        lines = (self.shell.folder / f"{name}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    async def said(self, event: str, count: int = 1, name: str = "serve") -> dict[str, Any]:
        """Wait for the log's line number `count` with that event."""

        async def found() -> list[dict[str, Any]]:
            return [one for one in self.log(name) if one["event"].startswith(event)]

        return (await until(found, lambda those: len(those) >= count, patience=PATIENCE))[count - 1]

    async def link(self) -> str:
        """The link of the log, with the name that leads here from elsewhere."""
        said = await self.said("set up in the browser")
        return str(said["link"]).replace("127.0.0.1", HOST)

    async def push(self, files: dict[str, str]) -> httpx.Response:
        """Push to GitHub, which sends the App's webhook."""
        before = self.origin.head()
        after = self.origin.repository.commit("feat: we are open", files)
        payload = self.origin.payload("refs/heads/main", before, after)
        body = json.dumps(payload).replace("https://github.com", self.github.url)
        hook = self.github.app_hook(f"{self.url}/hooks/github", self.github.apps.secret)
        sending = self.github.prepared(hook, "push", json.loads(body))
        async with httpx.AsyncClient(trust_env=False, timeout=20) as web:
            return await web.post(
                f"http://127.0.0.1:{self.port}/hooks/github",
                content=self.github.body_of(sending),
                headers=sending.headers,
            )


@asynccontextmanager
async def process(shell: Shell, log: str, *words: str) -> AsyncIterator[None]:
    """A process of the bridge, whose log goes to a file."""
    with (shell.folder / f"{log}.log").open("wb") as errors:
        running = await start_bridge(*words, cwd=shell.folder, env=shell.environment, stderr=errors)
    try:
        yield
        assert running.returncode is None
    finally:
        if running.returncode is None:
            running.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await running.wait()


@asynccontextmanager
async def setup_world(
    folder: Path, pem: str, *, repository: Path | None = None, url: str = "", **more: str
) -> AsyncIterator[SetupWorld]:
    """Start everything; nothing is connected yet.

    Args:
        repository: where it is made; url: its address, if that is not its folder's.
        more: settings of the bridge.
    """
    files = {"web/index.html": "<h1>Opening soon</h1>", "docs/read.md": "read me"}
    origin = Origin(Repository.make(repository or folder / "origin", files), url=url)
    (folder / "backend").mkdir()
    (folder / "bridge").mkdir()
    behind = Shell(folder / "backend", more={"BRIDGE_GITHUB_WEBHOOK_SECRETS": ""})
    async with (
        FakeGithub() as github,
        running_slack() as slack,
        process(behind, "backend", "backend", "--port", "0", "--sites-port", "0"),
    ):
        origin = replace(origin, home=github.url)
        github.apps.pem = pem
        slack.scopes |= {"channels:read", "chat:write.public"}
        theirs = github.repository(NAME, id=origin.id, git=origin.repository.path)
        theirs.open_pull("main", base="release")
        shell = Shell(
            folder / "bridge",
            more={
                "BRIDGE_GITHUB_WEBHOOK_SECRETS": "",
                "BRIDGE_GITHUB_API_URL": github.url,
                "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
                "BRIDGE_FEEDBACK_DEBOUNCE": "0.02",
                "BRIDGE_JOURNEY_LOOK": "0.05",
                "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
                "BRIDGE_JOURNEY_CATALOG_EVERY": "1",
                **more,
            },
        )
        async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
            world = SetupWorld(shell, github, theirs, slack, origin, Client(None, http), "", "")  # type: ignore[arg-type]
            world.shell = behind
            serves = await world.said("backend serves", name="backend")
            world.shell = shell
            world.backend_url = serves["url"].removesuffix("/api")
            world.key = Path(folder / "backend" / serves["key_in"]).read_text().strip()
            http.base_url = world.backend_url
            http.headers["x-api-key"] = world.key
            app = await world.backend.app("web", origin.clone_url, publishDirectory="web")
            await world.backend.save_git(
                app["applicationId"], origin.clone_url, watchPaths=["web/**"]
            )
            await world.backend.ask(
                "POST",
                "application.update",
                applicationId=app["applicationId"],
                autoDeploy=True,  # as Dokploy creates them
            )
            async with process(shell, "serve", "serve"):
                world.port = int((await world.said("serving"))["url"].rpartition(":")[2])
                yield world


# ── the steps ────────────────────────────────────────────────────────────────────────────────────


async def open_link(world: SetupWorld, page: Page, look: Look) -> None:
    await page.goto(await world.link())
    await expect(page).to_have_url(f"{world.url}/setup")
    await expect(page.get_by_role("heading", name="Connect the bridge")).to_be_visible()
    await look("link")


async def connect_dokploy(world: SetupWorld, page: Page, look: Look) -> None:
    card = page.locator("#dokploy")
    await card.get_by_label("Address of Dokploy").fill(world.backend_url)
    await card.get_by_label("API key").fill(world.key)
    await look("dokploy")
    await card.get_by_role("button", name="Try and save").click()
    await expect(page.locator("#dokploy")).to_contain_text("answers and accepts the key")
    await expect(page.locator("#dokploy")).to_contain_text("shop/web")


async def register_github(world: SetupWorld, page: Page, look: Look) -> None:
    await look("github-register")
    await page.locator("#github").get_by_role("button", name="Register a GitHub App").click()
    await expect(page.get_by_role("heading", name="Create GitHub App")).to_be_visible()
    await page.get_by_role("button", name="Create GitHub App").click()
    await expect(page.get_by_role("heading", name="Install")).to_be_visible()


async def install_github(world: SetupWorld, page: Page, look: Look) -> None:
    await page.get_by_role("button", name="Install").click()
    await expect(page.locator("#github")).to_contain_text("is installed for octocat")
    await look("github")


async def create_slack(world: SetupWorld, page: Page, look: Look) -> None:
    link = page.locator("#slack").get_by_role("link", name=re.compile("Create the app in Slack"))
    address = httpx.URL(str(await link.get_attribute("href")))
    assert (address.host, address.path) == ("api.slack.com", "/apps")
    manifest = json.loads(address.params["manifest_json"])
    events = manifest["settings"]["event_subscriptions"]
    assert events["request_url"] == f"{world.url}/slack/events"
    await look("slack-create")


async def paste_slack(world: SetupWorld, page: Page, look: Look) -> None:
    card = page.locator("#slack")
    await card.get_by_label("Bot User OAuth Token").fill(BOT_TOKEN)
    await card.get_by_label("Signing Secret").fill(SIGNING_SECRET)
    await card.get_by_role("button", name="Try and save").click()
    await expect(page.locator("#slack")).to_contain_text("Slack accepts the token")
    await look("slack")


async def choose_channel(world: SetupWorld, page: Page, look: Look) -> None:
    card = page.locator("#slack")
    await card.get_by_label("Channel for the cards").select_option(label="#shop")
    await card.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator("#slack").get_by_label("Channel for the cards")).to_have_value(
        "C0SHOP"
    )
    await look("slack-channel")


async def adopt_apps(world: SetupWorld, page: Page, look: Look) -> None:
    await page.get_by_role("button", name="Switch Auto Deploy off for 1").click()
    await expect(page.get_by_role("status")).to_contain_text(
        "Auto Deploy is switched off for shop/web"
    )
    await expect(page.get_by_role("heading", name="Everything is connected")).to_be_visible()
    await look("done")
    await page.get_by_role("button", name="Check everything").click()
    await expect(page.get_by_role("status")).to_contain_text(" ok")


STEPS = (
    open_link,
    connect_dokploy,
    register_github,
    install_github,
    create_slack,
    paste_slack,
    choose_channel,
    adopt_apps,
)
