"""Live means healthy, from a push to the page: verified, found broken, and gone back.

A bridge with its embedded backend runs as a process of its own, so that it can be killed.
"""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from tests.chaos.cluster import free_port
from tests.fakes.serving import served
from tests.fakes.slack.hands import words_of
from tests.fakes.slack.server import FakeSlack, running_slack
from tests.worlds.embedded import GitServer, Repository, git_server, until
from tests.worlds.processes import Running
from tests.worlds.shell import PATIENCE, Shell, deliver, event
from tests.worlds.slack import slack_settings

SERVED_AGAIN_WITHIN = 2.0
"""Seconds from asking for a rollback until the old page is served."""

WORKS = {"contains": "works", "within": "1s", "every": "0.2s"}


@dataclass
class Site:
    """A static site with its repository, a bridge beside it, and a channel of Slack."""

    shell: Shell
    slack: FakeSlack
    repository: Repository
    page_url: str = ""
    process: Running | None = None
    ids: dict[str, str] = field(default_factory=dict)

    async def start(self) -> None:
        self.process = await self.shell.start("serve")
        started = await event(self.process, "serving")
        self.shell.url = started["url"]
        (self.shell.folder / "port").write_text(started["backend"].rpartition(":")[2])
        assert self.process.stderr is not None
        self.drain = asyncio.create_task(self.process.stderr.read())  # else its log would fill up

    async def kill(self) -> None:
        """End the bridge as the kernel does."""
        await self.end(signal.SIGKILL)

    async def end(self, with_: signal.Signals) -> None:
        """Send the bridge a signal that ends it, and wait for its end."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(with_)
        await self.drain
        await self.process.wait()

    async def push(self, text: str) -> str:
        """Publish a page by a push; return the commit."""
        before = self.repository.git("rev-parse", "HEAD")
        self.repository.commit(text, {"web/index.html": text})
        await deliver(self.shell, self.repository, before, "web/index.html")
        return self.repository.git("rev-parse", "HEAD")

    async def page(self) -> str:
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(self.page_url)).text

    async def deployments(self) -> list[dict[str, Any]]:
        """Return the deployments, newest first; not so often that the bridge gets no turn."""
        await asyncio.sleep(0.2)
        return list(await self.shell.json("deployments", "--app", "web"))

    async def newest(self, count: int, *states: str) -> dict[str, Any]:
        """Wait until there are this many deployments, and the newest is in one of these states."""
        found = await until(
            self.deployments,
            lambda those: len(those) == count and those[0]["state"] in states,
            patience=PATIENCE,
        )
        return dict(found[0])

    def cards(self) -> list[dict[str, Any]]:
        return self.slack.channels["C0SHOP"].roots()

    def loud(self) -> list[str]:
        """Return what the whole channel was told, besides the cards."""
        channel = self.slack.channels["C0SHOP"]
        lines = [line for card in self.cards() for line in channel.thread(card["ts"])]
        return [words_of(line) for line in lines if line["broadcast"]]


@asynccontextmanager
async def site(folder: Path, verify: dict[str, Any], **more: str) -> AsyncIterator[Site]:
    rules = json.dumps([{"apps": "shop/*", "verify": verify}])
    async with running_slack() as slack:
        settings = slack_settings(slack) | {"BRIDGE_RULES": rules} | more
        settings |= {
            "BRIDGE_EMBEDDED_SITES_PORT": str(free_port()),
            "BRIDGE_JOURNEY_LOOK": "0.05",
            "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
            "BRIDGE_FEEDBACK_DEBOUNCE": "0.05",
        }
        repository = Repository.make(folder / "mono", {"web/index.html": "it works: 1"})
        made = Site(Shell(folder, more=settings), slack, repository)
        await made.start()
        try:
            created = await made.shell.run(
                *("app", "create", "web", "--repo", str(repository.path)),
                *("--publish", "web", "--project", "shop"),
            )
            made.page_url = created.split()[-1]
            yield made
        finally:
            await made.kill()


@pytest.mark.journey
async def test_an_earlier_version_is_served_again_at_once_and_holds_pushes_until_unlocked(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, WORKS) as here:
        first = await here.push("it works: 2")
        assert "verified" in (await here.newest(1, "done"))["note"]
        second = await here.push("it works: 3")
        assert "verified" in (await here.newest(2, "done"))["note"]

        plan = await here.shell.run("rollback", "web", "--plan")
        assert f"go back from {second[:7]} to {first[:7]}: serve again what was built" in plan
        assert await here.page() == "it works: 3"

        asked = time.monotonic()
        followed = asyncio.create_task(here.shell.run("rollback", "web", "--yes", "--follow"))
        await until(here.page, lambda page: page == "it works: 2")
        assert time.monotonic() - asked < SERVED_AGAIN_WITHIN
        assert "done" in (await followed).splitlines()[-1]

        gone_back = await here.newest(3, "done")
        assert gone_back["action"] == "rollback"
        assert "verified" in gone_back["note"]
        assert gone_back["deployed_commit"] == first
        assert len(await here.shell.json("locks")) == 1

        third = await here.push("it works: 4")
        await here.newest(4, "held")
        assert await here.page() == "it works: 2"
        await here.shell.run("unlock", "shop/web")
        assert (await here.newest(4, "done"))["deployed_commit"] == third
        assert await here.page() == "it works: 4"
        assert here.loud() == []


async def test_a_rollback_that_is_held_says_so_before_and_after_and_replaces_nothing_yet(
    tmp_path: Path,
) -> None:
    async with site(tmp_path, WORKS) as here:
        for number in (2, 3):
            await here.push(f"it works: {number}")
            await here.newest(number - 1, "done")
        await here.shell.run("freeze", "shop/web", "-m", "a release")

        plan = await here.shell.json("rollback", "web", "--plan")
        assert plan["holds"][0]["reason"].startswith("shop/web is frozen by ")
        assert plan["notes"][0].startswith("it will be held: shop/web is frozen by ")
        await here.push("it works: 4")
        await here.newest(3, "held")
        followed = await here.shell.run("rollback", "web", "--yes", "--follow", code=5)
        assert "`dokploy-bridge override shop/web -m WHY`" in followed.splitlines()[-1]
        assert [one["state"] for one in await here.deployments()][:2] == ["held", "held"]

        await here.shell.run("unfreeze", "shop/web")
        assert (await here.newest(4, "done"))["action"] == "rollback"
        assert (await here.deployments())[1]["state"] in ("superseded", "done")


async def test_a_page_that_breaks_is_gone_back_from_by_itself_once(tmp_path: Path) -> None:
    async with site(tmp_path, WORKS | {"rollback": True}) as here:
        first = await here.push("it works: 2")
        await here.newest(1, "done")
        await here.push("it broke")

        gone_back = await here.newest(3, "done")

        assert (gone_back["action"], gone_back["deployed_commit"]) == ("rollback", first)
        assert gone_back["trigger"] == "the bridge"
        assert await here.page() == "it works: 2"
        _, broken, _ = await here.deployments()
        assert broken["state"] == "unhealthy"
        assert broken["note"].endswith("200 OK, without the text 'works'")
        assert broken["fate"]["says"].startswith(f"rolled back to {first[:7]} by #")
        assert len(await here.shell.json("locks")) == 1
        await told(here, 3, "is live", loud=1)

        await here.shell.run("unlock", "shop/web")
        await here.shell.run("deploy", "web", "--follow", code=3)
        await here.newest(4, "unhealthy")
        assert "was unhealthy before" in (await here.deployments())[0]["note"]


def _said(tell: Any) -> Any:
    async def said() -> Any:
        return tell()

    return said


# ── Killed in between ────────────────────────────────────────────────────────────────────────────


@dataclass
class Health:
    """What the app says of itself, at an address of the test's own; `sick`: it has said so."""

    status: int = 200
    url: str = ""
    sick: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, _request: web.Request) -> web.Response:
        if self.status != HTTPStatus.OK:
            self.sick.set()
        return web.Response(status=self.status)


