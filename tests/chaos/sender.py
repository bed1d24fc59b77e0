"""The Git host's side: push one after the other, and record the bridge's acknowledgements."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx

from tests.chaos.pushes import MONO, Origin, Push, fault_of, is_broken, message
from tests.fakes.host import FakeRepository
from tests.worlds.bridge import ZERO, hook_headers

PATIENCE = 10.0
"""Seconds that hosts wait for an answer."""

REDELIVERED = 60.0
"""Seconds for which a push that must be acknowledged is delivered again; a start takes a few."""


@dataclass
class Habits:
    """The frequency of each variation, from 0 to 1.

    Attributes:
        again: a delivery is resent under its id, as by a person at the host.
        twice: a push is sent by two webhooks, as if the organisation had one too.
        late: a push comes after the next one, whose second webhook comes after both.
        skipped: a push has a skip directive.
        nowhere: a push changes no app's files.
        tagged: a tag is also pushed.
        broken: an app's new version does not work (`pages.py`).
        forced: the push is forced, so the host has to be asked which files differ.
    """

    again: float = 0.08
    twice: float = 0.05
    late: float = 0.06
    skipped: float = 0.04
    nowhere: float = 0.04
    tagged: float = 0.0
    broken: float = 0.0
    forced: float = 0.0


@dataclass
class Sender:
    """Pushes to one branch.

    Attributes:
        apps: the folders that it changes.
        urls: the present targets, as in a load balancer.
        awaited: receive the url of the next acknowledging process.
        refused: the number of 503 answers with Retry-After.
        odd: answers that are neither refusals nor acknowledgements.
    """

    branch: str
    apps: list[str]
    urls: Callable[[], list[str]]
    repository: FakeRepository
    chance: random.Random
    pause: tuple[float, float]
    origin: Origin = MONO
    habits: Habits = field(default_factory=Habits)
    awaited: list[asyncio.Future[str]] = field(default_factory=list)
    sent: list[Push] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    refused: int = 0
    task: asyncio.Task[None] | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def acknowledged(self) -> int:
        return sum(push.acknowledged for push in self.sent)

    def start(self, *, unharmed: bool, tires: int) -> None:
        """Push until stopped.

        Args:
            unharmed: every push must be acknowledged.
            tires: the pushes after which the pauses are twice as long.
        """
        self.stopping.clear()
        self.task = asyncio.create_task(self._run(unharmed, tires))

    async def stop(self) -> None:
        """Finish the current push."""
        self.stopping.set()
        assert self.task is not None
        await self.task

    async def once(
        self,
        *,
        branch: str = "",
        apps: Sequence[str] = (),
        tag: str = "",
        broken: bool | None = None,
        forced: bool = False,
        redelivers: bool = False,
    ) -> Push:
        """Push once; it must be acknowledged. Missing arguments are random, or none.

        Args:
            redelivers: deliver it again, under its id, while nobody answers: other scenarios of
                the group may have killed every process.
        """
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as web:
            push, before = self._made(True, branch=branch, apps=apps, broken=broken)
            push.forced |= forced
            await self._deliver(web, push, before, redelivers=redelivers)
            if tag:
                push = replace(push, kind="tag", branch=tag, acknowledged=False)
                self.repository.tags[tag] = push.after
                await self._deliver(web, push, ZERO, redelivers=redelivers)
            return push

    async def _run(self, unharmed: bool, tires: int) -> None:
        """Push with pauses that are short at first, then longer, since every push must be shown."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as web:
            before = self.acknowledged
            while not self.stopping.is_set():
                await self._push(web, unharmed)
                pause = self.chance.uniform(*self.pause)
                pause *= 1 + (self.acknowledged - before) / tires
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.stopping.wait()

    async def _push(self, web: httpx.AsyncClient, unharmed: bool) -> None:
        push, before = self._made(unharmed)
        if self._drawn(self.habits.late):
            following, _ = self._made(unharmed)
            await self._deliver(web, following, push.after)
            await self._deliver(web, push, before)
            await self._deliver(web, replace(following, acknowledged=False), push.after)
            return
        for _ in range(2 if self._drawn(self.habits.twice) else 1):
            await self._deliver(web, replace(push), before)
        if self._drawn(self.habits.tagged):
            name = f"v{len(self.repository.tags) + 1}.0.0"
            self.repository.tags[name] = push.after
            await self._deliver(web, replace(push, kind="tag", branch=name), ZERO)

    def _made(
        self,
        unharmed: bool,
        *,
        branch: str = "",
        apps: Sequence[str] = (),
        broken: bool | None = None,
    ) -> tuple[Push, str]:
        """Return a new commit of the branch, and the previous one."""
        branch = branch or self.branch
        some = self.chance.sample(self.apps, self.chance.choice((1, min(2, len(self.apps)))))
        folders = set(apps or some)
        if not apps and self._drawn(self.habits.nowhere):
            folders = {"docs"}
        before = self.repository.branches[branch]
        files: dict[str, str | None] = {}
        for app in sorted(folders):
            files |= {f"{app}/file": f"{self.chance.random()}"}
            files |= self._fault(app, before, broken)
        skip = not apps and self._drawn(self.habits.skipped)
        after = self.repository.commit(files, branch=branch, message=message(skip=skip))
        for pull in self.repository.pulls.values():
            if pull.head == branch:
                pull.commits.add(after)
        made = Push("", branch, after, folders, unharmed, origin=self.origin, skip=skip)
        made.at, made.forced = time.time(), self._drawn(self.habits.forced)
        return made, before

    def _fault(self, app: str, before: str, broken: bool | None) -> dict[str, str | None]:
        """Return what makes an app's next version broken, or makes it whole again."""
        broken = self._drawn(self.habits.broken) if broken is None else broken
        was = is_broken(self.repository, app, before)
        return {} if broken == was else {fault_of(app): "a bug" if broken else None}

    async def _deliver(
        self, web: httpx.AsyncClient, it: Push, before: str, *, redelivers: bool = False
    ) -> None:
        payload = it.payload(before)
        content = httpx.Request("POST", "http://x", json=payload).content
        headers = hook_headers(it.origin.host, payload, content)
        it.id = headers.get("X-GitHub-Delivery") or headers["Idempotency-Key"]
        self.sent.append(it)
        for _ in range(2 if self._drawn(self.habits.again) else 1):
            await self._send(web, it, content, headers)
        until = time.monotonic() + REDELIVERED
        while redelivers and not it.acknowledged and time.monotonic() < until:
            await asyncio.sleep(0.2)  # as a host pauses
            await self._send(web, it, content, headers)

    async def _send(
        self, web: httpx.AsyncClient, it: Push, content: bytes, headers: Mapping[str, str]
    ) -> None:
        url = self.chance.choice(self.urls())
        hook = f"{url}/hooks/{it.origin.host}"
        try:
            answer = await web.post(hook, content=content, headers=headers)
        except httpx.TransportError:
            return
        if answer.status_code in (200, 202):
            it.acknowledged = True
            self._tell(url)
        elif answer.status_code == 503:
            self.refused += 1
        else:
            self.odd.append(f"{answer.status_code} {answer.text[:200]}")

    def _drawn(self, how_often: float) -> bool:
        return self.chance.random() < how_often

    def _tell(self, url: str) -> None:
        while self.awaited:
            if not (future := self.awaited.pop()).done():
                future.set_result(url)
