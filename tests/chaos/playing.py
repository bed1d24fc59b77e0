"""Faults of every kind under load, in real processes; in the end all ledgers agree.

Around the bridge stand senders with a ledger of what was acknowledged (`sender.py`), a small
Dokploy that knows what really became of each job (`dokploy/`), a Git host and a Slack that
remember what they show. The bridge runs as it does in production: one process on
SQLite; three workers and two webs on Postgres; each started again when it dies (`fleet.py`).
The faults are in `scenarios.py`, `troubles.py` (the backend), `people.py`, `gates.py` and
`aimed.py`, their groups in `programme.py`. After each group the load ends, everything must end, and
the ledgers are compared (`ledgers.py`):

- every acknowledged delivery is kept and decided once, for the apps that it changed and no other;
  and all are acknowledged while faults are elsewhere, and once they are over;
- no push deploys an app twice: the bridge repeats a request only for a lost job, and never for one
  that somebody cancelled;
- each claimed outcome is what the backend did, with its own record, commit and reason;
- a push is skipped only on an app as it was less than five seconds ago;
- nothing is requested while a gate holds it (`held.py`; `test_gates.py` has all gates closed);
- deployments of an app never overlap, are requested in the pushes' order, and the newest push is
  live, unless its outcome says otherwise;
- each pull request has one comment, each commit its statuses, each requested deployment one object
  at the host, and each deployment one card: all as in the journal;
- each open pull request has one preview with its head, and a closed one leaves neither an app nor
  a service, though half of the webhooks of pull requests get lost (`pulls.py`, `previewed.py`);
- the databases are readable and sound.

`CHAOS_ROUNDS=n` (`make chaos`) makes it the long run: realistic outages, more pushes, every
scenario alone and `n` more times together with others. `SEED` repeats a run's draws, but not its
timing, and `CHAOS_FROM` begins with the first group that has a scenario with this in its name.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile

from tests.chaos.breaking import attended
from tests.chaos.ledgers import all_quiet, judge, judge_serving
from tests.chaos.programme import PEOPLE, PROCESSES, SERVICES, SHORT_RUN, STORES
from tests.chaos.scenario import Scenario
from tests.chaos.stage import LONG, SHORT, Stage
from tests.chaos.verdicts import Verdict
from tests.worlds.chance import SEED

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "0"))
ONLY = os.environ.get("CHAOS_ONLY", "")
"""Run only groups with a scenario whose name contains this."""
FROM = os.environ.get("CHAOS_FROM", "")
PACE = LONG if ROUNDS else SHORT

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


async def played_broken(on: Stage, group: Group) -> list[Verdict]:
    """Run a group while many versions are broken (`breaking.py`), and people attend to their apps.

    Return two verdicts at rest: on what the scenarios have left, with the last locks; and after the
    last pushes, which bring what is owed, once nothing is locked.
    """
    async with on.load(unharmed=all(one.elsewhere for one in group)), attended(on):
        await asyncio.gather(*(one.run(on) for one in group))
    await on.recover()
    locked = await judge_serving(on, await all_quiet(on, held=True))
    await on.heal()
    async with attended(on):
        record = await all_quiet(on)
    return [locked, await judge_serving(on, record)]


async def settled(on: Stage) -> Verdict:
    """Wait until everything has ended, and judge."""
    await on.heal()
    return judge(on, await all_quiet(on))


async def play(on: Stage, lines: list[str]) -> None:
    """Run group after group; report faults with the group's name."""
    for group in planned(on):
        names = " + ".join(one.name for one in group)
        died = len(on.fleet.deaths)
        try:
            result = await played(on, group)
        except AssertionError as error:
            error.add_note(f"seed {SEED}, {on.fleet.kind}, after {names}\n{on.fleet.last_words()}")
            raise
        verdict, deaths = result.verdict, on.fleet.deaths[died:]
        assert not verdict.wrong, "\n".join(
            [f"seed {SEED}, {on.fleet.kind}, after {names}", *verdict.wrong[:40]]
        )
        assert not deaths or any(one.may_die for one in group), deaths
        lines.append(
            f"{on.fleet.kind}: {names}: {result.lasted:.0f} s,"
            f" all at rest {result.until:.1f} s later"
        )
    slowest = max(on.left, default=0.0)
    lines.append(
        f"{on.fleet.kind}, seed {SEED}: {verdict.counts};"
        f" {len(on.left)} left when told to, the slowest in {slowest:.1f} s"
    )


def planned(on: Stage) -> list[Group]:
    """Return the scenarios, group by group."""
    if not ROUNDS:
        groups: list[Group] = [*SHORT_RUN[on.fleet.kind]]
    else:
        groups = [(one,) for one in (*PROCESSES, *STORES, *SERVICES, *PEOPLE)]
        groups += [drawn(on) for _ in range(ROUNDS)]
    left = dropwhile(lambda group: not _named(group, FROM), groups)
    return [group for group in left if all(one.fits(on) for one in group) and _named(group, ONLY)]


def _named(group: Group, words: str) -> bool:
    return any(words in one.name for one in group)


def drawn(on: Stage) -> Group:
    """Return scenarios for the same time: one of processes or stores, two of other parts."""
    harm = on.chance.choice([one for one in (*PROCESSES, *STORES) if one.fits(on)])
    first = on.chance.choice((*SERVICES, *PEOPLE))
    fitting = [
        one
        for one in (*SERVICES, *PEOPLE)
        if one is not first and not (one.unclear and first.unclear)
    ]
    return harm, first, on.chance.choice(fitting)
