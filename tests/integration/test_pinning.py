"""A pinned app is built from exactly the commit that was judged, and pinning dies anywhere."""

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App, Rules
from bridge.core.configuration.configuration import DockerSource, GitSource
from bridge.core.decision import Reason, decide
from bridge.core.errors import BridgeError, NotFound, Refused, Rejected, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.core.pins import pin_of
from bridge.core.rules import RuleBook
from bridge.pipeline.deploying.configure import Configurer
from bridge.pipeline.deploying.deployments import Deployer
from bridge.pipeline.deploying.pinning import Pinner, Pins
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import Death, KeptSteps, Lifetime, ManualClock, deployment, push, source
from tests.worlds.deployer import PACE
from tests.worlds.embedded import Maker
from tests.worlds.gates import GRACE, REPOSITORY, ChecksHost, GateWorld, gated
from tests.worlds.journal import decision, record

ONE, TWO, OLD = "1" * 40, "2" * 40, "0" * 40
PIN = "bridge/web/app-web"
AWAY = Unreachable("github", "ConnectError")
NO = Refused("github", "Resource not accessible by integration; it needs *Contents*: write")


class PinWorld(GateWorld):
    """A process with a pinned app, whose backend clones what its branch has when it is asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.backend.watch = self.clones  # type: ignore[method-assign]
        self.host.heads[PIN] = OLD

    def clones(self, app: App) -> None:
        branch = app.source.branch if app.source else None
        self.backend.head = self.host.heads[branch or ""]

    @property
    def moves(self) -> list[object]:
        return [call[-1] for call in self.host.calls if call[0] == "move_branch"]


def pinned(**rules: Any) -> App:
    return gated(rules=Rules(branch="main", pin=True, **rules), source=source(branch=PIN))


@pytest.fixture
async def world() -> AsyncIterator[PinWorld]:
    made = PinWorld()
    await made.add(pinned())
    yield made
    await made.journal.stop()


async def test_a_commit_that_lands_after_the_judgement_is_not_built(world: PinWorld) -> None:
    def lands(app: App) -> None:
        world.host.heads["main"] = TWO
        world.clones(app)

    world.backend.watch = lands  # type: ignore[method-assign]
    new = await world.push(ONE)
    await world.settle()

    ended = await world.now(new)
    assert (ended.state, ended.head, ended.deployed_commit) == ("done", ONE, ONE), ended.note
    assert world.host.heads == {"main": TWO, PIN: ONE}
    assert world.moves == [ONE]
    notes = [one.note for one in await world.journal.changes(new.id)]
    assert f"the backend accepted it, pinned to {ONE[:7]}" in notes


async def test_the_author_of_the_older_commit_does_not_approve_it(world: PinWorld) -> None:
    await world.add(pinned(approvals=1))
    world.host.heads["main"] = TWO
    bound = await world.push(TWO, pinned=ONE, person="cli:ada", trigger="cli: ada")
    await world.settle()
    author = replace(GRACE, email="somebody@example.com")  # of every commit, as the host tells

    with pytest.raises(Rejected, match="is your own commit"):
        await world.approve(author, bound)

    other = replace(GRACE, person="slack:U3", email="eve@example.com")
    await world.approve(other, bound)
    await world.settle()
    ended = await world.now(bound)
    assert (ended.state, ended.pinned, ended.deployed_commit) == ("done", ONE, ONE)


@pytest.mark.parametrize(("branch", "target"), [("main", None), ("develop", "1.app-staging")])
async def test_whoever_pushed_what_was_skipped_does_not_approve_it_once_it_is_asked_for(
    world: PinWorld, branch: str, target: str | None
) -> None:
    """A promotion brings what was pushed to the branch of the earlier app."""
    await world.add(pinned(approvals=1), gated("app-staging", source=source(branch="develop")))
    world.seq, world.wrote = 1, {1: "eve"}
    seen = PushSeen(f"github 4711 refs/heads/{branch}", OLD, ONE, repository=REPOSITORY)
    skipped = tuple(decision(one, Reason.SKIP_DIRECTIVE) for one in ("app-web", "app-staging"))
    await record(world.journal, Outcome(1, "skipped", skipped, push=seen))
    asked = await world.push(ONE, pinned=ONE, person="cli:ada", trigger="cli: ada", target=target)
    await world.settle()

    with pytest.raises(Rejected, match="is your own commit"):
        await world.approve(replace(GRACE, person="slack:U3", email="eve@example.com"), asked)
    assert await world.approve(GRACE, asked)


async def test_a_tag_is_built_at_its_own_commit_and_a_redeploy_pins_nothing(
    world: PinWorld,
) -> None:
    new = await world.push(ONE, ref="refs/tags/v1", trigger="tag")
    world.host.heads["main"] = TWO
    await world.settle()
    assert (await world.now(new)).deployed_commit == ONE
    moves = list(world.moves)

    again = await world.push(ONE, action=Action.REDEPLOY)
    await world.settle()
    assert (await world.state(again), world.moves) == ("done", moves)


async def test_a_rule_whose_branch_the_backend_does_not_build_deploys_nothing(
    world: PinWorld,
) -> None:
    await world.add(gated())
    await world.journal.save_rules("app-web", Rules(branch="main", pin=True), by="cli: ada")
    new = await world.push(ONE)
    await world.settle()

    ended = await world.now(new)
    assert (ended.state, world.backend.asked) == ("failed", 0)
    assert ended.note == (
        "not pinned: shop/web is not pinned: dokploy builds the head of main, whatever that is"
        " then; run `dokploy-bridge pin shop/web`"
    )


async def test_an_app_that_is_not_pinned_is_built_at_a_commit_only_while_that_is_the_head(
    world: PinWorld,
) -> None:
    await world.add(gated())
    new = await world.push(ONE, pinned=ONE)
    await world.settle()
    assert await world.state(new) == "done"

    late = await world.push(TWO, pinned=ONE)
    await world.settle()

    ended = await world.now(late)
    assert (ended.state, world.backend.asked, world.moves) == ("failed", 1, [])
    assert "builds the head of main, which is 2222222 now, not 1111111; run" in ended.note


@pytest.mark.parametrize("error", [AWAY, Unanswered("github", "ReadTimeout")])
async def test_a_host_that_is_away_is_waited_for(world: PinWorld, error: Any) -> None:
    for _ in range(3):
        world.host.next("move_branch", error)
    new = await world.push(ONE)
    await world.settle()

    assert (await world.now(new)).deployed_commit == ONE
    notes = [one.note for one in await world.journal.changes(new.id)]
    assert any("waits for its Git host: github can't be reached" in note for note in notes)
    assert world.backend.asked == 1


async def test_while_it_waits_a_newer_push_takes_its_place(world: PinWorld) -> None:
    world.host.next("move_branch", AWAY)
    new = await world.push(ONE)
    newer: list[Any] = []

    async def push() -> None:
        newer.append(await world.push(TWO))

    world.clock.after(0.5, push)
    await world.settle()

    assert await world.state(new) == "superseded"
    assert (await world.now(newer[0])).deployed_commit == TWO
    assert world.backend.asked == 1


async def test_a_commit_that_the_host_does_not_know_yet_is_waited_for(world: PinWorld) -> None:
    world.host.next("move_branch", NotFound("github has no commit"))
    new = await world.push(ONE)
    await world.settle()

    assert (await world.now(new)).deployed_commit == ONE


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotFound("github has no commit 1111111"), "not pinned: github has no commit 1111111"),
        (NO, "*Contents*: write"),
    ],
)
async def test_what_can_not_be_pinned_fails_with_the_remedy(
    world: PinWorld, error: BridgeError, why: str
) -> None:
    for _ in range(9):
        world.host.next("move_branch", error)
    new = await world.push(ONE)
    await world.settle()

    ended = await world.now(new)
    assert (ended.state, world.backend.asked) == ("failed", 0)
    assert why in ended.note


async def test_a_cancel_while_the_branch_is_moved_asks_for_nothing(world: PinWorld) -> None:
    new = await world.push(ONE)
    moved = world.host.move_branch

    async def cancelled(*given: Any) -> None:
        await moved(*given)
        await world.journal.cancel("app-web", new.seq + 1)

    world.host.move_branch = cancelled  # type: ignore[method-assign, assignment]
    await world.settle()

    assert (await world.state(new), world.backend.asked) == ("cancelled", 0)


async def _lives(world: PinWorld, life: Lifetime, flow: str) -> None:
    """Run a process until it dies, if it does."""
    deployer = Deployer(
        {"dokploy": life.mortal(world.backend)},
        life.mortal(world.journal),
        world.clock,
        PACE,
        judging=world.judges.now,
        pins=life.mortal(world.pins()),
        sleep=world.clock.sleep,
    )
    with suppress(Death):
        await deployer.run(KeptSteps(), flow)


async def test_it_dies_at_any_moment_and_builds_the_judged_commit_once() -> None:
    whole = await _story(None)
    assert whole > 6
    for moment in (*range(1, whole, 2), whole):  # before each call, and after the last
        await _story(moment, meanwhile=True)
        if moment % 4 == 1:
            await _story(moment)


async def _story(until: int | None, *, meanwhile: bool = False) -> int:
    """Return at how many moments it can die; `meanwhile`: another commit lands while it is dead."""
    world = PinWorld()
    try:
        await world.add(pinned())
        new = await world.push(ONE)
        life = Lifetime(until)
        await _lives(world, life, new.id)
        if meanwhile:
            world.host.heads["main"] = TWO
        world.start()
        await world.settle()
        ended = await world.now(new)
        assert ended.state is State.DONE, (until, ended.note)
        assert world.backend.asked == 1, until
        assert ended.deployed_commit == world.host.heads[PIN] == ended.head, until
        return life.moments
    finally:
        await world.journal.stop()


# ── pinning and unpinning ──────────────────────────────────────────────────────


HOMES = {"github.com": "github"}
GIT = GitSource(url="https://github.com/my-org/mono.git", branch="main")
BY = Actor("cli", "ada")


@pytest.fixture
def host() -> ChecksHost:
    return ChecksHost(heads={"main": ONE})


@pytest.fixture
async def app(maker: Maker, journal: SqlJournal) -> App:
    made = await maker.create_app("web", project="shop", source=GIT)
    await journal.save_apps("embedded", await maker.apps())
    return made


def pinner(
    maker: Maker,
    journal: SqlJournal,
    host: ChecksHost,
    life: Lifetime | None = None,
    book: RuleBook = (),
) -> Pinner:
    life = life or Lifetime()
    clock = ManualClock()
    configurer = Configurer(
        life.mortal(maker), life.mortal(journal), clock, book=book, sleep=clock.sleep
    )
    pins = Pins({"github": life.mortal(host)}, HOMES, book)
    return Pinner(configurer, life.mortal(journal), pins, book)


async def now(maker: Maker, journal: SqlJournal, app: App) -> App:
    """Return the app as its backend has it, with the stored rules."""
    return replace(await maker.app(app.id), rules=await journal.rules(app.id))


def check_a_push_deploys(found: App, host: ChecksHost) -> None:
    """Check that a push to `main` deploys, and that what the backend would clone is there."""
    urls = frozenset({"github.com/my-org/mono"})
    pushed = push(repository=replace(push().repository, urls=urls))
    assert decide(pushed, found).deploy
    assert found.source is not None
    assert found.source.branch in host.heads


async def test_pin_and_unpin_die_at_any_moment(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    for moment in range(1, 60, 2):  # before each call, which is after the one before it
        life = Lifetime(moment)
        with suppress(Death):
            there = pinner(maker, journal, host, life)
            await there.pin(await there.plan(app), by=BY)
        check_a_push_deploys(await now(maker, journal, app), host)
        there = pinner(maker, journal, host)
        await there.pin(await there.plan(app), by=BY)
        pinned = await now(maker, journal, app)
        assert (pin_of(pinned), pinned.rules) == (
            f"bridge/web/{app.id}",
            Rules(branch="main", pin=True),
        )
        assert host.heads == {"main": ONE, f"bridge/web/{app.id}": ONE}

        back = Lifetime(moment)
        with suppress(Death):
            there = pinner(maker, journal, host, back)
            await there.unpin(await there.plan_back(app), by=BY)
        check_a_push_deploys(await now(maker, journal, app), host)
        there = pinner(maker, journal, host)
        await there.unpin(await there.plan_back(app, "main"), by=BY)
        free = await now(maker, journal, app)
        assert (free.source, free.rules) == (app.source, Rules())
        assert host.heads == {"main": ONE}
        if life.moments < moment and back.moments < moment:
            return
    raise AssertionError("it never lives to the end")


async def test_another_branch_to_track_is_named(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    host.heads["release"] = "2" * 40
    there = pinner(maker, journal, host)

    await there.pin(await there.plan(app, "release"), by=BY)

    found = await now(maker, journal, app)
    assert found.rules == Rules(branch="release", pin=True)
    assert host.heads[pin_of(found) or ""] == "2" * 40


async def test_what_can_not_be_pinned_is_refused_with_the_reason(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    there = pinner(maker, journal, host)
    with pytest.raises(Rejected, match="there is no branch nowhere in my-org/mono on github"):
        await there.pin(await there.plan(app, "nowhere"), by=BY)
    assert (await now(maker, journal, app)).rules == Rules()

    await journal.save_rules(app.id, Rules(branch="release/*"), by=str(BY))
    with pytest.raises(
        Rejected, match=r"name the branch .* with --branch: 'release/\*' is several"
    ):
        await there.plan(app)

    made = await maker.create_app("db", project="shop", source=DockerSource(image="postgres"))
    with pytest.raises(Rejected, match="can't be pinned: its source is docker"):
        await there.plan(made)

    nowhere = Pinner(Configurer(maker, journal, ManualClock()), journal, Pins({}, {}))
    with pytest.raises(Rejected, match=r"can't be pinned: .* is at no Git host of the settings"):
        await nowhere.plan(app)
    with pytest.raises(Rejected, match=r"^shop/web is not pinned$"):
        await nowhere.plan_back(app)


async def test_what_bridge_yaml_says_wins(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    book = [("shop/*", Rules(branch="main", pin=True))]
    there = pinner(maker, journal, host, book=book)
    with pytest.raises(Rejected, match=r"bridge.yaml says branch: main for shop/web, and wins"):
        await there.plan(app, "next")
    with pytest.raises(Rejected, match=r"bridge.yaml pins shop/web, and wins"):
        await there.plan_back(app)


async def test_a_build_that_may_still_clone_the_branch_is_waited_for(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    from bridge.core.decision import Decision, Reason
    from bridge.ports.outcomes import Outcome

    there = pinner(maker, journal, host)
    await there.pin(await there.plan(app), by=BY)
    new = deployment(1, app.id)
    because = Decision(app.id, app.label, Reason.ASKED, "because")
    await journal.record([Outcome(1, "delivery-1", (because,), (new,))], window=0)
    await there.plan_back(app)  # it was not asked for yet

    await journal.move(new.id, State.ASKED, "accepted")

    with pytest.raises(Rejected, match="a deployment of shop/web is asked, and may still clone"):
        await there.plan_back(app)
