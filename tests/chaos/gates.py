"""Gates under load: locks, freezes, lifts and approvals by people, and checks at the Git host."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx
from aiohttp import web

from bridge.app.storage import Stores, open_stores
from bridge.core.errors import BridgeError, Rejected
from bridge.core.gates.locks import EVERYTHING, Scope, scope_named
from bridge.core.holds import Gate
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Actor
from bridge.pipeline.gates.commands import GateCommands, Requester
from tests.chaos.dokploy.faults import Handler
from tests.chaos.pushes import MONO
from tests.chaos.stage import SITE, Closed, Stage
from tests.fakes.checks import run_of
from tests.fakes.host import FakeRepository
from tests.worlds.bridge import hook_headers
from tests.worlds.embedded import until

T = TypeVar("T")

CHECKED, APPROVED = "site-0", "site-1"
GATED: dict[str, dict[str, Any]] = {
    CHECKED: {"checks": ["build"]},
    APPROVED: {"approvals": 1, "approvals_by": "anyone"},
}
"""Rules of apps whose gates judge commits."""

AIMED = 2
"""Locks that are taken just before the bridge would record an intent."""

WITHIN = 6.0
"""Seconds to wait for that instant; what does not come is left out."""

AGAIN = 0.2
"""Seconds until something is tried or looked at again."""

ADA, GRACE = (Requester(f"cli:{name.lower()}", Actor("cli", name)) for name in ("Ada", "Grace"))


@dataclass(frozen=True)
class Desk:
    """What people do to gates on the command line, however often the journal is away."""

    stage: Stage
    stores: Stores
    commands: GateCommands
    scopes: dict[str, Scope]

    async def lock(self, app: str) -> Closed:
        scope = self.scopes[app]
        await _surely(lambda: self.commands.lock(ADA, scope, "a migration"))
        return self._closed(f"a lock of {app}", frozenset({app}))

    async def unlock(self, closed: Closed) -> None:
        closed.until = time.time()
        (app,) = closed.apps
        await _surely(lambda: self.commands.unlock(ADA, self.scopes[app]))

    async def freeze(self) -> Closed:
        await _surely(lambda: self.commands.freeze(ADA, EVERYTHING, "an incident"))
        return self._closed("a freeze", frozenset(self.scopes))

    async def unfreeze(self, closed: Closed) -> None:
        closed.until = time.time()
        await _surely(lambda: self.commands.unfreeze(ADA, EVERYTHING))

    async def held(self, gate: Gate, app: str = "") -> list[Deployment]:
        """Return the deployments that a gate holds, of one app or of all."""
        going = await _surely(self.stores.journal.open_deployments)
        return [
            one
            for one in going
            if one.state is State.HELD
            and app in ("", one.app_id)
            and any(hold.gate is gate for hold in one.holds)
        ]

    async def is_next(self, app: str) -> bool:
        """Return whether a deployment of an app waits to be asked for, and none goes on."""
        going = await _surely(lambda: self.stores.journal.open_deployments(held=False))
        mine = [one.state for one in going if one.app_id == app]
        return set(mine) == {State.WAITING}

    async def holds(self, gate: Gate, app: str) -> Deployment:
        """Push to an app, and wait until a closed gate holds what is to be deployed."""
        sender = next(one for one in self.stage.senders if app in one.apps)
        await sender.once(apps=(app,), redelivers=True)
        held = partial(self.held, gate, app)
        return (await until(held, bool, patience=self.stage.pace.quiet))[-1]

    async def lift(self, held: Deployment) -> bool:
        """Let one pass; return whether a newer push has not taken its place."""
        self.stage.lifted.add(held.id)
        try:
            await _surely(lambda: self.commands.lift(GRACE, held, "a fix"))
        except Rejected:
            return False
        return True

    async def approve(self, held: Deployment) -> None:
        with suppress(Rejected):  # it is not held any more
            shown = held.head or held.commit or ""
            await _surely(lambda: self.commands.approve(GRACE, held, shown))

    def _closed(self, what: str, apps: frozenset[str]) -> Closed:
        self.stage.closed.append(closed := Closed(what, apps, time.time()))
        return closed


async def _surely(work: Callable[[], Awaitable[T]]) -> T:
    while True:
        try:
            return await work()
        except Rejected:
            raise
        except BridgeError:  # the journal is away, or busy
            await asyncio.sleep(AGAIN)


@asynccontextmanager
async def _desk(stage: Stage) -> AsyncIterator[Desk]:
    async with open_stores(stage.fleet.settings) as stores:
        apps = await _surely(stores.journal.apps)
        scopes = {name: scope_named(f"shop/{name}", apps) for name in stage.apps}
        yield Desk(stage, stores, GateCommands(stores.journal, lambda: apps, time.time), scopes)


# ── people ───────────────────────────────────────────────────────────────────────────────────────


async def people_hold(stage: Stage) -> None:
    """Lock apps at any moment and at the worst one, freeze all, and let one pass."""
    async with _desk(stage) as desk:
        first, *drawn = stage.chance.sample(_pushed(stage), 1 + AIMED)
        in_time = (_lock_in_time(desk, app) for app in drawn)
        await asyncio.gather(_lock(desk, first), *in_time)
        closed = await desk.freeze()
        await desk.holds(Gate.FREEZE, first)
        await desk.unfreeze(closed)
        await stage.later(0.5)


def _pushed(stage: Stage) -> list[str]:
    """Return the apps that are pushed to most."""
    return [app for sender in stage.senders if sender.origin is MONO for app in sender.apps]


async def _lock(desk: Desk, app: str) -> None:
    """Lock an app, and let pass what the lock holds."""
    closed = await desk.lock(app)
    while not await desk.lift(await desk.holds(Gate.LOCK, app)):
        pass  # a newer push has taken its place
    await desk.stage.later(1.0)
    await desk.unlock(closed)


async def _lock_in_time(desk: Desk, app: str) -> None:
    """Lock an app while the bridge reads its deployments, as it does just before an intent."""
    backend, is_over, taking = desk.stage.backend, asyncio.Event(), asyncio.Lock()
    locked: list[Closed] = []

    async def locks(request: web.Request, handler: Handler) -> web.StreamResponse:
        async with taking:
            if not is_over.is_set() and await desk.is_next(app):
                locked.append(await desk.lock(app))
                is_over.set()
            elif not is_over.is_set():
                backend.fail("deployment.all", [locks], app)
        return await handler(request)

    backend.fail("deployment.all", [locks], app)
    with suppress(TimeoutError):
        async with asyncio.timeout(WITHIN):
            await is_over.wait()
    async with taking:  # one that is being taken is released as well
        is_over.set()
    backend.faults["deployment.all", app].clear()
    await desk.stage.later(1.0)
    for one in locked:
        await desk.unlock(one)


# ── what judges commits ──────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def judging(stage: Stage) -> AsyncIterator[None]:
    """Run CI for one app's commits, and approve another's, as long as the block lasts."""
    stage.passed.setdefault(CHECKED, {})
    async with approving(stage), _desk(stage) as desk, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_runs_ci(desk))
        yield
        running.cancel()


@asynccontextmanager
async def approving(stage: Stage) -> AsyncIterator[None]:
    """Approve one app's commits, as long as the block lasts."""
    stage.passed.setdefault(APPROVED, {})
    async with _desk(stage) as desk, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_approves(desk))
        yield
        running.cancel()


