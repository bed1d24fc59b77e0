"""A preview ends whatever is built, by whom, and however often its end is interrupted."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Why
from bridge.ports.outcomes import Outcome
from tests.fakes.journey import deployment
from tests.worlds.preview_keeper import POLICY, SHAS, KeeperWorld


async def up(world: KeeperWorld, number: int = 1) -> str:
    """Bring a preview up; return its app's id."""
    await world.tell(number)
    await world.settle()
    return str((await world.row(number)).made)


async def seconds(world: KeeperWorld) -> None:
    """Let the keeper alone look, once a second, for five of them."""
    for _ in range(5):
        world.clock.now += 1
        await world.look()


async def test_a_record_that_says_for_ever_that_it_runs_does_not_keep_it(
    world: KeeperWorld,
) -> None:
    """Dokploy's database was away as the build ended."""
    await world.tell(1)
    await world.settle(builds=False)
    world.server.lose_end()

    await world.tell(1, open=False)
    await seconds(world)
    assert world.live() == [world.marker()]  # the queue may be behind

    await world.settle(rounds=120)
    assert ((await world.row()).state, world.live(), world.orphans) == (PreviewState.ENDED, [], [])


async def opened(world: KeeperWorld, made: str, seq: int, state: State) -> Deployment:
    """Have somebody deploy a preview's app; record how far that has come."""
    new = replace(deployment(seq, made), created_at=world.clock.now)
    await world.journal.record([Outcome(seq, new.delivery, (), (new,))], window=0)
    await world.journal.move(new.id, state, "because")
    return new


async def test_a_cancel_that_is_not_decided_yet_is_decided_before_the_app_goes(
    world: KeeperWorld,
) -> None:
    """The deployment that it was for has ended by itself."""
    made = await up(world)
    new = await opened(world, made, 50, State.ASKED)
    await world.tell(1, open=False)
    await world.look()
    await world.journal.move(new.id, State.DONE)

    await seconds(world)
    assert world.live() == [world.marker()]

    await world.settle()
    assert ((await world.row()).state, world.live()) == (PreviewState.ENDED, [])


async def test_a_build_that_a_person_has_begun_is_waited_for(world: KeeperWorld) -> None:
    made = await up(world)
    world.server.ask(made, "by hand")
    world.server.begin()

    await world.tell(1, open=False)
    await world.settle(builds=False, rounds=20)
    assert world.live() == [world.marker()]

    await world.settle()
    assert (world.live(), world.orphans) == ([], [])


async def test_what_a_build_in_mid_removal_leaves_is_named_until_it_is_gone(
    world: KeeperWorld,
) -> None:
    made = await up(world)
    service = world.server.rows[made]["appName"]

    async def at_that_moment(request: Any, passed: Any) -> Any:
        world.server.ask(made, "by hand")
        world.server.begin()
        return await passed(request)

    world.making.proxy.once["application.delete"].append(at_that_moment)
    await world.tell(1, open=False)
    await world.settle(builds=False, rounds=20)
    row = await world.row()
    assert (row.state, world.live()) == (PreviewState.ENDING, [])
    assert "a build of it has not ended" in row.note

    world.server.end()
    await world.settle(rounds=10)
    row = await world.row()
    assert row.state is PreviewState.ENDING
    assert f"{service}.1.abcdef still runs, though its app is gone" in row.note

    world.server.containers.clear()
    await world.settle()
    assert (await world.row()).state is PreviewState.ENDED


async def test_one_that_is_opened_again_during_its_end_begins_anew(world: KeeperWorld) -> None:
    made = await up(world)
    await world.tell(1, open=False)
    await world.look()  # its app is removed, and looked after
    assert world.live() == []

    await world.tell(1, open=True)
    await world.settle()

    row = await world.row()
    assert (row.state, world.live()) == (PreviewState.UP, [world.marker()])
    assert row.made != made
    assert world.deployed[str(row.made)] == row.pull.head_sha


async def test_one_that_somebody_deletes_is_made_again(world: KeeperWorld) -> None:
    first = await up(world)
    await world.catalog.refresh()

    await world.making.ask("POST", "application.delete", applicationId=first)
    await world.catalog.refresh()
    await world.settle()

    row = await world.row()
    assert (row.state, row.asked, world.live()) == (
        PreviewState.UP, row.pull.head_sha, [world.marker()],
    )  # fmt: skip
    assert [app for app, _ in world.server.built] == [first, row.made]


async def test_apps_that_were_raced_are_removed_but_the_oldest(world: KeeperWorld) -> None:
    made = await up(world)
    other = await world.making.create(
        "web pr-1", world.server.rows[made]["environmentId"], description=world.marker()
    )

    await world.tell(1, head_sha=SHAS[7])
    await world.settle()

    assert (world.server.own(), (await world.row()).made) == ([made], made)
    assert other.id not in world.deployed


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, idle=5000.0)}])
async def test_a_fork_whose_next_commit_is_held_ends_when_it_is_idle(world: KeeperWorld) -> None:
    await world.tell(3, own=False)
    await world.settle()
    row = await world.row(3)
    await world.journal.ask_previews(row.id, approved=row.pull.head_sha)
    await world.settle()
    await world.tell(3, head_sha=SHAS[9])
    await world.settle()
    assert (await world.row(3)).reason == Why.APPROVAL
    assert world.live() == [world.marker(3)]

    world.clock.now += 5001
    await world.settle()

    assert (world.live(), (await world.row(3)).reason) == ([], Why.IDLE)


async def test_one_that_meets_a_bug_keeps_no_other_from_its_turn(
    world: KeeperWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = world.making.backend.make

    async def broken(name: str, *others: Any) -> Any:
        if name.endswith("pr-1"):
            raise ValueError("a bug")
        return await make(name, *others)

    monkeypatch.setattr(world.making.backend, "make", broken)
    await world.tell(1)
    await world.tell(2)
    await world.settle()
    assert (world.live(), (await world.row(1)).failures > 0) == ([world.marker(2)], True)

    monkeypatch.undo()
    world.clock.now += 300
    await world.settle()
    assert world.live() == [world.marker(1), world.marker(2)]


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, pin=True)}])
async def test_a_branch_of_ours_that_is_not_built_any_more_ends_too(world: KeeperWorld) -> None:
    await up(world)
    assert len(world.api.branches) == 1
    world.policy = POLICY
    await world.start()
    await world.settle()

    await world.tell(1, open=False)
    await world.settle()

    assert (world.live(), world.api.branches) == ([], {})


async def test_an_app_whose_creation_was_not_answered_is_not_forgotten_while_it_is_held(
    world: KeeperWorld,
) -> None:
    await world.tell(3, own=False)
    await world.look()
    row = await world.row(3)
    await world.journal.ask_previews(row.id, approved=row.pull.head_sha)
    world.making.proxy.away_after = "application.create"
    await world.look()
    world.making.proxy.heal()
    assert (world.live(), (await world.row(3)).made) == ([world.marker(3)], None)

    await world.tell(3, head_sha=SHAS[9])
    await world.settle()
    assert (await world.row(3)).reason == Why.APPROVAL
    await world.tell(3, open=False)
    await world.settle()

    assert ((await world.row(3)).state, world.live()) == (PreviewState.ENDED, [])
