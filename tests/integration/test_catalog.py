"""Which apps there are: at hand without asking, also while a backend is down."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bridge.core.apps import LOOKS, Absent, App, Source, SourceType
from bridge.core.errors import Unreachable
from bridge.core.events import Repository
from bridge.pipeline.deciding.catalog import SELDOM, TROUBLE_PAUSE, Catalog
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.embedded import until

AWAY = Unreachable("dokploy", "ConnectError")
MONO = Repository("github", "4711", "my-org/mono")
ELSEWHERE = Repository("github", "1", "my-org/other")
EAGER = 3.0


@pytest.fixture
def backend(clock: ManualClock) -> FakeBackend:
    return FakeBackend(clock, found=[app()])


@pytest.fixture
def catalog(backend: FakeBackend, journal: SqlJournal, clock: ManualClock) -> Catalog:
    return Catalog({"dokploy": backend}, journal, clock, every=60.0, eager=EAGER)


async def test_apps_that_come_change_move_or_go_are_followed(
    catalog: Catalog, backend: FakeBackend
) -> None:
    assert catalog.of(MONO) == ()
    await catalog.refresh()
    assert catalog.of(MONO) == (app(),)
    assert catalog.get("app-web") == app()
    assert catalog.get("nothing") is None

    moved = app(source=Source(SourceType.GITHUB, repository="my-org/other", branch="main"))
    backend.found = [moved]
    await catalog.refresh()
    assert catalog.of(MONO) == ()
    assert catalog.of(replace(MONO, id="1", name="My-Org/Other")) == (moved,)

    by_id = app(source=Source(SourceType.GITLAB, "group/site", repository_id="42"))
    backend.found = [by_id, app("app-none", source=None)]
    await catalog.refresh()
    assert catalog.of(Repository("gitlab", "42", "renamed/since")) == (by_id,)

    backend.found = []
    await catalog.refresh()
    assert catalog.get("app-web") is None
    assert catalog.ready.is_set()


async def test_it_is_ready_once_the_journal_or_the_backend_knows_apps(
    catalog: Catalog, backend: FakeBackend, journal: SqlJournal
) -> None:
    backend.away = True
    await catalog.load()
    await catalog.refresh()
    assert not catalog.ready.is_set()
    assert catalog.trouble == {"dokploy": "dokploy can't be reached: ConnectError"}

    await journal.save_apps("dokploy", [app()])
    await catalog.load()
    await catalog.refresh()
    assert catalog.of(MONO) == (app(),)
    assert catalog.ready.is_set()

    backend.away = False
    await catalog.refresh()
    assert catalog.trouble == {}


async def test_apps_of_a_backend_that_was_removed_are_gone_until_it_is_there_again(
    catalog: Catalog, backend: FakeBackend, journal: SqlJournal, clock: ManualClock
) -> None:
    old = app("app-old", backend="old")
    await journal.save_apps("dokploy", [app()])
    await journal.save_apps("old", [old])

    await Catalog({}, journal, clock).load()  # it reads no backends, so it knows of none
    assert len(await journal.apps()) == 2
    await catalog.load()

    assert await journal.apps() == [app()]
    assert await journal.gone_apps() == [old]
    assert catalog.of(MONO) == (app(),)

    returned = FakeBackend(clock, name="old", found=[old])
    await Catalog({"dokploy": backend, "old": returned}, journal, clock).refresh()
    assert len(await journal.apps()) == 2


class Silent(FakeBackend):
    """A backend that gives no answer."""

    async def apps(self) -> list[App]:
        self.calls.append("apps")
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_backend_that_gives_no_answer_holds_up_neither_pushes_nor_the_timer_of_others(
    backend: FakeBackend,
    journal: SqlJournal,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.pipeline.deciding.catalog.TICK", 0.01)
    silent = Silent(clock)
    catalog = Catalog({"dokploy": backend, "silent": silent}, journal, clock, eager=EAGER)

    async def known() -> set[str]:
        return {one.id for one in catalog.all()}

    await catalog._tick(False)
    await until(known, lambda ids: ids == {"app-web"})
    clock.now += 61

    elsewhere = Source(SourceType.GITHUB, repository=ELSEWHERE.name, branch="main")
    backend.found = [app(), app("app-new", source=elsewhere)]
    received = clock.now
    clock.now += 0.01
    while not catalog.of(ELSEWHERE):
        assert await catalog.newer_than(received, ELSEWHERE) is not None
    clock.now += 61
    backend.found.append(app("app-newer"))
    await catalog._tick(False)

    await until(known, lambda ids: "app-newer" in ids)
    assert silent.count("apps") == 1  # it is asked once at a time
    await catalog.close()


# ── a push that knows no app ─────────────────────────────────────────────────


async def test_a_push_after_the_last_reading_has_the_apps_read_again_once_in_a_while(
    catalog: Catalog, backend: FakeBackend, clock: ManualClock
) -> None:
    await catalog.refresh()
    read_at = clock.now
    clock.now += 1
    assert await catalog.newer_than(clock.now) == read_at + EAGER
    assert backend.count("apps") == 1

    clock.now += EAGER
    received = clock.now
    clock.now += 0.01
    for _ in range(2):
        assert await catalog.newer_than(received) is None
        assert backend.count("apps") == 2

    clock.now += EAGER + 1
    received, backend.away = clock.now, True
    clock.now += 1
    for _ in range(2):  # the second push does not wait for another reading
        assert await catalog.newer_than(received) == clock.now + TROUBLE_PAUSE
        assert backend.count("apps") == 3

    backend.away = False
    await catalog.refresh()
    assert await catalog.newer_than(received) is None


async def looked_for(catalog: Catalog, clock: ManualClock, repository: Repository) -> float:
    """How long a push that comes now waits until it is known whether an app deploys it."""
    received = clock.now
    while (come_again := await catalog.newer_than(received, repository)) is not None:
        assert come_again > clock.now
        clock.now = come_again
    return clock.now - received


async def test_an_app_of_such_a_repository_and_those_of_others_are_found_all_the_same(
    catalog: Catalog, backend: FakeBackend, clock: ManualClock
) -> None:
    await catalog.refresh()
    for _ in range(LOOKS + 1):
        clock.now += EAGER + 1
        await looked_for(catalog, clock, ELSEWHERE)
    elsewhere = Source(SourceType.GITHUB, repository=ELSEWHERE.name, branch="main")
    backend.found = [app("app-new", source=elsewhere)]
    clock.now += 1

    unknown = replace(ELSEWHERE, id="2", name="my-org/unknown")
    assert await looked_for(catalog, clock, unknown) <= EAGER
    clock.now += 1
    assert await looked_for(catalog, clock, ELSEWHERE) <= SELDOM
    assert [one.id for one in catalog.of(ELSEWHERE)] == ["app-new"]


async def test_of_repositories_that_no_app_uses_those_are_remembered_that_pushed_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.core.apps.MOST", 2)
    absent = Absent()
    several = [replace(ELSEWHERE, id=str(number)) for number in range(3)]
    for repository in several:
        for read_at in range(LOOKS):
            absent.note(repository, float(read_at))

    assert [absent.often(repository) for repository in several] == [False, True, True]


# ── on its timer ─────────────────────────────────────────────────────────────


async def read_so_often(backend: FakeBackend, count: int) -> None:
    async def so_far() -> int:
        return backend.count("apps")

    await until(so_far, lambda found: found >= count)


async def test_a_wake_during_a_reading_is_not_lost_and_one_together_with_a_cancel_ends_it(
    catalog: Catalog, backend: FakeBackend
) -> None:
    listing = backend.apps

    async def changed_meanwhile() -> list[App]:
        found = await listing()
        if backend.count("apps") == 1:
            catalog.wake()
        return found

    backend.apps = changed_meanwhile  # type: ignore[method-assign]
    running = asyncio.create_task(catalog.run())
    await read_so_often(backend, 2)
    await asyncio.sleep(0.01)  # until it waits for its timer

    catalog.wake()
    await ended(running)


async def ended(running: "asyncio.Task[None]") -> None:
    running.cancel()
    await asyncio.wait([running], timeout=5)
    assert running.cancelled()


@pytest.mark.parametrize("fault", ["backend", "journal", "adapter"])
async def test_no_fault_ends_the_timer(
    catalog: Catalog,
    backend: FakeBackend,
    journal: SqlJournal,
    fault: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def away(*_args: object, **_named: object) -> None:
        raise Unreachable("the journal", "disk full")

    if fault == "backend":
        backend.next("apps", AWAY)
    elif fault == "journal":
        journal.save_apps = away  # type: ignore[method-assign]
    else:
        backend.found = None  # type: ignore[assignment]
    running = asyncio.create_task(catalog.run())

    for count in (1, 2, 3):
        await read_so_often(backend, count)
        await asyncio.sleep(0.01)  # until it waits for its timer
        catalog.wake()
    assert not running.done()
    await ended(running)


# ── several processes ────────────────────────────────────────────────────────


class Turn:
    """Whose turn it is to read the backends."""

    def __init__(self) -> None:
        self.ours = False

    async def __call__(self) -> bool:
        return self.ours


@pytest.fixture
async def shared(
    backend: FakeBackend, journal: SqlJournal, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Catalog, Turn]]:
    """A catalog beside those of other processes, at work; at first it is not its turn."""
    monkeypatch.setattr("bridge.pipeline.deciding.catalog.FOLLOW_PAUSE", 0.01)
    await journal.save_apps("dokploy", [app()])
    turn = Turn()
    catalog = Catalog({"dokploy": backend}, journal, clock, every=60.0, leads=turn, shared=True)
    await catalog.load()
    running = asyncio.create_task(catalog.run())
    yield catalog, turn
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_it_follows_what_another_process_has_read_and_reads_for_all_when_its_turn_comes(
    shared: tuple[Catalog, Turn], backend: FakeBackend, journal: SqlJournal, clock: ManualClock
) -> None:
    catalog, turn = shared
    backend.found = [app("app-fresh")]

    async def known() -> set[str]:
        return {one.id for one in catalog.all()}

    async def kept() -> list[str]:
        return [one.id for one in await journal.apps()]

    async def trouble() -> dict[str, str]:
        return catalog.trouble

    await journal.save_apps("dokploy", [app(), app("app-new")])
    await until(known, lambda found: found == {"app-web", "app-new"})

    # It meets a trouble by a push, and must not take the backend as away for ever.
    backend.away = True
    clock.now += EAGER + 1
    assert await catalog.newer_than(clock.now) is not None
    assert catalog.trouble
    backend.away = False
    clock.now += TROUBLE_PAUSE
    await until(trouble, lambda found: not found)

    turn.ours = True
    await until(kept, lambda found: found == ["app-fresh"])
