"""Run faults under load, then wait until everything has ended, and judge."""

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
    """The ledgers' verdict, how long the faults lasted, and the time until all was at rest."""

    verdict: Verdict
    lasted: float
    until: float


async def played(on: Stage, group: Group) -> Played:
    """Run a group of scenarios at the same time; fail if something never ends."""
    began = time.monotonic()
    async with on.load(unharmed=all(one.elsewhere for one in group)):
        await asyncio.gather(*(one.run(on) for one in group))
    over = time.monotonic()
    verdict = await settled(on)
    return Played(verdict, over - began, time.monotonic() - over)


async def settled(on: Stage) -> Verdict:
    """Wait until everything has ended, and judge."""
    await on.heal()
    return judge(on, await all_quiet(on))
