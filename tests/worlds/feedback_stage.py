"""A journal, a publisher that records what it shows, and the outbox between them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.pipeline.feedback.outbox import Feedback, PublishTiming
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.feedback import Pending, SaveCursor, Snapshot
from bridge.ports.outcomes import Cursor, Outcome, Subscription, about_deployment
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import Lifetime, ManualClock, deployment

TIMING = PublishTiming()


@dataclass
class RecordingPlace:
    """Shows the state of deployments like a card: only if it is not yet shown.

    Attributes:
        shown: the published states, by subscription id, oldest first.
        times: when each publication started.
        fails: the errors of a subscription's next publications.
        during: called during a subscription's publication, before anything is sent.
        hangs: subscriptions that wait for `let_go`.
        further: the further subscriptions of a publication.
    """

    clock: Callable[[], float]
    shown: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    cursors: list[Cursor] = field(default_factory=list)
    stories: list[Snapshot] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    fails: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    during: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    further: dict[str, Sequence[Subscription]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    turn: Callable[[str], Awaitable[None]] | None = None

    async def publish(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> Sequence[Subscription]:
        assert subscription.id not in self.at_work, "one at a time"
        self.at_work.add(subscription.id)
        try:
            await self._show(subscription, snapshot, cursor, save_cursor)
        finally:
            self.at_work.remove(subscription.id)
        return self.further.get(subscription.id, ())

    async def _show(
        self,
        subscription: Subscription,
        snapshot: Snapshot,
        cursor: Cursor,
        save_cursor: SaveCursor,
    ) -> None:
        self.cursors.append(cursor)
        self.stories.append(snapshot)
        self.times.append(self.clock())
        if subscription.id in self.hangs:
            await self.let_go.wait()
        if self.fails[subscription.id]:
            raise self.fails[subscription.id].pop(0)
        if subscription.id in self.during:
            await self.during.pop(subscription.id)()
        state = str(snapshot.deployments[0].state) if snapshot.deployments else "nothing"
        if cursor.get("state") == state:
            return
        await asyncio.sleep(0)
        if self.turn is not None:
            await self.turn(subscription.lane)
        self.shown[subscription.id].append(state)
        await save_cursor({"state": state, "link": f"https://chat.example/{subscription.id}"})


def card(id_: str, *, lane: str = "C1", name: str | None = None) -> Subscription:
    """Return a subscription for a deployment's card."""
    return Subscription(name or f"card {id_}", "card", lane, (about_deployment(id_),), {})


@dataclass
class Stage:
    """A journal, a publisher, and the outbox between them."""

    clock: ManualClock
    journal: SqlJournal
    place: RecordingPlace = field(init=False)
    rate_limiter: RateLimiter = field(init=False)
    feedback: Feedback = field(init=False)

    def __post_init__(self) -> None:
        self.place = RecordingPlace(self.clock)
        self.rate_limiter = RateLimiter(self.clock, sleep=self.clock.sleep)
        self.feedback = self.loop()

    def loop(self, life: Lifetime | None = None, owner: str = "solo", **others: Any) -> Feedback:
        """Create a new one, as after every start."""
        life = life or Lifetime()
        journal: Any = life.mortal(self.journal)
        publishers: Any = {"card": life.mortal(self.place)}
        return Feedback(
            journal, publishers, self.clock, others.pop("timing", TIMING),
            rate_limiter=self.rate_limiter, owner=owner, chance=lambda: 0.5,
        )  # fmt: skip

    async def deployed(self, seq: int = 1, app_id: str = "app-web", **card_: Any) -> str:
        """Record a deployment with a card."""
        new = deployment(seq, app_id)
        subscriptions = (card(new.id, **card_),)
        await self.journal.record(
            [Outcome(seq, new.delivery, (), (new,), subscriptions=subscriptions)], window=600
        )
        return new.id

    async def once(self, feedback: Feedback | None = None) -> None:
        """Publish everything that is due now."""
        feedback = feedback or self.feedback
        await feedback.look()
        await feedback.settled()

    async def quiet(self, feedback: Feedback | None = None, *, seconds: float = 60.0) -> None:
        """Let time pass, and publish everything that becomes due."""
        feedback = feedback or self.feedback
        until = self.clock() + seconds
        while self.clock() < until:
            begun = len(self.place.stories)
            pause = await feedback.look()
            await feedback.settled()
            if len(self.place.stories) > begun:
                continue  # a lane that finishes wakes the loop
            await self.clock.sleep(min(max(pause, 0.01), until - self.clock()))

    async def of(self, subscription_id: str) -> Pending:
        found = {one.subscription.id: one for one in await self.journal.feedback(limit=1000)}
        return found[subscription_id]

    async def begun(self) -> bool:
        """Return whether a subscription is being or was published."""
        return bool(self.place.stories)

    async def rests(self, subscription_id: str) -> None:
        """Let current work continue until a subscription is up to date."""

        async def up_to_date() -> bool:
            return (await self.of(subscription_id)).due_at is None

        await until(up_to_date)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Let current work continue; the journal in memory needs no time."""
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came so far")
