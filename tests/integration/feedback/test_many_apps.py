"""A push to many apps keeps GitHub's limits, and the last state of each app arrives."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.app.providers import on_hosts
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import State
from bridge.core.pulls import PullRequest
from bridge.pipeline.feedback.outbox import Feedback, PublishTiming, together
from bridge.pipeline.feedback.rate_limit import RateLimiter
from bridge.ports.feedback import Occasion
from bridge.ports.githosts import CommitState
from bridge.ports.outcomes import Outcome
from bridge.settings import Settings
from bridge.storage.journal import SqlJournal
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import ManualClock, app, deployment, push

SHA = "b" * 40
APPS = 45
AT_A_TIME = 15
BUILD = 5.0
RARE_LOOKS = PublishTiming(poll=60.0, lease=900.0)
WRITES = {"comment", "edit_comment", "set_status", "create_deployment", "set_deployment"}
SECONDARY = ((80, 60.0), (500, 3600.0))
"""GitHub's limits on what creates content, of each credential."""


@dataclass
class TimedApi(FakeHostApi):
    """GitHub in memory, which knows when each write came."""

    clock: Any = None
    times: list[tuple[float, str]] = field(default_factory=list)

    async def _do(self, call: tuple[object, ...], action: Any) -> Any:
        if call[0] in WRITES:
            self.times.append((self.clock(), str(call[0])))
        return await super()._do(call, action)

    def most_in(self, seconds: float, *kinds: str) -> int:
        """The most writes that came in any stretch of so many seconds."""
        times = [at for at, kind in self.times if not kinds or kind in kinds]
        return max((sum(at <= one < at + seconds for one in times) for at in times), default=0)


@dataclass
class Repository:
    """A repository of many apps on GitHub, and the feedback about its pushes."""

    clock: ManualClock
    journal: SqlJournal
    settings: Settings = field(default_factory=Settings)
    api: TimedApi = field(init=False)
    feedback: Feedback = field(init=False)
    going: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.api = TimedApi(clock=self.clock)
        self.api.pulls[SHA] = [PullRequest(5, "main", SHA, open=True)]
        rate_limiter = RateLimiter(self.clock, sleep=self.clock.sleep)
        places = on_hosts(self.settings, {"github": self.api}, rate_limiter, "0123")
        self.plan = together(places.planners)
        self.feedback = Feedback(
            self.journal,
            places.publishers,
            self.clock,
            RARE_LOOKS,
            rate_limiter=rate_limiter,
            chance=lambda: 0.5,
        )

    async def pushed(self, deploys: int, skips: int = 0, seq: int = 1) -> None:
        """A push that deploys some apps, and skips others."""
        ids = [f"app-{number:03}" for number in range(deploys + skips)]
        reasons = [Reason.PATH_HIT] * deploys + [Reason.NO_PATH_HIT] * skips
        decisions = tuple(
            Decision(id_, f"shop/{id_[4:]}", reason, "3 files changed")
            for id_, reason in zip(ids, reasons, strict=True)
        )
        made = tuple(deployment(seq, id_, commit=SHA) for id_ in ids[:deploys])
        outcome = Outcome(seq, f"delivery-{seq}", decisions, made)
        apps = {id_: app(id_) for id_ in ids}
        await self.journal.save_apps("dokploy", list(apps.values()))
        subscriptions = self.plan(Occasion(push(), None, outcome, apps))
        placed = Outcome(seq, outcome.delivery, decisions, made, subscriptions=tuple(subscriptions))
        await self.journal.record([placed], window=600)
        self.going += [one.id for one in made]

    async def built(self) -> None:
        """Build what waits, as the backend does: some at a time, each for some seconds."""
        while self.going:
            batch, self.going = self.going[:AT_A_TIME], self.going[AT_A_TIME:]
            for state, seconds in ((State.ASKED, 1.0), (State.RUNNING, BUILD), (State.DONE, 1.0)):
                for id_ in batch:
                    await self.journal.move(id_, state)
                await self.quiet(seconds)

    async def quiet(self, seconds: float) -> None:
        """Let time pass, with all that is shown in it."""
        until = self.clock() + seconds
        while (now := self.clock()) < until:
            pause = await self.feedback.look()
            if self.feedback._at_work:
                await self.feedback.settled()  # which has it look again
            else:
                await self.clock.sleep(min(max(pause, 0.05), seconds / 8, until - now))

    async def said(self, words: str, times: int = 1) -> float:
        """Return after how many seconds the comment says something so often."""
        began = self.clock()
        while not any(one.count(words) >= times for one in self.api.ours(5)):
            assert self.clock() - began < 60, words
            await self.feedback.look()
            await self.feedback.settled()
            await self.clock.sleep(0.05)
        return self.clock() - began


