"""Step 4: publish every change to every place that shows it: cards, comments, statuses.

Publishing is level-triggered: the journal marks a subscription as pending in the transaction that
changes what it follows (docs/notes/0010); the outbox then publishes the current state, once for
however many changes. Subscriptions that share a rate limit form a lane. Lanes are independent: a
slow or dead service blocks neither another lane nor a deployment.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.core import trace
from bridge.core.backoff import Backoff, asked_to_wait
from bridge.core.errors import (
    BridgeError,
    Refused,
    Rejected,
    TooEarly,
    Unanswered,
    Unreachable,
)
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.clock import Clock
from bridge.ports.feedback import (
    NO_TURNS,
    Occasion,
    Pending,
    Planner,
    Publisher,
    Since,
    Snapshot,
    Subscriptions,
    after_turn,
    rank_favoured,
)
from bridge.ports.journal import JOURNAL, Notes
from bridge.ports.outcomes import Cursor, Subscription


class OutboxJournal(Notes, Subscriptions, Protocol):
    """What the outbox uses of the journal."""


log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another process publishes now; its cursors must be left alone."""


LONGEST_ERROR = 500
"""Characters of a reason that are kept."""


@dataclass(frozen=True, slots=True)
class PublishTiming:
    """Timing of publishing; all in seconds.

    Attributes:
        debounce: from a change until it is published, together with changes in between.
        poll: between polls for changes by other processes.
        retry: pauses between failed attempts.
        park_after: how long a subscription may fail before it is parked.
        longest: how long one attempt may take.
        lease: how long others wait for a dead holder.
        lanes: how many are active at a time.
    """

    debounce: float = 0.3
    poll: float = 1.0
    retry: Backoff = Backoff(1.0, 60.0)
    park_after: float = 24 * 3600.0
    longest: float = 120.0
    lease: float = 15.0
    lanes: int = 128


class Publishing:
    """Publishes subscriptions, and records the results."""

    def __init__(
        self,
        journal: OutboxJournal,
        publishers: Mapping[str, Publisher],
        clock: Clock,
        timing: PublishTiming,
        chance: Callable[[], float],
        holding: tuple[str, str],
    ) -> None:
        """Take the parts.

        Args:
            chance: returns numbers in [0, 1), which spread the attempts.
            holding: name and owner of the lease that permits publishing.
        """
        self._journal = journal
        self._publishers = publishers
        self._clock = clock
        self._timing = timing
        self._chance = chance
        self._holding = holding

    async def publish(self, pending: Pending) -> Exception | None:
        """Publish the current state of a subscription; return the error, if any.

        Raises:
            Unreachable: our own journal is away; the subscription stays due.
        """
        subscription = pending.subscription
        snapshot = await self._journal.snapshot(subscription)
        trace.follow(_delivery(snapshot))
        try:
            async with asyncio.timeout(self._timing.longest):
                further = await self._bring_up_to(snapshot, pending)
        except LeaseLost:
            log.warning("another process publishes now", extra={"target": subscription.id})
            return None
        except Exception as error:  # noqa: BLE001 - kept with the subscription, and logged
            return await self._failed(pending, error)
        # They have waited as long as what led to them, such as the push of a comment.
        await self._journal.subscribe(further, at=pending.due_at)
        await self._journal.mark_published(subscription.id, pending.wanted)
        return None

    async def _bring_up_to(self, snapshot: Snapshot, pending: Pending) -> Sequence[Subscription]:
        subscription = pending.subscription

        async def save_cursor(cursor: Cursor) -> None:
            if not await self._journal.save_cursor(subscription.id, cursor, holding=self._holding):
                raise LeaseLost

        publisher = self._publishers.get(subscription.kind)
        if publisher is None:
            raise Rejected(f"nothing here shows {subscription.kind}: its settings are gone")
        log.debug("feedback published", extra={"target": subscription.id})
        return await publisher.publish(subscription, snapshot, pending.cursor, save_cursor)

    async def _failed(self, pending: Pending, error: Exception) -> Exception:
        if isinstance(error, TimeoutError):
            seconds = f"{self._timing.longest:.0f} s"
            error = Unanswered(pending.subscription.kind, f"nothing came back within {seconds}")
        if isinstance(error, TooEarly):
            await self._journal.postpone(pending.subscription.id, self._in_turn(error, pending))
            return error
        due_at = self._next_try(pending, error)
        self._tell(pending, error, parks=due_at is None)
        why = str(error) if isinstance(error, BridgeError) else f"a bug: {type(error).__name__}"
        await self._journal.mark_failed(
            pending.subscription.id, pending.wanted, why[:LONGEST_ERROR], due_at=due_at
        )
        return error

    def _next_try(self, pending: Pending, error: Exception) -> float | None:
        """Return when to retry; None if that is pointless until something changes."""
        now = self._clock()
        failing_since = now if pending.failing_since is None else pending.failing_since
        too_long = now - failing_since >= self._timing.park_after
        if too_long or isinstance(error, Refused | Rejected):
            return None
        return self._later(error, pending)

    def _in_turn(self, error: TooEarly, pending: Pending) -> float:
        """Return when to publish what was too early: its lane sets the pace, so at once then."""
        asked = asked_to_wait(error)
        return self._later(error, pending) if asked is None else self._clock() + asked

    def _later(self, error: Exception, pending: Pending) -> float:
        """Return when to retry an error that may go away."""
        now = self._clock()
        if (asked := asked_to_wait(error)) is not None:
            # Never before that time, and not all of them at the same moment after it.
            return now + asked + self._chance()
        pause = self._timing.retry.pause(pending.attempts + 1)
        return now + pause * (0.75 + self._chance() / 2)

    def _tell(self, pending: Pending, error: Exception, *, parks: bool) -> None:
        """Log a failure once, however often it repeats; the journal keeps it until success."""
        what = {"target": pending.subscription.id, "why": str(error)}
        unexpected = not isinstance(error, BridgeError)
        if parks:
            log.warning("feedback is parked until the next change", extra=what)
        elif pending.attempts == 0:
            log.warning(
                "feedback can't be shown; it is tried again",
                extra=what,
                exc_info=error if unexpected else None,
            )


