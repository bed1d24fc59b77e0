"""What acts at Git hosts and backends for people: its parts, and webhooks of many places."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from bridge.core.errors import BridgeError
from bridge.core.hooks import Scope, ScopeKind
from bridge.core.people import Actor
from bridge.pipeline.deciding.hook_places import Place, Repositories, Target
from bridge.pipeline.deciding.hooks import Does, Hooks, Step, Wait
from bridge.pipeline.deciding.reconcile import Homes
from bridge.pipeline.deploying.adopt import Adopter
from bridge.pipeline.deploying.pinning import Pinner


@dataclass(frozen=True, slots=True)
class Hosting:
    """The parts that act at Git hosts and backends.

    Attributes:
        hooks: returns what makes webhooks in somebody's name.
        homes: where clone addresses of the Git hosts begin.
        adopter: returns what switches off the backends' own deploys of pushes.
        pinner: returns what pins the apps of a backend; raises Rejected if it can't be configured.
        is_running: returns whether a bridge runs, which webhooks could reach.
    """

    hooks: Callable[[Actor], Hooks]
    homes: Homes
    adopter: Callable[[], Awaitable[Adopter]]
    pinner: Callable[[str], Pinner]
    is_running: Callable[[], Awaitable[bool]]


# ── webhooks of many places ───────────────────────────────────────────────────────────────────────


async def look_at(
    hooks: Hooks, targets: Iterable[Target], *, back: bool = False
) -> tuple[list[Place], list[str]]:
    """Return the places, and why others can't be looked at; `back`: see `Hooks.look_back`."""
    look = hooks.look_back if back else hooks.look
    places: list[Place] = []
    failed: list[str] = []
    for target in targets:
        try:
            places.append(await look(target))
        except BridgeError as error:
            failed.append(f"{target.host} {target.name or 'the App'}: {error}")
    return places, failed


async def plan_installs(
    hooks: Hooks, targets: Iterable[Target], known: Repositories
) -> tuple[list[Step], list[str]]:
    """Return the steps for several places, and why others can't be looked at.

    Args:
        known: what apps deploy from; an organisation's webhook takes over from its repositories.
    """
    places, failed = await look_at(hooks, targets)
    steps: list[Step] = []
    for place in places:
        below: list[Place] = []
        if place.scope.kind is ScopeKind.OWNER:
            inside = f"{place.scope.name}/".casefold()
            own = [
                Target(host, ScopeKind.REPOSITORY, name)
                for host, name in sorted(known)
                if host == place.host and name.casefold().startswith(inside)
            ]
            below, unseen = await look_at(hooks, own)
            failed += unseen
        steps += hooks.plan_install(place, below)
    return steps, failed


@dataclass(frozen=True, slots=True)
class Carried:
    """What came of several steps.

    Attributes:
        kept: those that were left out, since what they rely on has failed.
        failed: which others could not be done, and why, for people.
    """

    done: list[Step] = field(default_factory=list)
    kept: list[Step] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def carry_out(hooks: Hooks, steps: Iterable[Step]) -> Carried:
    """Carry out steps; one that fails stops only those that rely on it."""
    came, undone = Carried(), set[tuple[str, Scope | None]]()
    for step in steps:
        if step.does is Does.KEEP:
            continue
        if (step.host, step.once) in undone:
            came.kept.append(step)
            continue
        try:
            await hooks.carry_out(step)
        except BridgeError as error:
            undone.add((step.host, step.scope))
            came.failed.append(f"{step.does} {step.host} {step.scope}: {error}")
        else:
            came.done.append(step)
    return came


# ── waiting for a delivery ────────────────────────────────────────────────────────────────────────

ARRIVES = 30.0
"""Seconds to wait for a delivery that a new secret has signed."""

LOOK = 0.2
"""Seconds between looks at the inbox, which another process may write."""


def patience(seconds: float) -> Wait:
    """Return what waits for the next look at the inbox, and gives up after a while."""
    until = time.monotonic() + seconds

    async def wait() -> bool:
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(LOOK)
        return True

    return wait