async def _approves(desk: Desk) -> None:
    """Approve what waits for it, a little later."""
    while True:
        for held in await desk.held(Gate.APPROVAL):
            if (commit := held.head or held.commit) is not None:
                desk.stage.passed[APPROVED].setdefault(commit, time.time())
                await desk.approve(held)
        await desk.stage.later(1.0)


async def _runs_ci(desk: Desk) -> None:
    """Check each new head: it is red first, and green when run again."""
    repository = desk.stage.repositories[SITE.repository]
    seen = {repository.branches["main"]}
    async with (
        httpx.AsyncClient(trust_env=False, timeout=5.0) as http,
        asyncio.TaskGroup() as tasks,
    ):
        while True:
            if (head := repository.branches["main"]) not in seen:
                seen.add(head)
                tasks.create_task(_Ci(desk, http, repository, head).check())
            await asyncio.sleep(0.05)


@dataclass(frozen=True)
class _Ci:
    """The host's CI, which tells the bridge by webhooks."""

    desk: Desk
    http: httpx.AsyncClient
    repository: FakeRepository
    sha: str

    async def check(self) -> None:
        """Begin, be red until that holds a deployment or there is a newer head, and be green."""
        stage = self.desk.stage
        await self._told(self._run("in_progress"))
        await stage.later(1.0)
        red = partial(self._told, self._run("failure"))
        for known in (red, self._holds):
            await until(known, lambda it: it or not self._is_head(), patience=stage.pace.quiet)
        await stage.later(1.0)
        stage.passed[CHECKED][self.sha] = time.time()
        await until(partial(self._told, self._run("success")), bool, patience=stage.pace.quiet)

    def _run(self, state: str) -> dict[str, Any]:
        return run_of(self.repository.checks.run(self.sha, "build", state))

    def _is_head(self) -> bool:
        return self.repository.branches["main"] == self.sha

    async def _holds(self) -> bool:
        """Return whether the bridge holds the commit, and says that it is red."""
        held = [one for one in await self.desk.held(Gate.CHECKS) if one.commit == self.sha]
        return any("checks failed" in hold.says for one in held for hold in one.holds)

    async def _told(self, run: dict[str, Any]) -> bool:
        """Return whether the bridge has acknowledged it."""
        about = {"id": SITE.id, "name": "site", "full_name": SITE.repository}
        page = {"html_url": f"https://github.com/{SITE.repository}"}
        said = {"action": "completed", "check_run": run, "repository": about | page}
        content = httpx.Request("POST", "http://x", json=said).content
        headers = hook_headers("github", said, content) | {"X-GitHub-Event": "check_run"}
        url = self.desk.stage.chance.choice(self.desk.stage.fleet.urls)
        with suppress(httpx.TransportError):
            answer = await self.http.post(f"{url}/hooks/github", content=content, headers=headers)
            return answer.status_code == httpx.codes.ACCEPTED
        return False