def _delivery(snapshot: Snapshot) -> str | None:
    """Return the newest delivery in a snapshot."""
    told = [(one.seq, one.delivery) for one in snapshot.deployments]
    told += [(one.seq, one.delivery) for one in snapshot.explained if one.delivery is not None]
    return max(told)[1] if told else None


LEASE = "feedback"

MARGIN = 1 / 5
"""The share of the lease that must be left when work under it ends, so requests in flight arrive
before another process looks."""

DRAIN = 2.0
"""Seconds that running writes get when the process stops."""

GRAIN = 0.05
"""The shortest pause between two polls, in seconds."""


@dataclass(slots=True)
class _Lane:
    """The state of a lane: until when it is paused, and its consecutive outages."""

    free_at: float = 0.0
    away: int = 0


class Feedback:
    """Publishes pending subscriptions, one at a time in each lane."""

    def __init__(
        self,
        journal: OutboxJournal,
        publishers: Mapping[str, Publisher],
        clock: Clock,
        timing: PublishTiming | None = None,
        *,
        rate_limiter: RateLimiter | None = None,
        owner: str = "solo",
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Take the parts.

        Args:
            publishers: by kind of subscription.
            rate_limiter: the one that the publishers use.
            owner: this process; of those that share a journal, one at a time publishes.
            chance: returns numbers in [0, 1), which spread the attempts.
        """
        self._journal = journal
        self._clock = clock
        self._timing = timing or PublishTiming()
        self._rate_limiter = rate_limiter or RateLimiter(clock)
        self._owner = owner
        self._publishing = Publishing(
            journal, publishers, clock, self._timing, chance, (LEASE, self._owner)
        )
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._fence: asyncio.TimerHandle | None = None
        self._lanes: dict[str, _Lane] = {}
        self._at_work: dict[str, asyncio.Task[None]] = {}
        self._since: dict[str, Since] = {}
        self._held_until = 0.0
        self._renew_at = 0.0

    def wake(self) -> None:
        """Note that something may be pending; it is due once the debounce has passed.

        A thousand changes thus cause only a few polls.
        """
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._timing.debounce, self._look_now)

    def _look_now(self) -> None:
        self._timer = None
        self._wake.set()

    async def run(self) -> None:
        """Publish as long as the process lives."""
        self._rate_limiter.open()
        try:
            while True:
                self._wake.clear()  # before the poll: a change during it wakes again
                pause = await self._look_surely()
                # Not wait_for: in Python 3.11 it swallows a cancel that coincides with a wake.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
        finally:
            await self._stop()

    async def look(self) -> float:
        """Begin to publish what is due; return the seconds until the next poll at the latest."""
        now, poll = self._clock(), self._timing.poll
        free = self._timing.lanes - len(self._at_work)
        if not await self._holds(now) or free <= 0:
            return poll  # if all lanes are busy, the next one to finish wakes us
        ready = now - self._timing.debounce
        resting = self._resting(now)
        next_at = [now + poll, self._renew_at, *resting.values()]
        busy = [*self._at_work, *resting]
        found = await self._journal.pending(
            ready + poll, free, ready=ready, busy=busy, favoured=self._favoured(busy)
        )
        if len(found) < free:  # otherwise more lanes may have something to publish
            self._forget_turns({*busy, *(pending.subscription.lane for pending in found)})
        for pending in found:
            assert pending.due_at is not None
            if pending.due_at <= ready:
                self._begin(pending)
            else:
                next_at.append(pending.due_at + self._timing.debounce)
        return max(GRAIN, min(next_at) - now)

    async def settled(self) -> None:
        """Wait until all running work has ended."""
        for end in await asyncio.gather(*self._at_work.values(), return_exceptions=True):
            if isinstance(end, BaseException) and not isinstance(end, asyncio.CancelledError):
                raise end

    async def _look_surely(self) -> float:
        try:
            return await self.look()
        except BridgeError as error:
            log.warning("feedback can't be read", extra={"why": str(error)})
            return self._timing.retry.first
        except Exception:  # a bug; it must not end the process, which also deploys
            log.exception("feedback can't be read")
            return self._timing.retry.longest

    async def _stop(self) -> None:
        """Let running writes finish, and begin no others.

        The rest is cancelled and stays pending; the next process publishes it. Writes get time
        because one that is cancelled before its response often can't be found again, and would be
        repeated.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._rate_limiter.close()
        if self._at_work:
            await asyncio.wait(self._at_work.values(), timeout=DRAIN)
        if self._fence is not None:
            self._fence.cancel()
        for task in self._at_work.values():
            task.cancel()
        await asyncio.gather(*self._at_work.values(), return_exceptions=True)
        try:
            await self._journal.release(LEASE, self._owner)
        except BridgeError as error:
            log.warning("the lease expires by itself", extra={"why": str(error)})

    # ── one process at a time ─────────────────────────────────────────────

    async def _holds(self, now: float) -> bool:
        """Return whether this process publishes; renew the lease early enough to keep it."""
        if now >= self._renew_at:
            lease = self._timing.lease
            held = await self._journal.hold(LEASE, self._owner, lease)
            self._held_until = now + lease if held else 0.0
            self._renew_at = now + (lease / 3 if held else self._timing.poll)
            self._fenced()
        return now < self._held_until

    def _fenced(self) -> None:
        """Make sure that nothing is written once another process may publish.

        If the lease can't be renewed, e.g. because the database does not answer, cancel running
        work. Its writes were announced beforehand, so the next process looks for them.
        """
        if self._fence is not None:
            self._fence.cancel()
        left = self._held_until - self._timing.lease * MARGIN - self._clock()
        if left > 0:
            self._fence = asyncio.get_running_loop().call_later(left, self._lost)
        else:
            self._lost()

    def _lost(self) -> None:
        self._fence = None
        if self._at_work:
            log.warning("the lease can't be renewed: publishing is left to other processes")
        for task in self._at_work.values():
            task.cancel()

    # ── lanes ─────────────────────────────────────────────────────────────

    def _resting(self, now: float) -> dict[str, float]:
        """Return the lanes that are paused, and until when."""
        free_at = {
            name: max(lane.free_at, self._rate_limiter.free_at(name))
            for name, lane in self._lanes.items()
            if name not in self._at_work
        }
        return {name: at for name, at in free_at.items() if at > now}

    def _favoured(self, busy: Sequence[str]) -> dict[str, int]:
        """Return the lanes whose next turn is not for the lowest rank, with that turn's rank."""
        ranks = {
            lane: rank_favoured(since) for lane, since in self._since.items() if lane not in busy
        }
        return {lane: rank for lane, rank in ranks.items() if rank > 0}

    def _forget_turns(self, going: Collection[str]) -> None:
        """Reset the counts of lanes without pending subscriptions."""
        self._since = {lane: since for lane, since in self._since.items() if lane in going}

    def _begin(self, pending: Pending) -> None:
        lane = pending.subscription.lane
        since = self._since.get(lane, NO_TURNS)
        rank = max(pending.subscription.rank, rank_favoured(since))
        self._since[lane] = after_turn(since, rank)
        work = self._work(pending, self._lanes.setdefault(lane, _Lane()))
        task = self._at_work[lane] = asyncio.create_task(work, name=f"feedback on {lane}")
        # Not at the end of the work itself, which never starts if it is cancelled at once.
        task.add_done_callback(lambda _: self._ended(lane))

    def _ended(self, lane: str) -> None:
        del self._at_work[lane]
        self._wake.set()

    async def _work(self, pending: Pending, lane: _Lane) -> None:
        try:
            self._rest(lane, await self._publishing.publish(pending))
        except Exception as error:  # our own stores; an unrecorded result is published again
            log.warning("feedback can't be stored", extra={"why": str(error)}, exc_info=error)
            self._rest(lane, Unreachable(JOURNAL, type(error).__name__))

    def _rest(self, lane: _Lane, trouble: Exception | None) -> None:
        """Pause a lane that can't be reached, with everything due there.

        Its other subscriptions are still tried soon: only this one may be broken.
        """
        if not isinstance(trouble, Unreachable | Unanswered) or isinstance(trouble, TooEarly):
            lane.away = 0
            return
        lane.away += 1
        lane.free_at = self._clock() + self._timing.retry.after(lane.away, trouble)


def together(planners: Sequence[Planner]) -> Planner:
    """Combine planners into one; if one fails, only its own subscriptions are missing."""

    def plan(occasion: Occasion) -> list[Subscription]:
        found: list[Subscription] = []
        for planner in planners:
            try:
                found += planner(occasion)
            except Exception:  # nothing about feedback may delay a deployment
                log.exception("feedback can't be planned", extra={"seq": occasion.outcome.seq})
        return found

    return plan
