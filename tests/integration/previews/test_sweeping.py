"""The sweep sets right what webhooks lose or confuse; what it can't read, it leaves alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from bridge.core.errors import Unanswered, Unreachable
from bridge.core.events import Repository
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.pipeline.previews.sweep import GONE, OVERLAP, WHOLE
from bridge.storage.tables import previews
from tests.worlds import journal as journals
from tests.worlds.preview_keeper import MONO, POLICY, SHAS, KeeperWorld

OTHER = Repository("github", "4712", MONO.name, MONO.urls)


async def up(world: KeeperWorld, *numbers: int) -> None:
    for number in numbers or (1,):
        await world.tell(number)
    await world.swept()
    await world.settle()


async def later(world: KeeperWorld, seconds: float = 300.0) -> None:
    world.clock.now += seconds
    await world.swept()
    await world.settle()


async def states(world: KeeperWorld) -> dict[int, PreviewState]:
    return {number: row.state for number, row in sorted((await world.rows()).items())}


@pytest.mark.parametrize("error", [Unanswered("github", "502"), Unreachable("github", "away")])
async def test_a_list_that_can_not_be_read_changes_nothing(
    world: KeeperWorld, error: Unanswered | Unreachable
) -> None:
    await up(world, 1, 2)
    await world.start()
    world.put(1, open=False)
    world.api.next("open_pulls", error)

    await later(world)
    assert set((await states(world)).values()) == {PreviewState.UP}

    await later(world)
    assert await states(world) == {1: PreviewState.ENDED, 2: PreviewState.UP}


async def test_before_one_ends_that_is_not_listed_it_is_read_by_its_number(
    world: KeeperWorld,
) -> None:
    await up(world, 1, 2)
    await world.start()
    world.api.unlisted = {1}
    world.api.next("pull_request", Unreachable("github", "away"))

    await later(world)
    assert set((await states(world)).values()) == {PreviewState.UP}

    await later(world, WHOLE)
    assert world.api.calls[-1] == ("pull_request", MONO.name, 1)
    assert set((await states(world)).values()) == {PreviewState.UP}


async def test_a_repository_that_is_gone_ends_its_previews_after_some_rounds(
    world: KeeperWorld,
) -> None:
    await up(world)
    world.api.repositories.clear()
    await world.start()

    for _ in range(GONE - 1):
        await later(world)
    assert await states(world) == {1: PreviewState.UP}

    await later(world)
    assert (await states(world), world.live()) == ({1: PreviewState.ENDED}, [])


async def test_a_repository_that_is_renamed_keeps_its_previews(world: KeeperWorld) -> None:
    await up(world)
    made = (await world.row()).made
    renamed = replace(MONO, name="my-org/new")
    world.api.repositories = {MONO.name: renamed, "my-org/new": renamed}  # it redirects

    pull = world.put(1, head_sha=SHAS[9], updated_at=world.clock.now + 10)
    await world.keeper.report(renamed, pull)
    await world.settle()
    row = await world.row()
    assert (row.made, row.key, row.asked) == (made, "my-org/new", SHAS[9])

    world.clock.now += 20
    world.put(1, open=False)
    await later(world)
    assert (await states(world), world.live()) == ({1: PreviewState.ENDED}, [])


async def test_a_repository_that_takes_anothers_name_takes_none_of_its_previews(
    world: KeeperWorld,
) -> None:
    await up(world)
    world.api.repositories = {MONO.name: OTHER}

    await later(world, WHOLE + 1)

    rows = {one.id: one.state for one in await world.journal.previews(ended=True)}
    assert rows == {
        f"github:4711#1:{world.model.id}": PreviewState.ENDED,
        f"github:4712#1:{world.model.id}": PreviewState.UP,
    }


async def test_an_owner_whose_rate_limit_is_used_up_starves_no_other(world: KeeperWorld) -> None:
    site = "my-own/site"
    world.api.repositories[site] = Repository(
        "github", "99", site, frozenset({f"git.example.com/{site}"})
    )
    await world.another("web-two", customGitUrl=f"https://git.example.com/{site}.git")
    await up(world)
    assert len(world.live()) == 2
    world.clock.now += 5
    world.put(1, open=False)
    world.api.limited = "my-org"  # which comes first
    world.api.calls.clear()

    await later(world)
    assert world.live() == [world.marker()]
    assert sum(call[1] == MONO.name for call in world.api.calls) == 1

    world.api.limited = ""
    await later(world)
    assert world.live() == []


# ── apps and rules ───────────────────────────────────────────────────────────


ELSEWHERE = {"customGitUrl": "https://git.example.com/my-org/other.git"}


@pytest.mark.parametrize(("does", "fields"), [("delete", {}), ("update", ELSEWHERE)])
async def test_an_app_that_is_deleted_or_pointed_elsewhere_takes_its_previews_with_it(
    world: KeeperWorld, does: str, fields: dict[str, str]
) -> None:
    await up(world)
    app = {"applicationId": world.model.id}
    await world.making.ask("POST", f"application.{does}", **app, **fields)

    await world.catalog.refresh()
    await world.settle()

    row = await world.row()
    assert (row.is_over, world.live()) == (True, [])
    assert row.reason == Why.OTHER_BASE or does == "delete"


async def test_one_that_is_listed_late_is_found_by_the_next_round(world: KeeperWorld) -> None:
    """Hosts list some changes seconds after others that came later."""
    await up(world, 1, 2)
    world.put(2, title="Add a better page")
    await later(world)
    seen = world.api.known[2].updated_at or 0.0

    world.put(1, open=False, updated_at=seen - OVERLAP / 2)
    await later(world)

    assert await states(world) == {1: PreviewState.ENDED, 2: PreviewState.UP}


async def test_an_app_that_is_given_other_watch_paths_ends_its_previews(world: KeeperWorld) -> None:
    await up(world)
    fields = {"applicationId": world.model.id, "watchPaths": ["docs/**"]}
    await world.making.ask("POST", "application.update", **fields)

    await world.catalog.refresh()
    await world.settle()

    row = await world.row()
    assert (row.reason, world.live()) == (Why.NO_PATH_HIT, [])


async def test_nothing_ends_before_it_is_known_which_apps_there_are(world: KeeperWorld) -> None:
    await up(world)
    await world.tell(1, labels=frozenset({"ui"}))
    await world.start(knows_apps=False)

    look = asyncio.create_task(world.keeper.look())
    await asyncio.wait([look], timeout=0.05)
    assert not look.done()

    await world.catalog.refresh()
    await look
    assert await states(world) == {1: PreviewState.UP}


# ── data that are lost ───────────────────────────────────────────────────────


@asynccontextmanager
async def without_records(world: KeeperWorld) -> AsyncIterator[None]:
    """Start with data from before all previews, as a restored copy is."""
    kept, world.journal = world.journal, journals.journal_in_memory(world.clock)
    await world.start()
    yield
    await world.journal.stop()
    world.journal = kept


@pytest.mark.parametrize("told", [True, False])
async def test_what_a_restored_copy_does_not_know_ends_too(world: KeeperWorld, told: bool) -> None:
    await world.tell(1, own=False)
    await world.journal.ask_previews((await world.row()).id, approved=SHAS[1], approver="grace")
    await up(world, 2, 3)
    assert len(world.live()) == 3
    assert world.api.branches != {}

    async with without_records(world):
        if told:  # they are known to the copy as pull requests, and closed afterwards
            await later(world)
        for number in (1, 2):
            world.put(number, open=False)
        await later(world)

    assert (world.live(), world.orphans, world.api.branches) == ([world.marker(3)], [], {})


async def test_a_close_that_the_journal_has_forgotten_costs_one_round(world: KeeperWorld) -> None:
    """It failed over to a replica that lagged; the bridge remembers what the host said."""
    await up(world, 1, 2)
    this = previews.c.number == 1
    with world.journal._engine.begin() as db:
        (before,) = db.execute(sa.select(previews).where(this)).mappings()
    world.clock.now += 5
    world.put(1, open=False)
    world.clock.now += 60
    world.put(2, head_sha=SHAS[2])  # so the sweep does not list the close again
    await world.swept()  # it is to end, which is forgotten before it begins
    with world.journal._engine.begin() as db:
        db.execute(sa.update(previews).where(this).values(before))

    await later(world)

    assert await states(world) == {1: PreviewState.ENDED, 2: PreviewState.UP}
    assert world.live() == [world.marker(2)]


async def test_apps_of_another_bridges_previews_are_left_alone(world: KeeperWorld) -> None:
    other = await world.another("api")  # no rule of ours gives it previews
    theirs = f"bridge:github:4711#1:{other.id}"
    await world.making.backend.make("api pr-1", theirs, other, "previews")
    await world.catalog.refresh()
    world.put(1, open=False)

    await later(world)

    assert world.live() == [theirs]


# ── limits ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, limit=1), "limit": 3}])
async def test_who_waits_for_an_apps_limit_takes_no_place_of_another_app(
    world: KeeperWorld,
) -> None:
    for number in (1, 2, 3, 4):
        await world.tell(number)
        await world.settle()
    assert world.live() == [world.marker(1)]

    other = await world.another("web-two")
    await world.tell(5)
    await world.settle()

    assert world.live() == [world.marker(1), f"bridge:github:4711#5:{other.id}"]


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, limit=2), "limit": 3}])
async def test_all_apps_together_have_a_limit_too(world: KeeperWorld) -> None:
    await world.another("web-two")
    for number in (1, 2):
        await world.tell(number)
        await world.settle()

    held = [one for one in await both(world) if one.state is PreviewState.HELD]
    assert [one.note for one in held] == [
        "there are 3 previews already, the limit of all apps together"
    ]
    assert len(world.live()) == 3


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, limit=1)}])
async def test_who_waits_longest_takes_the_next_place_whoever_is_looked_at_first(
    world: KeeperWorld,
) -> None:
    for number in (1, 2, 3):
        await world.tell(number)
        await world.settle()
    later_than_3 = world.clock.now + 600
    await world.journal.change_preview(await world.row(2), look_at=later_than_3)

    await world.tell(1, open=False)
    await world.settle()
    assert ((await world.row(3)).reason, world.live()) == (Why.LIMIT, [])

    world.clock.now = later_than_3
    await world.settle()
    assert world.live() == [world.marker(2)]


# ── addresses ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, host="pr-{number}.example.com")}])
async def test_no_two_previews_are_at_one_address(world: KeeperWorld) -> None:
    other = await world.another("web-two")
    await up(world)

    first, second = sorted(await both(world), key=lambda one: one.state is not PreviewState.UP)
    assert (first.state, first.url) == (PreviewState.UP, "http://pr-1.example.com")
    assert (second.state, second.reason, second.made) == (
        PreviewState.HELD,
        Why.CANNOT_BUILD,
        None,
    )
    assert second.note == (
        f"pr-1.example.com is the address of {first.label} already: give each app another pattern,"
        " e.g. with {app} and {project}"
    )

    kept = {other.id, world.model.id} - {first.app_id}
    await world.journal.ask_previews(first.id, stopped=True)
    await later(world)
    left = [one for one in await both(world) if not one.is_over]
    assert [(one.app_id, one.state) for one in left] == [(kept.pop(), PreviewState.UP)]


async def both(world: KeeperWorld) -> list[Preview]:
    return list(await world.journal.previews(ended=True))
