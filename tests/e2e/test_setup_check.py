"""`/setup` checks everything, as `doctor` does, in the process of the running bridge."""

import asyncio
import html
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from bridge.app.doctor import collect
from tests.fakes.host import Spoil
from tests.fakes.slack.methods import APP_TOKEN, BOT_TOKEN
from tests.worlds import frontage
from tests.worlds.setup import SECRET, SetUp, sound_set_up, with_setup_page

LIMIT = 15.0
"""Seconds that the page may take."""

LOCKS = Path("/proc/locks")

FINDING = re.compile(
    r'<span class="tag \w+">(\w+)</span><b>(.*?)</b></div>\s*<p>(.*?)</p>\s*'
    r'<p class="remedy">(.*?)</p>\s*<p class="dim mono">(.*?)</p>'
)


@dataclass
class Browser:
    """A browser that the link has let in, and the variables of the bridge."""

    web: httpx.AsyncClient
    environment: dict[str, str]
    pages: list[str] = field(default_factory=list)

    async def check(self) -> list[tuple[str, ...]]:
        """Press the button; return level, subject, sentence, remedy, check of what is wrong."""
        answer = await self.web.post("/setup/check")
        assert answer.status_code == 200, answer.text
        self.pages.append(answer.text)
        found = [tuple(map(html.unescape, one)) for one in FINDING.findall(answer.text)]
        assert len(found) == answer.text.count('<div class="finding">')
        return found

    async def checks(self) -> list[tuple[str, str]]:
        """Press it; return the level and the check alone."""
        return [(level, check) for level, _, _, _, check in await self.check()]


@asynccontextmanager
async def let_in(made: SetUp) -> AsyncIterator[Browser]:
    """Run the bridge, and open its page by the link."""
    async with (
        with_setup_page(made) as (bridge, environment, link),
        httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=300) as web,
    ):
        answer = await web.get(link, follow_redirects=True)
        assert "Check everything" in answer.text
        yield Browser(web, environment)


@pytest.fixture(autouse=True)
def patience() -> Iterator[AbstractContextManager[Any]]:
    """Give a busy machine the time that it needs; gives a way back to the real time."""
    real = patch.multiple(collect, WITHIN=collect.WITHIN, TO_READ_APPS=collect.TO_READ_APPS)
    with patch.multiple(collect, WITHIN=120.0, TO_READ_APPS=60.0):
        yield real


async def test_a_sound_set_up_has_no_finding_and_the_page_shows_no_secret(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        assert await browser.check() == []
        secrets = [SECRET, BOT_TOKEN, APP_TOKEN, made.github.token, made.webhook]
        secrets.append(made.dokploy.settings["BRIDGE_DOKPLOY_API_KEY"])

    (page,) = browser.pages
    assert re.search(r"0 errors, 0 warnings, \d+ ok", page)
    assert "my-org/mono</b>: its pushes are sent here" in page
    assert "Check everything again" in page
    assert [one for one in secrets if one in page] == []


async def test_planted_faults_are_shown_with_their_remedies_errors_first(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        made.repositories["github"].hooks[0].url = f"{made.front.url}/webhook"
        made.dokploy.app("twice", autoDeploy=True)
        made.dokploy.expires_at = "2001-01-01T00:00:00.000Z"
        made.slack.channels["C0SHOP"].archived = True
        found = await browser.check()

    assert found == [
        (
            *("error", "dokploy", "the key has expired"),
            *("make a new one in time, and set it as BRIDGE_DOKPLOY_API_KEY", "backend.key.expiry"),
        ),
        (
            *("error", "github my-org/mono"),
            "a webhook leads to /webhook, where the bridge takes no webhooks",
            *(f"change its address to {made.front.url}/hooks/github", "host.hook.path"),
        ),
        (
            *("error", "slack C0SHOP", "the channel is archived"),
            *("name another channel, or unarchive it", "chat.channel"),
        ),
        (
            *("warning", "shop/twice"),
            "Dokploy deploys its pushes, too, so each push deploys twice",
            *("switch it off: `dokploy-bridge adopt shop/twice`", "app.auto_deploy"),
        ),
    ]
    assert "3 errors, 1 warning, " in browser.pages[0]


async def test_what_is_stored_now_is_checked(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        browser.environment["BRIDGE_GITHUB_TOKEN"] = "ghp_another"
        assert await browser.checks() == [("error", "host.token")]
        browser.environment["BRIDGE_PORT"] = "many"
        assert await browser.checks() == [("error", "settings")]


async def test_who_presses_twice_at_once_gets_one_check(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        found = await asyncio.gather(*(browser.checks() for _ in range(3)))
        assert found == [[], [], []]
        assert asked_who(made) == 1
        await browser.checks()
        assert asked_who(made) == 2


def asked_who(made: SetUp) -> int:
    """How often GitHub was asked whose the token is, as each check does once."""
    return sum(one.path == "/user" for one in made.github.asked)


async def test_services_that_never_answer_are_shown_in_time_and_hold_nothing_up(
    tmp_path: Path, patience: AbstractContextManager[Any]
) -> None:
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        await browser.checks()  # loads what is slow to import
        made.github.spoil(Spoil(hang=True), times=1000)
        made.dokploy.silent = True
        made.front.mode = frontage.IS_SILENT
        made.slack.delay = 60.0
        with patience:
            began, answered = time.monotonic(), 0
            checking = asyncio.create_task(browser.check())
            while not (await asyncio.wait({checking}, timeout=0.2))[0]:
                answered += (await browser.web.get("/healthz")).status_code == 200
            found, took = checking.result(), time.monotonic() - began
        made.github.mend()

    assert took < LIMIT
    assert answered > 10
    assert {one[-1] for one in found} == {
        *("host.reach", "backend.reach", "bridge.url.reach", "chat.reach")
    }


@pytest.mark.skipif(not LOCKS.exists(), reason="only Linux lists the locks of files")
async def test_the_bridge_keeps_the_locks_of_its_data(tmp_path: Path) -> None:
    """A second handle of SQLite's file would release them all when it is closed."""
    async with sound_set_up(tmp_path) as made, let_in(made) as browser:
        before = locks(made.data / "journal.sqlite")
        await browser.checks()

        assert before
        assert set(before) <= set(locks(made.data / "journal.sqlite"))


def locks(file: Path) -> list[str]:
    """The locks of this process on a file."""
    inode = str(file.stat().st_ino)
    lines = [line.split() for line in LOCKS.read_text().splitlines()]
    mine = [one for one in lines if one[4] == str(os.getpid())]
    return [" ".join(one[1:]) for one in mine if one[5].rpartition(":")[2] == inode]
