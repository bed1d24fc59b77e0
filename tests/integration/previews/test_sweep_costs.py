"""The requests of the sweep, counted at the doors of stand-ins for each Git host."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bridge.core.apps import Rules, Source, SourceType
from bridge.core.decision import Policy
from bridge.core.policies import PreviewPolicy
from bridge.githosts import HOSTS
from bridge.pipeline.background import at_once
from bridge.pipeline.deciding.catalog import Catalog
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.previews.apps import PreviewApps
from bridge.pipeline.previews.previews import PreviewKeeper
from bridge.pipeline.previews.sweep import WHOLE, PreviewSweep
from tests.fakes.host import FakeHost, FakeRepository
from tests.fakes.journey import FakeBackend, ManualClock, app
from tests.worlds.hosts import FAKES, client_of
from tests.worlds.journal import journal_in_memory

REPOSITORIES = 5
PULLS = 3


@dataclass
class Doors:
    """A host with its repositories, and a sweep over them."""

    fake: FakeHost
    theirs: list[FakeRepository]
    sweep: PreviewSweep
    journal: Any
    clock: ManualClock

    async def round(self) -> Counter[str]:
        """Let the sweep look once, five minutes later; return the requests by repository."""
        before = len(self.fake.asked)
        self.clock.now += 300
        await self.sweep.look()
        found = Counter[str]()
        for one in self.fake.asked[before:]:
            if "installation" in one.path:  # an App's key for its repositories, once an hour
                continue
            assert one.method == "GET"
            path = one.path.replace("%2F", "/")
            names = [
                theirs.name
                for theirs in self.theirs
                if f"/{theirs.name}/" in f"{path}/" or f"/projects/{theirs.id}/" in f"{path}/"
            ]
            found[names[0] if names else path] += 1
        return found

    async def open(self) -> int:
        return sum(one.pull.open for one in await self.journal.previews(ended=True, limit=None))


@pytest.fixture(params=["github as an app", *HOSTS])
async def doors(request: pytest.FixtureRequest, pem: str) -> AsyncIterator[Doors]:
    kind, clock = str(request.param).split()[0], ManualClock()
    is_app = request.param == "github as an app"
    journal = journal_in_memory(clock)
    rules = Rules(previews=PreviewPolicy())
    async with FAKES[kind]() as fake:
        theirs = [
            fake.repository(f"org-{at % 4}/repo-{at:02}", id=100 + at) for at in range(REPOSITORIES)
        ]
        for one in theirs:
            main = one.commit({"README.md": "read me"})
            for number in range(PULLS):
                one.commit({"web": str(number)}, branch=f"topic-{number}", onto=main)
                one.open_pull(f"topic-{number}")
        backend = FakeBackend(clock)
        backend.found = [
            app(f"app-{at}", source=Source(SourceType(kind), one.name, branch="main"))
            for at, one in enumerate(theirs)
        ]
        api = client_of(fake, pem if is_app else None)
        apis: dict[str, Any] = {kind: api}
        catalog = Catalog({"dokploy": backend}, journal, clock, book=(("shop/*", rules),))
        await catalog.refresh()
        inbox: Any = None
        apps = PreviewApps(journal, inbox, {"dokploy": backend}, Pins(apis), clock)
        keeper = PreviewKeeper(journal, catalog, apps, apis, clock, Policy(), limit=300)
        homes: dict[str, str] = {}
        parts = (keeper, journal, api, homes, catalog.all, clock)
        sweep = PreviewSweep(*parts, every=300, turn=at_once)
        yield Doors(fake, theirs, sweep, journal, clock)
        await api.close()
        await journal.stop()


async def test_a_round_costs_one_request_for_each_repository_whatever_has_changed(
    doors: Doors,
) -> None:
    each = {one.name: 1 for one in doors.theirs}
    first = await doors.round()
    assert await doors.open() == REPOSITORIES * PULLS
    assert max(first.values()) <= 2  # which repository it is, and its list

    assert await doors.round() == each
    doors.theirs[3].close(doors.theirs[3].pulls[min(doors.theirs[3].pulls)])
    assert await doors.round() == each
    assert await doors.open() == REPOSITORIES * PULLS - 1

    doors.clock.now += WHOLE
    assert max((await doors.round()).values()) <= 2