@pytest.fixture
def many(clock: ManualClock, journal: SqlJournal) -> Repository:
    return Repository(clock, journal)


@pytest.mark.slow
async def test_a_push_to_many_apps_keeps_every_limit_and_the_last_states_arrive(
    many: Repository,
) -> None:
    await many.pushed(APPS)
    await many.built()
    await many.pushed(APPS, seq=2)
    await many.built()
    await many.quiet(3600.0)

    for most, seconds in SECONDARY:
        assert many.api.most_in(seconds) <= most
    assert {state for state, _ in many.api.statuses.values()} == {CommitState.SUCCESS}
    assert len(many.api.statuses) == APPS
    assert {one[3] for one in many.api.deployments.values()} == {CommitState.SUCCESS}
    (body,) = many.api.ours(5)
    assert f"{APPS} apps" in body
    assert body.count("✅ deployed") == APPS


async def test_the_comment_of_eight_apps_follows_each_change_within_two_seconds(
    many: Repository,
) -> None:
    """Also where a second push follows at once, so that statuses use up their share."""
    lags: dict[str, float] = {}
    for seq in (1, 2):
        many.going = []
        await many.pushed(8, seq=seq)
        lags[f"push {seq}"] = await many.said("8 waiting")
        await many.quiet(1.2)
        bad, good = many.going[0], many.going[1:]
        for state, words in (
            (State.ASKED, "8 accepted by the backend"),
            (State.QUEUED, "8 queued at the backend"),
            (State.RUNNING, "8 building"),
        ):
            for id_ in many.going:
                await many.journal.move(id_, state)
            lags[f"{seq}: {words}"] = await many.said(words)
            await many.quiet(1.2)
        for number, id_ in enumerate(good, 1):
            await many.journal.move(id_, State.DONE)
            lags[f"{seq}: {number} deployed"] = await many.said("✅ deployed", number)
            await many.quiet(1.2)
        await many.journal.move(bad, State.FAILED, note="exit code 1")
        lags[f"{seq}: failed"] = await many.said("❌ failed")

    assert {words: lag for words, lag in lags.items() if lag > 2.0} == {}


async def test_what_failed_is_told_before_what_succeeded(many: Repository) -> None:
    await many.pushed(8)
    for state in (State.ASKED, State.RUNNING):
        for id_ in many.going:
            await many.journal.move(id_, state)
        await many.quiet(30.0)
    for id_ in many.going[:-1]:
        await many.journal.move(id_, State.DONE)
    await many.quiet(1.0)
    done = len(many.api.calls)
    await many.journal.move(many.going[-1], State.FAILED)
    await many.quiet(20.0)

    written = [call for call in many.api.calls[done:] if call[0] in WRITES]
    failed = [at for at, call in enumerate(written) if CommitState.FAILURE in call]
    assert len(failed) == 2
    assert "edit_comment" in [call[0] for call in written[: failed[0]]]
    assert max(failed) <= 3, written


@pytest.mark.slow
async def test_skipped_apps_write_statuses_where_that_is_asked_for(
    clock: ManualClock, journal: SqlJournal
) -> None:
    settings = Settings.model_validate({"github": {"skipped_status": True}})
    many = Repository(clock, journal, settings)

    await many.pushed(1, skips=APPS - 1)
    await many.built()
    await many.quiet(300.0)

    assert len(many.api.statuses) == APPS
