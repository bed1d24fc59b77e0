"""Apps of previews that people delete, and apps that no record knows."""

import pytest

from bridge.core.previews.preview import PreviewState
from tests.worlds.journal import journal_in_memory
from tests.worlds.preview_keeper import KeeperWorld


async def up(world: KeeperWorld) -> str:
    """Bring a preview up; return its app's id."""
    await world.tell(1)
    await world.settle()
    await world.catalog.refresh()
    return str((await world.row()).made)


async def deleted(world: KeeperWorld, app: str) -> None:
    """Delete an app as a person does; the catalog reads the apps a little later."""
    await world.making.ask("POST", "application.delete", applicationId=app)
    await world.catalog.refresh()


async def test_one_that_somebody_deletes_is_made_again(world: KeeperWorld) -> None:
    first = await up(world)

    await deleted(world, first)
    await world.settle()

    row = await world.row()
    assert row.made != first
    assert (row.state, row.asked, world.live()) == (
        PreviewState.UP,
        row.pull.head_sha,
        [world.marker()],
    )
    assert [app for app, _ in world.server.built] == [first, row.made]


async def test_nothing_is_asked_while_none_is_gone(world: KeeperWorld) -> None:
    await up(world)
    await world.making.create("another", world.making.production)
    await world.catalog.refresh()
    world.making.proxy.reads.clear()

    await world.settle()

    assert (world.making.proxy.reads, len(world.asked)) == ([], 1)


async def test_one_that_is_closed_and_deleted_stays_away(world: KeeperWorld) -> None:
    first = await up(world)

    await world.tell(1, open=False)
    await deleted(world, first)
    await world.settle()
    await world.catalog.refresh()
    await world.settle()

    assert ((await world.row()).state, world.live()) == (PreviewState.ENDED, [])


@pytest.mark.parametrize("is_open", [True, False])
async def test_an_app_that_no_record_knows_is_found_by_the_sweep(
    world: KeeperWorld, *, is_open: bool
) -> None:
    """A backup of the bridge's data was restored that is older than the preview."""
    first = await up(world)
    world.journal = restored = journal_in_memory(world.clock)
    await world.start()
    world.put(1, open=is_open)

    await world.swept()
    await world.settle()

    row = await world.row()
    assert row.state is (PreviewState.UP if is_open else PreviewState.ENDED)
    assert (row.made, world.live()) == ((first, [world.marker()]) if is_open else (None, []))
    assert world.orphans == []
    await restored.stop()
