"""The `Journal` port: which of an app's deployments replaces which, and when (docs/notes/0005)."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.events import Action
from bridge.core.gates.locks import BY_ITSELF, Lock
from bridge.core.health.serving import By, Look
from bridge.core.lifecycle import Deployment, State
from tests.fakes.journey import NO_GATES, ManualClock, app, deployment
from tests.worlds.journal import A, B, outcome, pushed, record, states

C = "c" * 40
X = deployment(1)
"""What is live, and turns out to be broken."""

ADA = {"person": "cli:ada", "trigger": "cli: ada"}
PROMOTED = ADA | {"target": "another app's", "way": "pin", "pinned": B, "commit": B}


def rollback(seq: int, **facts: Any) -> Deployment:
    return deployment(seq, action=Action.ROLLBACK, way="kept", **(ADA | facts))


def by_itself(seq: int, back_from: Deployment = X) -> Deployment:
    return rollback(seq, person=BY_ITSELF, trigger="the bridge", back_from=back_from.id)


def held_by(clock: ManualClock, owner: str) -> Lock:
    return Lock("app/app-web", "shop/web", owner, owner.partition(":")[2], "why", clock.now)


async def wish(journal: Any, *those: Deployment) -> None:
    for one in those:
        await record(journal, outcome(one.seq, one))


async def live(journal: Any, clock: ManualClock, one: Deployment, end: State) -> None:
    """Have a deployment asked for and served, and end."""
    assert await journal.intend(one.id, [], NO_GATES) is not None
    for state in (State.ASKED, State.VERIFYING, end):
        clock.now += 1
        assert await journal.move(one.id, state) is not None
    clock.now += 1


async def turn(journal: Any, clock: ManualClock, one: Deployment) -> bool:
    """Give a deployment its turn, as its flow does; return whether it may be asked for."""
    if (await journal.deployment(one.id)).state is State.HELD:
        clock.now += 1
        for held in await journal.due_holds(clock.now, 9):
            await journal.judge(held.id, NO_GATES)
    return await journal.intend(one.id, [], NO_GATES) is not None


@pytest.fixture
async def broken(journal: Any, clock: ManualClock) -> Any:
    await wish(journal, X)
    await live(journal, clock, X, State.UNHEALTHY)
    return journal


# ── what the bridge does by itself ───────────────────────────────────────────


async def test_a_push_that_was_in_the_inbox_before_the_bridge_went_back_is_deployed(
    broken: Any, clock: ManualClock
) -> None:
    """It was answered first, and waited for its host while the other was recorded."""
    fix, own = deployment(2), by_itself(3)
    await wish(broken, own, fix)
    assert await states(broken) == {1: "unhealthy", 2: "waiting", 3: "waiting"}

    assert not await turn(broken, clock, own)
    assert (await broken.deployment(own.id)).note == (
        "held: waits for deployment #2, which goes first"
    )
    await live(broken, clock, fix, State.DONE)

    found = await broken.deployment(own.id)
    assert (found.state, found.superseded_by) == (State.SUPERSEDED, fix.id)
    assert found.note == "deployment #2 has come since #1, from which this would go back"


# ── what people ask for ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("older", "newer", "end"),
    [
        (deployment(2), rollback(3), State.CANCELLED),
        (deployment(2, commit=B), deployment(3, **PROMOTED), State.FAILED),
        (deployment(2), deployment(3, **ADA), State.CANCELLED),
        (deployment(2, action=Action.REDEPLOY, **ADA), deployment(3), State.FAILED),
    ],
    ids=["rollback", "promotion", "deploy", "push after a redeploy"],
)
async def test_what_never_ran_gives_back_what_it_would_have_replaced(
    journal: Any, clock: ManualClock, older: Deployment, newer: Deployment, end: State
) -> None:
    await wish(journal, older, newer)
    assert not await turn(journal, clock, older)  # the newer one goes first

    await journal.take_lock(held_by(clock, "cli:bob"), ["app-web"], steal=False)
    assert not await turn(journal, clock, newer)
    assert await states(journal) == {2: "held", 3: "held"}

    if end is State.CANCELLED:
        await journal.cancel("app-web", 9, newer.id)
        await journal.release_lock("app/app-web", ["app-web"])
    else:
        await journal.release_lock("app/app-web", ["app-web"])
        assert await turn(journal, clock, newer)
        await journal.move(newer.id, State.FAILED, "refused")

    assert await turn(journal, clock, older)


@pytest.mark.parametrize(
    ("seq", "end"), [(2, State.DONE), (4, State.DONE), (2, State.UNKNOWN), (4, State.FAILED)]
)
async def test_a_rollback_that_was_held_takes_away_nothing_that_went_live_meanwhile(
    journal: Any, clock: ManualClock, seq: int, end: State
) -> None:
    await journal.take_lock(held_by(clock, "cli:bob"), ["app-web"], steal=False)
    bobs, adas = deployment(seq, person="cli:bob"), rollback(3)
    await wish(journal, *sorted((bobs, adas), key=lambda one: one.seq))
    assert not await turn(journal, clock, adas)
    clock.now += 1

    assert await turn(journal, clock, bobs)
    await journal.move(bobs.id, end)
    await journal.release_lock("app/app-web", ["app-web"])

    assert await turn(journal, clock, adas) is (end is not State.DONE)
    if end is State.DONE:
        assert (await journal.deployment(adas.id)).note == (
            f"deployment #{seq} went live after this was asked for: ask again to go back from it"
        )


@pytest.mark.parametrize(("since", "asked"), [(-1.0, True), (1.0, False)])
async def test_a_rollback_that_was_held_takes_away_nothing_that_was_deployed_by_hand_meanwhile(
    broken: Any, clock: ManualClock, since: float, asked: bool
) -> None:
    await broken.take_lock(held_by(clock, "cli:bob"), ["app-web"], steal=False)
    adas = rollback(3)
    await wish(broken, adas)
    assert not await turn(broken, clock, adas)

    await broken.save_apps("dokploy", [app()])
    theirs = Look(clock.now + 2, X.id, record="theirs", by=By.BACKEND, place="Dokploy")
    await broken.save_look("app-web", replace(theirs, since=clock.now + since))
    await broken.release_lock("app/app-web", ["app-web"])

    assert await turn(broken, clock, adas) is asked
    if not asked:
        found = await broken.deployment(adas.id)
        assert found.state is State.CANCELLED
        assert found.note.endswith(
            "not by the bridge, after this was asked for: ask again to go back from it"
        )


# ── pushes that are late ─────────────────────────────────────────────────────


@pytest.mark.parametrize("told", ["by its path", "by the host's times"])
async def test_a_push_that_is_late_does_not_replace_a_newer_one_that_is_held(
    journal: Any, clock: ManualClock, told: str
) -> None:
    early, late = (A, B), (B, C)
    if told != "by its path":
        early, late = ("1" * 40, B), ("2" * 40, C)  # what was pushed in between has not come
    by_times = told != "by its path"
    newer, older = deployment(5, commit=C), deployment(7, commit=B)
    moment = {5: "1700000009", 7: "1700000001"} if by_times else {5: "", 7: ""}
    await journal.take_lock(held_by(clock, "cli:bob"), ["app-web"], steal=False)
    await record(journal, outcome(5, newer, push=pushed(*late, moment=moment[5])))
    assert not await turn(journal, clock, newer)

    await record(journal, outcome(7, older, push=pushed(*early, moment=moment[7])))

    assert await states(journal) == {5: "held", 7: "superseded"}
    found = await journal.deployment(older.id)
    assert (found.superseded_by, found.note) == (
        newer.id, "deployment #5 is newer and builds the same branch's head",
    )  # fmt: skip
    await journal.release_lock("app/app-web", ["app-web"])
    assert await turn(journal, clock, newer)
