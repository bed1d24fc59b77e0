"""What has become of deployments that went live, on each database."""

from bridge.core.events import Action
from bridge.core.health.fate import Now
from bridge.core.lifecycle import Deployment, State
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import outcome


async def served(journal: SqlJournal, clock: ManualClock, new: Deployment, sha: str) -> Deployment:
    """A deployment that goes live, a minute after the one before."""
    clock.now += 60
    await journal.record([outcome(new.seq, new)], window=0)
    await journal.move(new.id, State.RUNNING)
    await journal.move(new.id, State.DONE, deployed_commit=sha, finished_at=clock.now)
    found = await journal.deployment(new.id)
    assert found is not None
    return found


async def test_each_version_is_told_what_came_after_it(
    journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    first = await served(journal, clock, deployment(1), "1" * 40)
    second = await served(journal, clock, deployment(2), "2" * 40)
    back = deployment(3, action=Action.ROLLBACK, target=first.id)
    back = await served(journal, clock, back, "1" * 40)

    fates = await journal.fates([first, second, back])
    assert {id_: fate.now for id_, fate in fates.items()} == {
        first.id: Now.AGAIN, second.id: Now.ROLLED_BACK, back.id: Now.LIVE,
    }  # fmt: skip
    assert (fates[second.id].until, fates[second.id].says) == (
        clock.now, "rolled back to 1111111 by #3",
    )  # fmt: skip

    newest = await served(journal, clock, deployment(4), "4" * 40)
    fates = await journal.fates([first, second, back, newest])
    assert [fate.now for fate in fates.values()] == [
        Now.REPLACED, Now.ROLLED_BACK, Now.REPLACED, Now.LIVE,
    ]  # fmt: skip
    assert fates[first.id].says == "replaced by #4 (4444444)"
    assert not fates[second.id].stands
