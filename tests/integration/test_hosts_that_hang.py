"""A Git host that hangs holds up its own checks, locks and deployments, and no others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from bridge.core.apps import Rules
from bridge.core.checks import Check, CheckPolicy, CheckState, Need
from bridge.core.gates.locks import Lock, PullRef, scope_named
from bridge.core.pulls import PullRequest
from bridge.pipeline.gates.ci import CiReader
from bridge.pipeline.gates.gates import Heads
from bridge.pipeline.gates.locks import LockKeeper
from bridge.ports.gates import CommitAt
from bridge.ports.journal import Journal
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import ManualClock
from tests.worlds.embedded import until
from tests.worlds.gates import ADA, ChecksHost, GateWorld, gated

COMMIT = "1" * 40
PROMPTLY = 30.0
"""Seconds, on a busy machine; what hangs does so for ever."""


class Silent(ChecksHost):
    """A host that takes requests and answers none."""

    async def head(self, repository: str, branch: str) -> str | None:
        await asyncio.Event().wait()
        raise AssertionError

    async def checks(self, repository: str, commit: str) -> list[Check]:
        await asyncio.Event().wait()
        raise AssertionError

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        await asyncio.Event().wait()
        raise AssertionError


class Merged(FakeHostApi):
    """A host on which every pull request is merged."""

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        return PullRequest(number, "topic", COMMIT, open=False, merge_sha=COMMIT)


@asynccontextmanager
async def running(work: Callable[[], Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run it; nothing of it is left afterwards."""
    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert not [one for one in asyncio.all_tasks() if "lane" in one.get_name()]


async def test_checks_of_another_host_are_read(journal: Journal, clock: ManualClock) -> None:
    await journal.want_ci(CommitAt("gitea", "acme/shop", COMMIT, "main"), clock.now - 1)
    await journal.want_ci(CommitAt("github", "acme/shop", COMMIT, "main"), clock.now)
    read = asyncio.Event()
    reader = CiReader(journal, {"gitea": Silent(), "github": ChecksHost()}, clock)
    reader.changed = read.set

    async with running(reader.run), asyncio.timeout(PROMPTLY):
        await read.wait()

    assert [*await journal.next_ci_at()] == ["gitea", "github"]
    assert (await journal.next_ci_at())["github"] > clock.now


async def test_locks_of_another_host_end_with_their_pull_request(
    journal: Journal, clock: ManualClock
) -> None:
    for host, app in (("gitea", "app-a"), ("github", "app-b")):
        merge = PullRef(host, "acme/shop", 12, "#")
        one = Lock(f"app/{app}", app, "risky", "cli:ada", "Ada", clock.now, merge=merge)
        await journal.take_lock(one, [app], steal=False)
    ended = asyncio.Event()
    apis = {"gitea": Silent(), "github": Merged()}
    keeper = LockKeeper(journal, apis, tuple, clock, wake=ended.set)

    async with running(keeper.run), asyncio.timeout(PROMPTLY):
        await ended.wait()

    assert [one.scope for one in await journal.locks()] == ["app/app-a"]


async def test_what_depends_on_no_host_is_let_pass(world: GateWorld) -> None:
    checked = gated("app-a", rules=Rules(checks=CheckPolicy(Need.ALL)))
    await world.add(checked, gated("app-b"))
    only_b = scope_named("shop/b", world.shelf.all())
    await world.commands.lock(ADA, only_b, "a migration")
    world.check(COMMIT, "build", CheckState.PENDING)
    waits, locked = await world.push(COMMIT, "app-a"), await world.push(COMMIT, "app-b")
    await world.settle()
    assert [await world.state(one) for one in (waits, locked)] == ["held", "held"]

    world.host = Silent()
    world.start()
    await world.journal.look_again(["app-a"])
    await world.commands.unlock(ADA, only_b)
    async with running(world.keeper.run):
        await until(lambda: world.state(locked), lambda state: state == "waiting")


async def test_no_reading_of_a_head_is_left_behind() -> None:
    heads = Heads({"github": Silent()}, ManualClock(), {"github.com": "github"})
    asked = asyncio.create_task(heads.of(gated()))
    for _ in range(10):
        await asyncio.sleep(0)
    assert [one for one in asyncio.all_tasks() if "Heads._read" in repr(one)]

    await heads.close()

    assert not [one for one in asyncio.all_tasks() if "Heads._read" in repr(one)]
    await asyncio.wait([asked])
    assert asked.cancelled()
