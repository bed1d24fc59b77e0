"""People open, push to and close pull requests of one app, and half of the webhooks get lost.

The app is deployed by no push: all that happens to it is previews.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.chaos.dokploy.services import Config
from tests.chaos.pushes import Origin
from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeHook, FakeRepository
from tests.fakes.pulls import Change, FakePull
from tests.worlds.bridge import hook_headers

FRONT = Origin("github", "my-org/front", 4714)
PREVIEWED = "front"
CONFIG = Config(FRONT.repository, host="github")
RULE = {"previews": {"host": "pr-{number}-{app}.preview.example.com", "limit": 100}}
SETTINGS = {"BRIDGE_PREVIEWS_SWEEP": "1s", "BRIDGE_PREVIEWS_LIMIT": "100"}

MOST = 4
"""Open pull requests at a time."""

LOST = 0.5
"""The part of webhooks that never arrive."""

PATIENCE = 5.0
"""Seconds that the host waits for an answer."""


def marker_of(pull: FakePull) -> str:
    """Return what the app of its preview is known by."""
    return f"bridge:{FRONT.host}:{FRONT.id}#{pull.number}:{PREVIEWED}"


@dataclass
class Authors:
    """Those who open pull requests.

    Attributes:
        urls: the present targets of webhooks.
        pause: seconds between two acts.
    """

    github: FakeGithub
    repository: FakeRepository
    urls: Callable[[], list[str]]
    chance: random.Random
    pause: tuple[float, float] = (0.3, 0.8)
    task: asyncio.Task[None] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self) -> None:
        """Go on until stopped."""
        self.stopping.clear()
        self.task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Finish the current act."""
        self.stopping.set()
        assert self.task is not None
        await self.task

    async def leave(self) -> None:
        """Close one, push to another and open one, and have all webhooks lost."""
        closing, *others = self._of("open") or [self._opened()]
        self.repository.close(closing)
        if others:
            self.repository.push_to(others[0], self._files())
        self._opened()

    async def _run(self) -> None:
        while not self.stopping.is_set():
            await self.act()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.chance.uniform(*self.pause)):
                    await self.stopping.wait()

    async def act(self) -> None:
        """Open, push to, close or reopen one."""
        open_, closed = self._of("open"), self._of("closed")
        acts = ["push", "close"] * bool(open_) + ["reopen"] * bool(closed)
        act = self.chance.choice(["open", "open", *acts]) if len(open_) < MOST else "close"
        match act:
            case "open":
                await self._tell(self._opened(), Change.OPENED)
            case "push":
                self.repository.push_to(pull := self.chance.choice(open_), self._files())
                await self._tell(pull, Change.PUSHED)
            case "close":
                self.repository.close(pull := self.chance.choice(open_))
                await self._tell(pull, Change.CLOSED)
            case _:
                self.repository.reopen(pull := self.chance.choice(closed))
                await self._tell(pull, Change.REOPENED)

    def _of(self, state: str) -> list[FakePull]:
        return [one for one in self.repository.pulls.values() if one.state == state]

    def _opened(self) -> FakePull:
        branch = f"topic-{len(self.repository.pulls) + 1}"
        main = self.repository.branches["main"]
        self.repository.commit(self._files(), branch=branch, onto=main)
        return self.repository.open_pull(branch)

    def _files(self) -> dict[str, str]:
        return {"index.html": f"{self.chance.random()}"}

    async def _tell(self, pull: FakePull, change: Change) -> None:
        """Send the webhook to one of the bridge's processes, once, or lose it."""
        if self.chance.random() < LOST:
            return
        hook = FakeHook(0, "", "", "")
        ((_, said),) = self.github.pull_events(self.repository, pull, change, hook)
        content = httpx.Request("POST", "http://x", json=said).content
        headers = hook_headers("github", said, content)
        url = self.chance.choice(self.urls())
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as http:
            with suppress(httpx.TransportError):
                await http.post(f"{url}/hooks/github", content=content, headers=headers)
