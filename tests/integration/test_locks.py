"""Locks over time: reminders of their owners, and pull requests that release them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from bridge.core.errors import NotFound, Rejected, Unreachable
from bridge.core.events import Repository
from bridge.core.gates.locks import DAY, EVERYTHING, PullName, PullRef, Scope, scope_named
from bridge.core.pulls import PullRequest
from bridge.pipeline.gates.commands import GateCommands
from bridge.pipeline.gates.locks import LATEST, LockKeeper, Pulls
from bridge.ports.feedback import LockNews
from bridge.ports.outcomes import Subscription, about_deployment
from tests.fakes.git_api import FakeHostApi
from tests.worlds.gates import ADA, GRACE, GateWorld, gated

ONE = "1" * 40
WEB = Scope("app/app-web", "shop/web")
OPEN = PullRequest(12, "topic", ONE, open=True)
MERGED = replace(OPEN, open=False, merge_sha="2" * 40)
CLOSED = replace(OPEN, open=False)
MERGE = PullName(12)


@dataclass
class PullsHost(FakeHostApi):
    """A Git host with one pull request; `found` may be an error."""

    found: PullRequest | Exception = OPEN
    reads: list[tuple[str, int]] = field(default_factory=list)

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        self.reads.append((repository, number))
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


class Desk:
    """One process beside the journal, with everything that it would tell."""

    def __init__(self, world: GateWorld, host: PullsHost) -> None:
        self.world, self.host = world, host
        self.news: list[LockNews] = []
        self.woken = 0
        apis = {"github": host}
        self.keeper = LockKeeper(
            world.journal, apis, world.shelf.all, world.clock, tell=self._tell, wake=self._wake
        )
        pulls = Pulls(apis, {"github.com": "github"}, {"github": "#"})
        self.commands = GateCommands(world.journal, world.shelf.all, world.clock, pulls=pulls)

    def _tell(self, news: LockNews) -> Sequence[Subscription]:
        self.news.append(news)
        return [Subscription(f"chat {news.id}", "chat", "chat", (news.follows,), {})]

    def _wake(self) -> None:
        self.woken += 1

    async def round(self, seconds: float = 0.0) -> list[LockNews]:
        """Let time pass; return what is told by then."""
        self.world.clock.now += seconds
        before = len(self.news)
        await self.keeper.look()
        return self.news[before:]

    async def told(self) -> list[str]:
        found = await self.world.journal.feedback(limit=100)
        return sorted(one.subscription.id for one in found)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    world = GateWorld()
    await world.add(gated())
    yield Desk(world, PullsHost())
    await world.journal.stop()


async def test_a_lock_that_ends_by_itself_is_not_shown_any_more(desk: Desk) -> None:
    world = desk.world
    new = await world.push(ONE)
    await world.settle()
    card = Subscription("card", "chat", "chat", (about_deployment(new.id),), {})
    await world.journal.subscribe([card])
    await desk.commands.lock(ADA, WEB, "a migration", seconds=7200)
    (shown,) = await world.journal.feedback(limit=10)
    await world.journal.mark_published("card", shown.wanted)

    await desk.round(7199)
    assert (await world.journal.feedback(limit=10))[0].due_at is None
    await desk.round(1)
    assert (await world.journal.feedback(limit=10))[0].due_at is not None
    assert await world.journal.next_lock_at() == {}


# ── reminders ────────────────────────────────────────────────────────────────


async def test_a_lock_without_an_end_is_reminded_of_once_a_day(desk: Desk) -> None:
    await desk.commands.lock(ADA, EVERYTHING, "a migration")
    await desk.world.push(ONE)
    await desk.world.settle()
    assert await desk.round(DAY - 1) == []

    (first,) = await desk.round(1)
    assert (first.lock.owner, first.held, first.apps) == ("cli:ada", 1, ("shop/web",))
    assert await desk.round() == await desk.round(DAY - 1) == []

    (second,) = await desk.round(60)  # a process was a minute late
    assert first.id != second.id
    assert await desk.told() == sorted([f"chat {first.id}", f"chat {second.id}"])
    (third,) = await desk.round(DAY - 59)  # back at the time of day at which it was locked
    assert third.id not in (first.id, second.id)


async def test_a_lock_that_ends_within_the_day_or_is_gone_is_not_reminded_of(desk: Desk) -> None:
    for seconds in (60.0, DAY):
        await desk.commands.lock(ADA, EVERYTHING, "a migration", seconds=seconds)
        assert [await desk.round(3600) for _ in range(30)] == [[]] * 30

    taken = (await desk.commands.lock(ADA, EVERYTHING, "a migration")).taken.lock
    await desk.commands.unlock(ADA, EVERYTHING)
    assert await desk.commands.keep(ADA, taken) is None
    assert await desk.round(3 * DAY) == []


async def test_a_reminder_that_would_come_at_another_time_of_day_is_left_out(desk: Desk) -> None:
    """Nothing ran until then."""
    await desk.commands.lock(ADA, EVERYTHING, "a migration")

    assert await desk.round(DAY + LATEST + 1) == []
    (told,) = await desk.round(DAY - LATEST - 1)
    assert told.held == 0


async def test_two_processes_and_a_restart_remind_once(desk: Desk) -> None:
    await desk.commands.lock(ADA, EVERYTHING, "a migration")
    other = Desk(desk.world, desk.host)
    desk.world.clock.now += DAY

    await asyncio.gather(desk.round(), other.round())
    await Desk(desk.world, desk.host).round()

    assert len(await desk.told()) == 1


# ── pull requests ────────────────────────────────────────────────────────────


async def locked(desk: Desk, name: PullName = MERGE) -> None:
    scope = scope_named("shop/web", desk.world.shelf.all())
    await desk.commands.lock(ADA, scope, "a risky one", until_merge=name)


@pytest.mark.parametrize(("end", "word"), [(MERGED, "merged"), (CLOSED, "closed")])
async def test_an_event_releases_the_lock_with_its_pull_request(
    desk: Desk, end: PullRequest, word: str
) -> None:
    await locked(desk)
    held = await desk.world.push(ONE)
    await desk.world.settle()
    assert await desk.world.state(held) == "held"
    await desk.round()
    assert await desk.keeper.report(Repository("github", "4711", "My-Org/Mono"), 12)
    assert await desk.round() == []  # it is open

    desk.host.found = end
    assert await desk.keeper.report(Repository("github", "4711", "My-Org/Mono"), 12)
    (news,) = await desk.round()

    assert (news.ended, news.apps) == (f"my-org/mono#12 is {word}", ("shop/web",))
    assert desk.woken == 1
    await desk.world.settle()
    assert await desk.world.state(held) == "done"
    audited = (await desk.world.journal.audited(limit=1))[0]
    assert (str(audited.by), audited.what, audited.app) == ("github", "unlock", "shop/web")
    assert audited.outcome == f"my-org/mono#12 is {word}; was locked by Ada"


async def test_the_host_is_asked_less_and_less_often_and_again_after_an_event(desk: Desk) -> None:
    await locked(desk)
    for _ in range(200):
        await desk.round(30)
    assert 10 <= len(desk.host.reads) <= 20
    before = len(desk.host.reads)

    assert await desk.keeper.report(Repository("github", "4711", "my-org/mono"), 12)
    for _ in range(6):
        await desk.round(10)

    assert 3 <= len(desk.host.reads) - before <= 4


@pytest.mark.parametrize("error", [NotFound("gone"), Unreachable("github", "ConnectError")])
async def test_what_can_not_be_read_is_not_taken_for_merged(desk: Desk, error: Exception) -> None:
    await locked(desk)
    desk.host.found = error

    assert [await desk.round(600) for _ in range(5)] == [[]] * 5
    assert len(await desk.world.journal.locks()) == 1

    desk.host.found = MERGED
    assert len(await desk.round(600)) == 1


async def test_a_lock_that_was_stolen_meanwhile_stays(desk: Desk) -> None:
    await locked(desk)
    scope = scope_named("shop/web", desk.world.shelf.all())
    await desk.commands.lock(GRACE, scope, "mine", steal=True)
    desk.host.found = MERGED

    assert await desk.round(600) == []
    assert [one.owner for one in await desk.world.journal.locks()] == ["slack:U2"]


async def test_a_pull_request_may_be_named_in_each_way(desk: Desk) -> None:
    url = PullName(12, url="https://github.com/my-org/mono")
    for name in (MERGE, PullName(12, "My-Org/Mono"), url):
        await locked(desk, name)

        (lock,) = await desk.world.journal.locks()
        assert lock.merge == PullRef("github", "my-org/mono", 12)
    assert desk.host.reads == [("my-org/mono", 12)] * 3


@pytest.mark.parametrize(
    ("name", "found", "why"),
    [
        (MERGE, NotFound("none"), "github has no pull request my-org/mono#12"),
        (MERGE, MERGED, "my-org/mono#12 is merged already: name an open one"),
        (MERGE, CLOSED, "my-org/mono#12 is closed already: name an open one"),
        (MERGE, Unreachable("github", "ConnectError"), "can't be read now"),
        (
            PullName(12, "acme/other"),
            OPEN,
            "acme/other is no repository that shop/web deploys from: name a pull request of my-org",
        ),
        (PullName(12, url="https://gitlab.com/my-org/mono"), OPEN, "is no repository that"),
    ],
)
async def test_a_wrong_pull_request_is_refused_with_the_remedy(
    desk: Desk, name: PullName, found: PullRequest | Exception, why: str
) -> None:
    desk.host.found = found

    with pytest.raises(Rejected) as refused:
        await locked(desk, name)

    assert why in str(refused.value)
    assert await desk.world.journal.locks() == []


async def test_a_scope_of_several_repositories_needs_one_to_be_named(desk: Desk) -> None:
    source = gated().source
    assert source is not None
    other = gated("app-api", name="api", source=replace(source, repository="my-org/api"))
    await desk.world.add(other)

    with pytest.raises(Rejected, match="several repositories, my-org/api, my-org/mono: say which"):
        await desk.commands.lock(ADA, EVERYTHING, "a risky one", until_merge=MERGE)
    named = PullName(12, "my-org/api")
    taken = await desk.commands.lock(ADA, EVERYTHING, "a risky one", until_merge=named)

    assert str(taken.taken.lock.merge) == "my-org/api#12"
