"""One comment, however many processes are at work and however often they die; few writes."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.app.providers import pace_of
from bridge.core.backoff import Backoff
from bridge.core.decision import Decision, Reason
from bridge.core.events import Repository
from bridge.core.lifecycle import Deployment, State
from bridge.githosts import HOSTS
from bridge.githosts.feedback.publishers import WriteTurns
from bridge.githosts.feedback.subscriptions import Plans, Use, shows_of
from bridge.pipeline.feedback.outbox import Feedback, PublishTiming
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.feedback import Occasion
from bridge.ports.githosts import HasDeployments
from bridge.ports.outcomes import Outcome
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import app, deployment, push
from tests.worlds.embedded import until
from tests.worlds.hosts import NAME, Host

QUICK = PublishTiming(debounce=0.01, poll=0.02, retry=Backoff(0.02, 0.1), lease=0.3)
DONE = (State.ASKED, State.RUNNING, State.DONE)
ONE_HOST = pytest.mark.parametrize("host", ["github"], indirect=True)


async def at_once(lane: str) -> None:
    """A turn without a limit."""


AT_ONCE = WriteTurns(at_once, at_once, at_once, time.time)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SqlJournal]:
    made = SqlJournal(sqlite_engine(tmp_path / "journal.sqlite"), clock=time.time)
    await made.start()
    yield made
    await made.stop()


@asynccontextmanager
async def loop(
    journal: SqlJournal,
    host: Host,
    owner: str,
    timing: PublishTiming = QUICK,
    pace: Callable[[RateLimiter], WriteTurns] = lambda _: AT_ONCE,
) -> AsyncIterator[None]:
    """A feedback loop, as each process has one; it ends like a killed one, without good-bye."""
    rate_limiter = RateLimiter(time.time)
    publishers = shows_of(host.api, pace(rate_limiter), await journal.instance())
    feedback = Feedback(
        journal, publishers, time.time, timing, rate_limiter=rate_limiter, owner=owner
    )
    task = asyncio.create_task(feedback.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def pushed(
    journal: SqlJournal,
    host: Host,
    seq: int = 1,
    uses: frozenset[Use] = frozenset({Use.COMMENT}),
    skipped: Sequence[Decision] = (),
) -> Deployment:
    """Record a push of the newest commit, with the targets that it gets."""
    sha = host.repository.branches["main"]
    event = push(after=sha, repository=Repository(host.api.name, str(host.repository.id), NAME))
    assert event.commit is not None
    event = replace(event, commit=replace(event.commit, sha=sha))
    decision = Decision("app-web", "shop/web", Reason.PATH_HIT, "-")
    waiting = deployment(seq, commit=sha)
    outcome = Outcome(seq, f"d{seq}", (decision, *skipped), (waiting,))
    subscriptions = Plans(host.api.name, uses)(Occasion(event, None, outcome, {"app-web": app()}))
    await journal.record([replace(outcome, subscriptions=tuple(subscriptions))], window=0)
    return waiting


def all_uses(host: Host) -> frozenset[Use]:
    """Everything that the host can show."""
    without = frozenset() if isinstance(host.api, HasDeployments) else {Use.DEPLOYMENT}
    return frozenset(Use) - without


async def moved(journal: SqlJournal, id_: str, pause: Callable[[], Awaitable[None]]) -> None:
    for state in DONE:
        await pause()
        await journal.move(id_, state, str(state))


def bodies(host: Host) -> list[str]:
    return [one.body for pull in host.repository.pulls.values() for one in pull.comments]


async def shown(journal: SqlJournal, host: Host, words: str) -> None:
    """Nothing is to be shown any more, and the newest is on the comment."""

    async def there() -> bool:
        pending = await journal.feedback(limit=1000)
        due = [one for one in pending if one.shown < one.wanted]
        return not due and any(words in one for one in bodies(host))

    await until(there, bool, patience=60.0)  # each push is looked for by itself


@pytest.mark.journey
@ONE_HOST
async def test_two_processes_leave_one_comment(
    journal: SqlJournal,
    host: Host,
) -> None:
    host.repository.open_pull("main", base="release")

    async with loop(journal, host, "one"), loop(journal, host, "two"):
        for seq in range(1, 6):
            made = await pushed(journal, host, seq)
            await moved(journal, made.id, lambda: asyncio.sleep(0.01))
        await shown(journal, host, "✅ deployed")

    assert len(bodies(host)) == 1


async def test_processes_that_die_at_any_moment_leave_one_comment(
    journal: SqlJournal, host: Host, chance: random.Random
) -> None:
    host.repository.open_pull("main", base="release")
    made = await pushed(journal, host)

    for n in range(12):
        async with loop(journal, host, f"process {n}", replace(QUICK, lease=0.05)):
            if n % 4 == 3:
                await journal.move(made.id, DONE[n // 4], "-")
            await asyncio.sleep(chance.uniform(0.0, 0.08))
    async with loop(journal, host, "the last"):
        await shown(journal, host, "✅ deployed")

    assert len(bodies(host)) == 1


@ONE_HOST
async def test_three_hundred_changes_are_a_few_writes_and_the_last_one_shows(
    journal: SqlJournal,
    host: Host,
) -> None:
    host.repository.open_pull("main", base="release")
    usual = replace(QUICK, debounce=0.3)

    async with loop(journal, host, "one", usual, lambda t: pace_of(t, HOSTS[host.api.name].limits)):
        made = await pushed(journal, host, 1, all_uses(host))
        for change in range(300):
            if change and change % 10 == 0:
                made = await pushed(journal, host, change, frozenset({Use.COMMENT}))
            await journal.say(made.id, f"note {change}")
        await moved(journal, made.id, lambda: asyncio.sleep(0))
        await shown(journal, host, "✅ deployed")

    assert len(bodies(host)) == 1
    assert host.fake.writes() <= 20
