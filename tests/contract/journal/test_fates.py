"""What has become of deployments that went live, on each database."""

from bridge.core.events import Action
from bridge.core.health.fate import Now
from bridge.core.lifecycle import Deployment, State
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import outcome


async def served(
    journal: SqlJournal, clock: ManualClock, new: Deployment, sha: str | None
) -> Deployment:
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


async def test_a_fate_follows_the_version_where_a_redeploy_names_no_commit(
    journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    first = await served(journal, clock, deployment(1), "1" * 40)
    second = await served(journal, clock, deployment(2), "2" * 40)
    again = deployment(3, action=Action.REDEPLOY)
    again = await served(journal, clock, again, None)

    fates = await journal.fates([second, again])
    assert [(fate.now, fate.says) for fate in fates.values()] == [
        (Now.LIVE, "#3 deployed it again"), (Now.LIVE, ""),
    ]  # fmt: skip

    back = deployment(4, action=Action.ROLLBACK, target=first.id)
    await served(journal, clock, back, "1" * 40)
    fates = await journal.fates([second, again])
    assert {fate.says for fate in fates.values()} == {"rolled back to 1111111 by #4"}


async def test_a_tag_that_another_image_has_by_now_is_another_version(
    journal: SqlJournal, clock: ManualClock
) -> None:
    await journal.save_apps("dokploy", [app()])
    made = []
    for seq, image in enumerate(["sha256:a", "sha256:b"], start=1):
        new = deployment(seq, commit=None, image="shop/web:latest")
        made.append(await served(journal, clock, new, None))
        await journal.prove(new.id, [image])

    fates = await journal.fates(made)
    assert [fate.now for fate in fates.values()] == [Now.REPLACED, Now.LIVE]
