"""The Git host's side: pushes one after the other, and notes what the bridge has acknowledged."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from tests.chaos.recording_backend import push_payload
from tests.fakes.host import FakeRepository
from tests.worlds.bridge import hook_headers

PATIENCE = 10.0
"""Seconds that hosts wait for an answer."""

AGAIN = 0.08
"""How often a delivery is sent once more under its id, as by a person at the host."""

TWICE = 0.05
"""How often a push is sent by two webhooks, as where an organisation has one, too."""


@dataclass
class Push:
    """What the sender knows of one delivery of a push.

    Attributes:
        unharmed: nothing kept the bridge from hearing of it, so it must have acknowledged it.
    """

    id: str
    branch: str
    after: str
    apps: set[str]
    unharmed: bool
    acknowledged: bool = False


@dataclass
class Sender:
    """Pushes to one branch.

    Attributes:
        urls: where it may send to now, as a load balancer has it.
        again, twice: how often it sends a delivery once more, and a push by two webhooks.
        awaited: get the url of who acknowledges next.
        refused: how often "503, come again" was the answer.
        odd: answers that are neither that nor an acknowledgement.
    """

    branch: str
    apps: list[str]
    urls: Callable[[], list[str]]
    repository: FakeRepository
    chance: random.Random
    pause: tuple[float, float]
    again: float = AGAIN
    twice: float = TWICE
    awaited: list[asyncio.Future[str]] = field(default_factory=list)
    sent: list[Push] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    refused: int = 0
    task: asyncio.Task[None] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acknowledged(self) -> int:
        return sum(push.acknowledged for push in self.sent)

    def start(self, *, unharmed: bool) -> None:
        """Push as long as it may; `unharmed`: all of that must be acknowledged."""
        self.stopping.clear()
        self.task = asyncio.create_task(self._run(unharmed))

    async def stop(self) -> None:
        """Finish what is being sent."""
        self.stopping.set()
        assert self.task is not None
        await self.task

    async def once(self) -> None:
        """Push once, to a bridge that nothing harms."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as web:
            await self._push(web, unharmed=True)

    async def _run(self, unharmed: bool) -> None:
        """Many at first, then fewer, since what is sent must all be shown in the end."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as web:
            before = self.acknowledged
            while not self.stopping.is_set():
                await self._push(web, unharmed=unharmed)
                pause = self.chance.uniform(*self.pause)
                pause *= 1 + (self.acknowledged - before) / 20
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.stopping.wait()

    async def _push(self, web: httpx.AsyncClient, *, unharmed: bool) -> None:
        apps = set(self.chance.sample(self.apps, self.chance.choice((1, 2))))
        before = self.repository.branches[self.branch]
        files = {f"{app}/file": f"{self.chance.random()}" for app in sorted(apps)}
        after = self.repository.commit(files, branch=self.branch)
        for pull in self.repository.pulls.values():
            if pull.head == self.branch:
                pull.commits.add(after)
        payload = push_payload(before, after, apps, self.branch)
        times = 2 if self.chance.random() < self.twice else 1
        for _ in range(times):
            await self._deliver(web, payload, Push("", self.branch, after, apps, unharmed))

    async def _deliver(self, web: httpx.AsyncClient, payload: dict[str, object], it: Push) -> None:
        content = httpx.Request("POST", "http://x", json=payload).content
        headers = hook_headers("github", payload, content)
        it.id = headers["X-GitHub-Delivery"]
        self.sent.append(it)
        times = 2 if self.chance.random() < self.again else 1
        for _ in range(times):
            url = self.chance.choice(self.urls())
            try:
                answer = await web.post(f"{url}/hooks/github", content=content, headers=headers)
            except httpx.TransportError:
                continue
            if answer.status_code in (200, 202):
                it.acknowledged = True
                self._tell(url)
            elif answer.status_code == 503:
                self.refused += 1
            else:
                self.odd.append(f"{answer.status_code} {answer.text[:200]}")

    def _tell(self, url: str) -> None:
        while self.awaited:
            if not (future := self.awaited.pop()).done():
                future.set_result(url)
