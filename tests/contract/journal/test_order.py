"""The `Journal` port: who waits for an earlier app is judged when what that serves changes."""

from dataclasses import replace
from typing import Any

from bridge.core.apps import Rules
from bridge.core.events import Action
from bridge.core.gates.order import Earlier
from bridge.core.health.serving import Look
from bridge.core.lifecycle import State
from bridge.ports.gates import CommitAt, Judging
from tests.fakes.journey import HEAD, NO_GATES, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

STAGING = deployment(1, "app-staging")
APP = replace(NO_GATES.app, rules=Rules(after=("shop/staging",)))
AFTER = Judging(
    APP, earlier={"shop/staging": STAGING.app_id}, head=CommitAt("github", "org/site", HEAD, "main")
)


async def staged(journal: Any) -> str:
    """Record a deployment that waits for one of an earlier app; return why it is held."""
    await journal.save_apps("dokploy", [app("app-staging"), app("app-web")])
    await record(journal, outcome(1, STAGING))
    await record(journal, outcome(2, deployment(2)))
    return await judged(journal)


async def due(journal: Any, clock: ManualClock) -> list[str]:
    return [one.id for one in await journal.due_holds(clock.now, 100)]


async def judged(journal: Any) -> str:
    """Judge it by what the earlier app serves; return the last line of its history."""
    found = await journal.judge(deployment(2).id, AFTER)
    return str(found.note)


async def test_what_an_earlier_app_serves_wakes_those_that_wait_for_it(
    journal: Any, clock: ManualClock
) -> None:
    assert await staged(journal) == (
        "held: shop/staging has not deployed ccccccc yet; shop/staging is building it: #1"
    )

    await journal.move(STAGING.id, State.VERIFYING, deployed_commit=HEAD)
    assert await due(journal, clock) == [deployment(2).id]
    assert await judged(journal) == "held: shop/staging runs ccccccc, which is being verified"
    assert await due(journal, clock) == []

    await journal.move(STAGING.id, State.DONE)
    assert await due(journal, clock) == [deployment(2).id]
    assert (await journal.judge(deployment(2).id, AFTER)).state is State.WAITING


async def test_a_look_at_the_backend_wakes_those_that_wait_for_what_it_shows(
    journal: Any, clock: ManualClock
) -> None:
    await staged(journal)
    await journal.move(STAGING.id, State.UNKNOWN)
    assert await judged(journal) == (
        "held: what runs in shop/staging is not known since deployment #1"
    )
    look = Look(clock.now, doubt=STAGING.id, record="r1", commit=HEAD, since=clock.now)

    await journal.save_look(STAGING.app_id, look)

    assert await due(journal, clock) == [deployment(2).id]
    assert (await journal.judge(deployment(2).id, AFTER)).state is State.WAITING


# ── what an earlier app is judged by ──────────────────────────────────────────


OLD, OTHER = "a" * 40, "d" * 40


async def ended(journal: Any, seq: int, state: State, commit: str, **facts: Any) -> None:
    one = deployment(seq, "app-api", **facts)
    await record(journal, outcome(seq, one, explicit=True))
    if state in (State.DONE, State.UNHEALTHY):
        await journal.move(one.id, State.VERIFYING, "", live_at=float(seq), finished_at=float(seq))
    await journal.move(one.id, state, "", deployed_commit=commit)


async def api(journal: Any) -> Any:
    (found,) = (await journal.earlier({"shop/api": "app-api", "shop/nowhere": ""})).items()
    assert found[0] == "shop/api"
    return found[1]


async def test_an_earlier_app_is_judged_by_what_it_serves(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-api")])
    assert await api(journal) == Earlier("app-api", served=[])

    await ended(journal, 1, State.DONE, OLD)
    await ended(journal, 2, State.FAILED, OTHER)
    await ended(journal, 3, State.CANCELLED, HEAD)

    found = await api(journal)
    assert found.serving.commit == OLD
    assert (found.newest.seq, found.commits) == (2, [OLD])

    await ended(journal, 4, State.UNHEALTHY, OTHER)
    await ended(journal, 5, State.DONE, OLD, action=Action.ROLLBACK)
    found = await api(journal)
    assert found.serving.rolled_back
    assert found.commits == [OLD, OTHER], "after a rollback, what it left is compared too"

    look = Look(9.0, deployment(5, "app-api").id, record="r", commit=HEAD, since=8.0)
    await journal.save_look("app-api", look)
    found = await api(journal)
    assert found.commits[0] == HEAD, "as is what somebody has deployed by hand"
    assert found.since == 8.0
