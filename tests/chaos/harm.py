"""What is done to a cluster, one thing at a time, while pushes come."""

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.chaos.cluster import Cluster, Process
from tests.chaos.recording_backend import Fault, Handler, says_nothing
from tests.fake_host import Spoil

Harm = Callable[[Cluster, float], Awaitable[None]]
"""Does harm for about so many seconds, and ends with everything in place again."""


async def killed(cluster: Cluster, seconds: float) -> None:
    """Processes die without a word, and are started again."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while loop.time() < until:
        await asyncio.sleep(cluster.chance.uniform(0.1, 1.5))  # the moment of death is drawn
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


async def host_failing(cluster: Cluster, seconds: float) -> None:
    """The host's API limits, fails, loses answers and hangs."""
    for spoil in (
        Spoil(status=403, headers={"Retry-After": "1"}, body={"message": "secondary rate limit"}),
        Spoil(status=502),
        Spoil(lose=True),
        Spoil(slow=1.0),
    ):
        cluster.github.spoil(spoil, times=3)
    await asyncio.sleep(seconds)
    cluster.github.mend()
    cluster.note("host failing")


async def upgraded(cluster: Cluster, seconds: float) -> None:
    """All processes are replaced by new ones, as a new release is rolled out."""
    del seconds
    old = list(cluster.processes)
    if cluster.server is None:  # one at a time on SQLite
        (alone,) = old
        await _left(cluster, alone)
        await alone.started()
    else:
        await cluster.start(*(process.role for process in old))
        for process in old:
            cluster.processes.remove(process)
            await _left(cluster, process)
    cluster.note("rolling upgrade")


async def _left(cluster: Cluster, process: Process) -> None:
    took = await process.leave()
    most = cluster.leaves_within
    assert took < most, f"{process.role} took {took:.1f} s to leave"


ANYWHERE: tuple[tuple[Harm, float], ...] = (
    (killed, 30.0),
    (frozen, 20.0),
    (backend_away, 15.0),
    (backend_late, 10.0),
    (host_failing, 10.0),
    (clock_jumped, 9.0),
    (upgraded, 0.0),
)
"""Every harm, with its seconds in the long run."""

ON_POSTGRES: tuple[tuple[Harm, float], ...] = (
    *ANYWHERE,
    (database_restarted, 0.0),
    (database_away, 30.0),
)
