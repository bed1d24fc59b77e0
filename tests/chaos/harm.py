"""What is done to a cluster, one thing at a time, while pushes come."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import Fault, Handler, says_nothing

Harm = Callable[[Cluster, float], Awaitable[None]]
"""Does harm for about so many seconds, and ends with everything in place again."""


async def killed(cluster: Cluster, seconds: float) -> None:
    """Processes die without a word, and are started again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        await asyncio.sleep(cluster.chance.uniform(0.2, 1.5))  # the moment of death is drawn
        victim = cluster.chance.choice(cluster.processes)
        await victim.kill()
        await victim.started()
        cluster.note(f"kill {victim.role}")


async def frozen(cluster: Cluster, seconds: float) -> None:
    """One that works stands still."""
    victim = cluster.chance.choice(cluster.working)
    victim.freeze()
    await asyncio.sleep(seconds)
    victim.thaw()
    cluster.note(f"stand still {seconds:g} s")


async def backend_away(cluster: Cluster, seconds: float) -> None:
    """Nobody listens where the backend was."""
    await cluster.backend.go_away()
    await asyncio.sleep(seconds)
    await cluster.backend.come_back()
    cluster.note(f"backend away {seconds:g} s")


async def backend_late(cluster: Cluster, seconds: float) -> None:
    """Answers come late; that of some deploys never, though they were taken."""
    apps = [f"app-{n}" for n in range(cluster.backend.apps)]
    for app in apps:
        cluster.backend.fail("deployment.all", [late(1.0)], app)
        cluster.backend.fail("application.deploy", [late(0.5)], app)
    for app in cluster.chance.sample(apps, 2):
        cluster.backend.fail("application.deploy", [says_nothing(arrives=True)], app)
    cluster.backend.fail("deployment.queueList", [late(1.0), late(1.5)])
    await asyncio.sleep(seconds)
    cluster.backend.faults.clear()
    cluster.note("backend late")


def late(seconds: float) -> Fault:
    """The answer comes after a while."""

    async def fault(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        await asyncio.sleep(seconds)
        return answer

    return fault


async def database_restarted(cluster: Cluster, seconds: float) -> None:
    """The server ends all its sessions and is back soon."""
    del seconds
    assert cluster.server is not None
    await asyncio.to_thread(cluster.server.stop)
    await asyncio.to_thread(cluster.server.start)
    cluster.note("database restarted")


async def database_away(cluster: Cluster, seconds: float) -> None:
    """Nobody listens where the server was."""
    assert cluster.server is not None
    await asyncio.to_thread(cluster.server.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(cluster.server.start)
    cluster.note(f"database away {seconds:g} s")


async def clock_jumped(cluster: Cluster, seconds: float) -> None:
    """The clock of one goes an hour ahead, then an hour back; then it is right again."""
    victim = cluster.chance.choice(cluster.working)
    for offset in (3600.0, -3600.0, 0.0):
        cluster.clock(victim).write_text(str(offset))
        await asyncio.sleep(seconds / 3)
    cluster.note("clock jumps")


async def upgraded(cluster: Cluster, seconds: float) -> None:
    """Each process is replaced by a new one, as a new release is rolled out."""
    del seconds
    for old in list(cluster.processes):
        await _replaced(cluster, old)
    cluster.note("rolling upgrade")


async def _replaced(cluster: Cluster, old: Process) -> None:
    if cluster.server is None:  # one at a time on SQLite
        took = await old.leave()
        await old.started()
    else:
        await cluster.new(old.role).started()
        cluster.processes.remove(old)
        took = await old.leave()
    assert took < 10, f"{old.role} took {took:.1f} s to leave"


ANYWHERE: tuple[tuple[Harm, float], ...] = (
    (killed, 30.0),
    (frozen, 20.0),
    (backend_away, 15.0),
    (backend_late, 10.0),
    (clock_jumped, 9.0),
    (upgraded, 0.0),
)
"""Every harm, with its seconds in the long run."""

ON_POSTGRES: tuple[tuple[Harm, float], ...] = (
    *ANYWHERE,
    (database_restarted, 0.0),
    (database_away, 30.0),
)