@pytest.fixture
async def health() -> AsyncIterator[Health]:
    found = Health()
    app = web.Application()
    app.router.add_get("/healthz", found.answer)
    async with served(app) as url:
        found.url = f"{url}/healthz"
        yield found


@asynccontextmanager
async def two_versions(folder: Path, health: Health, within: str) -> AsyncIterator[Site]:
    """A site with two healthy versions, whose health an address of its own tells."""
    verify = {"url": health.url, "within": within, "every": "0.2s"}
    async with site(folder, verify, BRIDGE_VERIFY_ALLOW="127.0.0.0/8") as here:
        for number in (2, 3):
            await here.push(f"version {number}")
            await here.newest(number - 1, "done")
        yield here


async def told(here: Site, cards: int, newest: str, loud: int) -> None:
    """Wait until Slack shows the end; then check that nothing was told twice."""
    shown = _said(lambda: [card["text"] for card in here.cards()])
    await until(
        shown,
        lambda texts: len(texts) >= cards and newest in texts[-1],
        patience=PATIENCE,
    )
    await until(_said(here.loud), lambda lines: len(lines) >= loud, patience=PATIENCE)
    assert len(here.cards()) == cards
    assert len(here.loud()) == loud


@pytest.mark.parametrize("moment", [pytest.param("asked", marks=pytest.mark.journey), "verifying"])
async def test_killed_while_it_goes_back_it_goes_back_once(
    tmp_path: Path, health: Health, moment: str
) -> None:
    async with two_versions(tmp_path, health, "20s") as here:
        health.status = 503
        await here.shell.run("rollback", "web", "--yes")
        if moment == "verifying":
            await health.sick.wait()
        await here.kill()
        health.status = 200

        await here.start()
        ended = await here.newest(3, "done", "unhealthy", "failed", "unknown")

        assert (ended["state"], ended["action"]) == ("done", "rollback")
        assert await here.page() == "version 2"
        assert len(await here.shell.json("locks")) == 1
        await told(here, 3, "is live", loud=0)


@pytest.mark.journey
@pytest.mark.parametrize("with_", [signal.SIGKILL, signal.SIGTERM])
async def test_a_build_that_a_restart_breaks_off_is_asked_for_again(
    tmp_path: Path, with_: signal.Signals
) -> None:
    """Nobody has cancelled it, so what was pushed is not lost."""
    async with site(tmp_path, WORKS) as here, git_server(tmp_path) as git:
        here.repository.git("clone", "-q", "--bare", ".", str(tmp_path / "mono.git"))
        await here.shell.run(
            *("app", "create", "slow", "--repo", f"{git.url}/mono.git"),
            *("--publish", "web", "--project", "slow"),
        )
        git.gate.clear()
        await here.shell.run("deploy", "slow")
        await until(_waiting(git), lambda count: count > 0, patience=PATIENCE)
        await here.end(with_)
        git.gate.set()

        await here.start()
        ended = await until(
            lambda: here.shell.json("deployments", "--app", "slow"),
            lambda those: those[0]["finished_at"] is not None,
            patience=PATIENCE,
        )

        head = here.repository.git("rev-parse", "HEAD")
        assert [(one["state"], one["note"]) for one in ended] == [
            ("done", f"commit {head[:7]} is live")
        ]


def _waiting(git: GitServer) -> Any:
    async def waiting() -> int:
        await asyncio.sleep(0.05)
        return git.waiting

    return waiting
