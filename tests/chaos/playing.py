"""Has things go wrong under load, then waits until all has come to its end, and judges."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.ledgers import all_quiet, judge
from tests.chaos.scenario import Scenario
from tests.chaos.stage import Stage
from tests.chaos.verdicts import Verdict

Group = Sequence[Scenario]


@dataclass(frozen=True)
class Played:
    """How it went: what the ledgers say, how long it went wrong, and until all was at rest."""

    verdict: Verdict
    lasted: float
    until: float


async def played(on: Stage, group: Group) -> Played:
    """Have a group of scenarios go wrong at the same time; fails where something never ends."""
    began = time.monotonic()
    async with on.load(unharmed=all(one.elsewhere for one in group)):
        await asyncio.gather(*(one.run(on) for one in group))
    over = time.monotonic()
    verdict = await settled(on)
    return Played(verdict, over - began, time.monotonic() - over)


async def settled(on: Stage) -> Verdict:
    """Wait until all has come to its end, and judge."""
    await on.heal()
    return judge(on, await all_quiet(on))
