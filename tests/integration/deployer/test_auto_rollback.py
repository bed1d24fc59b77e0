"""What is unhealthy is rolled back by itself: once, where it still fits, and it says so."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.access import Right
from bridge.core.apps import Rules
from bridge.core.errors import Unreachable
from bridge.core.events import Action
from bridge.core.gates.locks import BY_ITSELF, Lock
from bridge.core.health.fate import lasting
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import Deployment, State, Verdict
from bridge.ports.backends import Progress
from bridge.ports.probes import Answer, Unprobed
from tests.fakes.journey import Death, KeptSteps, Lifetime
from tests.worlds.auto_rollback import ONE, POLICY, THREE, TWO, ShowsItsSettings, World
from tests.worlds.deployer import Stage, asked_for, fails, superseded


def must_not_be_asked(url: str) -> Answer:
    raise Unprobed("it must not be asked")


@pytest.fixture
async def world(stage: Stage) -> World:
    return World.of(stage)


@pytest.mark.parametrize("away", [False, True])
async def test_an_unhealthy_version_asks_for_the_one_before(world: World, *, away: bool) -> None:
    """Also where the backend was away as that one went live."""
    if away:
        world.stage.backend.next("saved", Unreachable("dokploy", "ReadTimeout"))
    first = await world.deploy(1, ONE)
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert second.note.endswith("500 Oh, expected 2xx; it goes back to 1111111 by itself")
    (command,) = world.asked
    assert (command.action, command.deployment, command.way, str(command.actor)) == (
        Action.ROLLBACK, first.id, "kept", "the bridge",
    )  # fmt: skip


RULE = Rules(verify=POLICY)
CHANGED = "not rolled back: its source or environment has changed since 1111111"
NOT_KNOWN = "not rolled back: it is not known whether its source or environment"


@pytest.mark.parametrize(
    ("before", "then", "env", "says"),
    [
        (RULE, Rules(verify=replace(POLICY, rollback=False)), "A=1", "500 Oh, expected 2xx"),
        (RULE, RULE, "A=2", CHANGED),
        (Rules(), RULE, "A=1", NOT_KNOWN),
    ],
    ids=["no rule", "another environment", "not known of then"],
)
async def test_where_it_may_not_or_can_not_fit_it_is_left_to_people(
    world: World, before: Rules, then: Rules, env: str, says: str
) -> None:
    world.stage.rules = before
    await world.deploy(1, ONE)
    world.stage.rules = then
    assert isinstance(world.stage.backend, ShowsItsSettings)
    world.stage.backend.env = env
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert says in second.note
    assert ("rolled back" in second.note) is ("rolled back" in says)
    assert world.asked == []


@pytest.mark.parametrize(("carried_out", "never_ran"), [(True, 0), (False, 0), (True, 201)])
async def test_the_same_version_is_rolled_back_once(
    world: World, *, carried_out: bool, never_ran: int
) -> None:
    await world.deploy(1, ONE)
    world.break_()
    second = await world.deploy(2, TWO)
    back = await world.decided(3, second)
    if carried_out:
        world.mend()
        await world.live(back)
        world.stage.clock.now += 60
        world.break_()
    else:
        await world.stage.journal.cancel(back.app_id, 4)
    await superseded(world.stage, range(4, 4 + never_ran))

    again = await world.deploy(300, TWO, person=BY_ITSELF)

    rolled_back = "not rolled back: 2222222 was unhealthy before, and rolled back once"
    assert again.note.endswith(rolled_back if carried_out else "goes back to 1111111 by itself")


async def test_nothing_to_go_back_to_is_said(world: World) -> None:
    world.break_()

    first = await world.deploy(1, ONE)

    assert first.state is State.UNHEALTHY
    assert "not rolled back: no healthy version before 1111111 is known" in first.note


async def away_at_the_verdict(world: World, call: str, times: int, env: str = "A=1") -> Deployment:
    """Deploy a broken version, and let the backend be away for a while as it is judged."""
    seen, told = world.stage.site.asked, len(world.stage.site.asked) + 6
    backend: Any = world.stage.backend

    def answers(url: str) -> Answer:
        if len(seen) == told:
            for _ in range(times):
                backend.next(call, Unreachable("dokploy", "ReadTimeout"))
            backend.env = env
        return Answer(url, 500, "Oh")

    world.stage.site.answers = answers
    return await world.deploy(2, TWO)


BROKEN = "commit 2222222 is live, but GET https://web.test/: 500 Oh, expected 2xx; "
LATER = "whether it goes back by itself is decided later: dokploy can't be reached: ReadTimeout"


@pytest.mark.parametrize("call", ["deployments", "saved"])
@pytest.mark.parametrize("times", [1, 9])
async def test_a_backend_that_is_away_at_the_verdict_is_waited_for(
    world: World, call: str, times: int
) -> None:
    """People are told after a few seconds; it is decided once the backend answers."""
    first = await world.deploy(1, ONE)

    second = await away_at_the_verdict(world, call, times)

    says = f"{BROKEN}it goes back to 1111111 by itself"
    assert (second.note, second.back_to) == (says, None)
    told = [says] if times == 1 else [BROKEN + LATER, says]
    assert (await world.stage.notes(second))[-len(told) :] == told
    assert [one.deployment for one in world.asked] == [first.id]


async def test_a_way_back_that_turns_out_to_be_closed_is_promised_no_longer(world: World) -> None:
    await world.deploy(1, ONE)

    second = await away_at_the_verdict(world, "saved", 9, env="A=2")

    says = "not rolled back: its source or environment has changed since 1111111 was deployed"
    assert second.note.startswith(BROKEN + says)
    assert (await world.stage.history(second))[-1] == ("unhealthy", second.note)
    assert (second.back_to, world.asked) == (None, [])


async def test_a_fix_that_has_come_meanwhile_is_not_undone(world: World) -> None:
    await world.deploy(1, ONE)
    world.break_()
    broken = world.stage.site.answers

    def answers(url: str) -> Answer:
        world.stage.backend.next("output", Unreachable("dokploy", "ConnectError"))
        return broken(url)

    world.stage.site.answers = answers
    second = await world.pushed(2, TWO)
    world.stage.clock.after(12.0, lambda: asked_for(world.stage, 3, commit=THREE))
    world.stage.clock.after(60.0, lambda: fails(world.stage, 3))
    await world.live(second)

    ended = await world.stage.now(second)
    assert ended.state is State.UNHEALTHY
    assert ended.finished_at is not None
    assert ended.live_at is not None
    assert ended.finished_at - ended.live_at > 45  # it was watched on once the fix had failed
    assert ended.note.endswith("it goes back to 1111111 by itself")


@pytest.mark.parametrize("state", [State.HELD, State.WAITING])
async def test_a_newer_push_that_is_not_asked_for_leaves_nothing_broken(
    world: World, state: State
) -> None:
    await world.deploy(1, ONE)
    world.break_()
    second = await world.pushed(2, TWO)
    world.stage.clock.after(8.0, lambda: world.stage.wish(3, commit=THREE, state=state))

    await world.live(second)

    ended = await world.stage.now(second)
    assert ended.note.endswith("it goes back to 1111111 by itself")
    assert len(world.asked) == 1


async def test_of_two_broken_pushes_the_second_leads_to_the_verified_version(world: World) -> None:
    """The first of them was not verified when the second replaced it, which says nothing good."""
    first = await world.deploy(1, ONE)
    world.break_()
    second = await world.pushed(2, TWO)
    await world.deployer().run(KeptSteps(), second.id)
    assert (await world.stage.now(second)).state is State.VERIFYING

    third = await world.deploy(3, THREE)

    replaced = await world.stage.now(second)
    assert (replaced.state, replaced.verdict) == (State.DONE, Verdict.UNVERIFIED)
    assert replaced.note.endswith("; not verified: deployment #3 is served now")
    assert third.note.endswith("it goes back to 1111111 by itself")
    assert [one.deployment for one in world.asked] == [first.id]


async def test_an_unverified_version_is_gone_back_to_only_where_none_is_verified(
    world: World,
) -> None:
    world.stage.rules = Rules(verify=replace(POLICY, url="/none", containers=False))
    world.stage.site.answers = must_not_be_asked
    first = await world.deploy(1, ONE)
    assert (first.state, first.verdict) == (State.DONE, Verdict.UNVERIFIED)
    world.break_()

    second = await world.deploy(2, TWO)

    assert second.note.endswith("it goes back to 1111111, which was never verified, by itself")


async def test_an_unhealthy_rollback_goes_one_verified_version_further(world: World) -> None:
    for seq, head in ((1, ONE), (2, TWO), (3, THREE)):
        last = await world.deploy(seq, head)
        assert last.verdict is Verdict.VERIFIED
    world.break_()
    last = await world.deploy(4, "4" * 40)
    targets = []
    for seq in (5, 6, 7, 8):
        if len(world.asked) < seq - 4:
            break
        targets.append(world.asked[-1].deployment)
        back = await world.decided(seq, last)
        await world.live(back)
        world.stage.clock.now += 60
        last = await world.stage.now(back)

    assert [int(one.partition(".")[0]) for one in targets] == [3, 2, 1]
    assert last.state is State.UNHEALTHY
    assert last.note.endswith("so there is nothing to go back to")


async def test_a_lock_that_will_hold_it_is_named_instead_of_a_promise(world: World) -> None:
    await world.deploy(1, ONE)
    world.break_()
    second = await world.pushed(2, TWO)
    await world.deployer().run(KeptSteps(), second.id)
    lock = Lock("app/app-web", "shop/web", "cli:bob", "bob", "I look", world.stage.clock.now)
    await world.stage.journal.take_lock(lock, None, steal=False)

    await world.live(second)

    found = await world.stage.now(second)
    note = found.note
    promise = "; it goes back to 1111111 by itself"
    assert note.endswith(f"{promise} once nothing holds it: shop/web is locked by bob: I look")
    assert (
        lasting(found)
        == f"commit 2222222 went live, but {note.partition(', but ')[2].partition(promise)[0]}"
    )


async def test_where_nothing_is_left_to_go_back_to_the_fix_that_is_held_is_named(
    world: World,
) -> None:
    await world.deploy(1, ONE)
    world.break_()
    second = await world.deploy(2, TWO)
    world.mend()
    back = await world.decided(3, second)
    world.stage.rules = Rules(verify=replace(POLICY, keep=1800.0))
    lock = "shop/web is locked: rolled back by deployment #3; unlock it once a fix is merged"
    holds = (Hold(Gate.LOCK, "lock", lock, Right.DEPLOY),)
    await world.stage.wish(4, commit=THREE, state=State.HELD, holds=holds)
    world.stage.clock.after(600.0, world.break_)

    await world.live(back)

    note = (await world.stage.now(back)).note
    assert "; not rolled back: no verified version before 1111111 is known" in note
    assert note.endswith(f"; #4 may be the fix, and is held: {lock}")


async def test_what_somebody_may_have_stopped_is_not_started_again(world: World) -> None:
    """A key that may not look into Docker sees no more than that the app is idle."""
    await world.deploy(1, ONE)
    world.break_()
    world.stage.backend.is_stopped = None

    second = await world.deploy(2, TWO)

    assert second.state is State.UNHEALTHY
    assert second.note.endswith("; not rolled back: it is idle, so somebody may have stopped it")


@pytest.mark.parametrize("ends", [Progress.DONE, Progress.ERROR])
@pytest.mark.parametrize("restored", [True, False])
async def test_what_the_backend_builds_for_somebody_else_may_be_the_fix(
    world: World, restored: bool, ends: Progress
) -> None:
    """Or the bridge's own newer version, if its data is an older copy."""
    backend = world.stage.backend
    if restored:
        second = await world.announced()
    else:
        await world.deploy(1, ONE)
        world.break_()
        second = await world.pushed(2, TWO)
        await world.deployer().run(KeptSteps(), second.id)
    backend.builds, backend.ending = 300.0, ends
    backend.foreign(world.stage.app, head=THREE, running=True)

    await world.live(second)

    assert len(world.asked) == (ends is Progress.ERROR)
    assert (await world.stage.now(second)).back_to is None


@pytest.mark.slow
async def test_death_at_any_moment_asks_once(staged: Any) -> None:
    async def scene() -> tuple[World, Deployment]:
        stage = staged(waits=0.5, builds=1.0)
        made = World.of(stage)
        stage.backend.waits, stage.backend.builds = 0.5, 1.0
        await made.deploy(1, ONE)
        made.break_()
        return made, await made.pushed(2, TWO)

    whole, new = await scene()
    life = Lifetime()
    await whole.live(new, life)

    for moment in life.distinct():
        world, new = await scene()
        steps = KeptSteps()
        with pytest.raises(Death):
            await world.live(new, Lifetime(moment), steps)
        world.stage.clock.now += 3
        await world.live(new, None, steps)

        ended = await world.stage.now(new)
        assert ended.state is State.UNHEALTHY, moment
        assert len(world.asked) == 1, moment
