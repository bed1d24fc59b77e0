"""What 300 apps cost a Dokploy while nothing happens, and how soon a change of one is known."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.core.errors import Unreachable
from bridge.core.events import Repository
from bridge.pipeline.deciding.apps import HOURLY
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deploying.serving import Looks, ServingReconciler
from bridge.storage.journal import SqlJournal
from tests.fakes.dokploy import CountingDokploy
from tests.fakes.journey import ManualClock

pytestmark = pytest.mark.slow

EVERY = 60.0
SOON = 300.0
"""Seconds in which a changed repository is known."""

OTHER = Repository("github", "4712", "my-org/other")


class Ticking:
    """A catalog whose timer goes by a clock of the test."""

    def __init__(self, server: CountingDokploy, journal: SqlJournal, clock: ManualClock) -> None:
        self.client = server.client()
        self.catalog = Catalog({"dokploy": self.client}, journal, clock, every=EVERY)
        self._clock = clock

    async def tick(self) -> None:
        """Let the time of the timer pass, and do what it does then."""
        self._clock.now += EVERY
        await self.catalog._tick(False)

    async def until_known(self, repository: Repository) -> float:
        """Tick until an app deploys from a repository; returns the seconds that it took."""
        began = self._clock.now
        while not self.catalog.of(repository):
            await self.tick()
            assert self._clock.now - began <= 3600
        return self._clock.now - began


@pytest.fixture
def server() -> CountingDokploy:
    server = CountingDokploy()
    server.add(*(f"app-{n:03}" for n in range(300)), status="idle")
    return server


@pytest.fixture
async def ticking(
    server: CountingDokploy, journal: SqlJournal, clock: ManualClock
) -> AsyncIterator[Ticking]:
    ticking = Ticking(server, journal, clock)
    await ticking.tick()
    assert len(ticking.catalog.all()) == 300
    server.requests.clear()
    server.reads.clear()
    yield ticking
    await ticking.client.close()


async def test_a_quiet_hour_of_300_apps_takes_180_requests(
    ticking: Ticking, server: CountingDokploy
) -> None:
    for _ in range(20):  # minutes; the others are like them
        await ticking.tick()

    assert len(server.requests) == 20 + 20 * 2  # a listing, and two batches of those in turn
    assert set(server.reads.values()) == {5}  # each app in each fourth minute


async def test_to_know_what_300_apps_serve_takes_no_more_than_300(
    ticking: Ticking, server: CountingDokploy, journal: SqlJournal, clock: ManualClock
) -> None:
    """Also of a Dokploy that the bridge has just been connected with, and where people deploy."""
    at = "2023-11-14T20:00:00.000Z"
    for id_ in server.apps:
        server.deployed(id_, at)
    backends: Any = {"dokploy": ticking.client}
    catalog = ticking.catalog
    looks = Looks(journal, clock, {"dokploy": "Dokploy"})
    serves = ServingReconciler(backends, journal, clock, looks, catalog.get)
    catalog.heard = serves.heard
    await ticking.tick()
    await serves._round()
    server.requests.clear()

    for _ in range(30):
        await ticking.tick()
        await serves._round()

    assert len(server.requests) <= 150
    assert len(await journal.serving(catalog.all())) == 31


async def test_it_takes_no_more_than_1000_where_every_app_is_asked_for_by_itself(
    ticking: Ticking, server: CountingDokploy
) -> None:
    server.batches = False
    for _ in range(10):
        await ticking.tick()
    server.requests.clear()
    server.reads.clear()

    for _ in range(30):
        await ticking.tick()

    assert len(server.requests) <= HOURLY / 2
    assert min(server.reads.values()) >= 1  # none is forgotten over the others


@pytest.mark.parametrize(("number", "minutes"), [(0, 0), (149, 3), (299, 4)])
async def test_a_repository_that_changed_without_a_sign_is_known_in_five_minutes(
    ticking: Ticking, server: CountingDokploy, clock: ManualClock, number: int, minutes: int
) -> None:
    """An app that was idle before is idle after its source was saved: no listing tells of it."""
    for _ in range(minutes):
        await ticking.tick()

    server.save_provider(f"app-{number:03}", repository="other")

    assert await ticking.until_known(OTHER) <= SOON


@pytest.mark.parametrize("batches", [True, False])
async def test_a_source_that_was_saved_on_a_deployed_app_is_known_at_the_next_listing(
    ticking: Ticking, server: CountingDokploy, batches: bool
) -> None:
    server.batches = batches
    for app in server.apps.values():
        app["status"] = "done"
    await ticking.tick()

    server.save_provider("app-150", repository="other")

    assert await ticking.until_known(OTHER) == EVERY


async def test_a_push_from_a_repository_that_no_app_waits_for_finds_one_that_moved_there_at_once(
    ticking: Ticking, server: CountingDokploy, clock: ManualClock
) -> None:
    clock.now += 30
    server.save_provider("app-150", repository="other")
    clock.now += 0.1

    received = clock.now
    clock.now += 0.01
    while await ticking.catalog.newer_than(received, OTHER) is not None:
        await asyncio.wait([ticking.catalog._anew["dokploy"]])  # it waits for nothing else

    assert [app.id for app in ticking.catalog.of(OTHER)] == ["app-150"]
    assert len(server.requests) == 1 + math.ceil(300 / 40)


async def test_a_deployment_by_a_person_is_told_of_when_it_begins_and_when_it_ends(
    ticking: Ticking, server: CountingDokploy
) -> None:
    """Dokploy's time of the newest deployment is that of its beginning, which its end keeps."""
    heard: list[str] = []
    ticking.catalog.heard = lambda _name, told: heard.append(told["app-150"])
    for status in ("running", "running", "done", "done"):
        server.deployed("app-150", "2026-11-26T20:57:51.771Z", status)
        await ticking.tick()
    server.deployed("app-150", "2026-11-26T21:00:00.000Z")  # it took no longer than a tick
    await ticking.tick()

    begun, begun_still, ended, ended_still, next_one = heard
    assert begun == begun_still
    assert ended == ended_still
    assert len({begun, ended, next_one}) == 3


async def test_what_was_read_while_the_journal_could_not_keep_it_is_read_again(
    ticking: Ticking, server: CountingDokploy, journal: SqlJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_args: object, **_named: object) -> None:
        raise Unreachable("the journal", "disk full")

    server.add("new", repository="other")
    server.apps["app-150"]["name"] = "renamed"
    with monkeypatch.context() as patched:
        patched.setattr(journal, "save_apps", away)
        with pytest.raises(Unreachable):
            await ticking.tick()

    await ticking.tick()

    assert ticking.catalog.of(OTHER)
    renamed = ticking.catalog.get("app-150")
    assert renamed is not None
    assert renamed.name == "renamed"
