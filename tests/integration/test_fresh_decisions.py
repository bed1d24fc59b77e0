"""A push is decided on the apps as they are now, or says how old its knowledge of them is."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge.core.apps import Rules
from bridge.core.decision import Decision
from bridge.core.events import Ref, RefKind, RefPushed, Repository
from bridge.pipeline.deciding.catalog import LOOK_AGAIN, Catalog
from bridge.pipeline.deciding.deliveries import DecisionTiming, Deliveries
from bridge.pipeline.deciding.freshness import CROWDED, FRESH, HOLDS, MOST, PATIENCE
from bridge.pipeline.deciding.interpret import Reading
from bridge.ports.inbox import DeliveryState
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from tests.fakes.dokploy import CountingDokploy
from tests.fakes.journey import (
    FakeFlows,
    FakeHost,
    ManualClock,
    delivery,
    push,
)
from tests.worlds.journal import journal_in_memory

DEV = Ref(RefKind.BRANCH, "dev")
TAG = Ref(RefKind.TAG, "v1.0.0")
OTHER = Repository("github", "4712", "my-org/other")
WEB = ("web/index.html",)
LONG_AGO = 60.0


@dataclass
class Desk:
    """Deliveries beside a Dokploy that people use as well."""

    server: CountingDokploy
    inbox: SqliteInbox
    journal: SqlJournal
    clock: ManualClock
    catalog: Catalog
    deliveries: Deliveries
    host: FakeHost
    flows: FakeFlows
    kept: list[int] = field(default_factory=list)

    async def keep(self, what: RefPushed) -> int:
        """Keep a push that comes now."""
        id_ = f"delivery-{len(self.kept)}"
        self.host.meanings[id_.encode()] = replace(what, after=f"{len(self.kept):040x}")
        new = delivery(id_, body=id_.encode(), received_at=self.clock.now)
        self.kept.append((await self.inbox.keep(new)).seq)
        return self.kept[-1]

    async def decided(self, *pushes: RefPushed) -> list[dict[str, Decision]]:
        """Keep pushes, and decide them; the decisions by app of each."""
        seqs = [await self.keep(one) for one in pushes]
        await self.deliveries.drain()
        while DeliveryState.KEPT in [await self.state(seq) for seq in seqs]:
            await asyncio.gather(*(one.task for one in self.deliveries._freshness._going.values()))
            self.clock.now += LOOK_AGAIN
            await self.deliveries.drain()
        return [await self.of(seq) for seq in seqs]

    async def of(self, seq: int) -> dict[str, Decision]:
        return {one.app_id: one for one in (await self.journal.decisions([seq])).get(seq, [])}

    async def state(self, seq: int) -> DeliveryState:
        found = await self.inbox.get(seq)
        assert found is not None
        return found.state

    def read(self) -> int:
        """How many apps were read since the last time this was asked."""
        read = self.server.reads.total()
        self.server.reads.clear()
        self.server.requests.clear()
        return read


def reasons(decisions: dict[str, Decision]) -> dict[str, str]:
    return {id_: str(one.reason) for id_, one in decisions.items()}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An inbox's file without deliveries: to make one takes longer than most tests."""
    file = tmp_path_factory.mktemp("empty") / "inbox.sqlite"

    async def made() -> None:
        inbox = SqliteInbox(file)
        await inbox.start()
        await inbox.stop()

    asyncio.run(made())
    return file


@pytest.fixture
async def desk(tmp_path: Path, empty: Path) -> AsyncIterator[Desk]:
    clock, host, flows = ManualClock(), FakeHost(), FakeFlows()
    server = CountingDokploy(clock)
    server.add("web", "api")
    shutil.copy(empty, tmp_path)
    inbox, journal = SqliteInbox(tmp_path / "inbox.sqlite"), journal_in_memory(clock)
    await inbox.start()
    client = server.client()
    catalog = Catalog({"dokploy": client}, journal, clock)
    await catalog.refresh()
    clock.now += LONG_AGO
    reading = Reading(inbox, {"github": host})
    deliveries = Deliveries(
        inbox, journal, flows, catalog, reading, clock, DecisionTiming(poll=60.0)
    )
    desk = Desk(server, inbox, journal, clock, catalog, deliveries, host, flows)
    desk.read()
    yield desk
    if server.silent is not None:
        server.silent.set()
    await deliveries.close()
    await client.close()
    await inbox.stop()
    await journal.stop()


# ── right at the very next push ──────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "pushed", "reason", "ago"),
    [
        ({"branch": "dev"}, push(ref=DEV, paths=WEB), "path_hit", LONG_AGO),
        ({"triggerType": "tag"}, push(ref=TAG, paths=None), "tag_pushed", FRESH - 1),
        ({"watchPaths": ["docs/**"]}, push(paths=("docs/a.md",)), "path_hit", 0.5),
        ({"watchPaths": ["{docs"]}, push(paths=("{docs",)), "path_hit", LONG_AGO),
        ({"branch": "dev"}, push(paths=WEB), "branch_mismatch", 0.5),
        ({"triggerType": "tag"}, push(paths=WEB), "trigger_mismatch", LONG_AGO),
        ({"watchPaths": ["docs/**"]}, push(paths=WEB), "no_path_hit", FRESH - 1),
    ],
)
async def test_an_app_is_decided_as_it_was_changed_at_the_very_next_push(
    desk: Desk, changed: dict[str, Any], pushed: RefPushed, reason: str, ago: float
) -> None:
    await desk.catalog.refresh()
    desk.clock.now += ago
    desk.server.save_provider("web", **changed)

    (decisions,) = await desk.decided(pushed)

    assert reasons(decisions)["web"] == reason


async def test_an_app_that_has_left_the_repository_or_is_gone_is_not_deployed(desk: Desk) -> None:
    desk.server.add("left")
    await desk.catalog.refresh()
    desk.clock.now += LONG_AGO
    desk.server.save_provider("left", repository="other")
    del desk.server.apps["web"]

    (decisions,) = await desk.decided(push(paths=(*WEB, "left/a")))

    assert reasons(decisions) == {"api": "no_path_hit"}


async def test_a_push_whose_apps_have_all_left_finds_the_one_that_has_come_instead(
    desk: Desk,
) -> None:
    desk.server.save_provider("web", repository="other")
    desk.server.save_provider("api", repository="other")
    desk.server.add("new", watchPaths=None)

    (decisions,) = await desk.decided(push(paths=WEB))

    assert reasons(decisions) == {"new": "no_watch_paths"}


async def test_a_push_is_decided_again_for_an_app_that_a_later_reading_finds(desk: Desk) -> None:
    """A list that lags lacks an app that was made before the push."""
    (decisions,) = await desk.decided(push(paths=("new/a",)))
    assert "new" not in decisions
    await desk.decided(push(repository=OTHER, paths=("a",)))
    known, unknown = desk.kept
    assert await desk.state(unknown) is DeliveryState.IGNORED

    desk.server.add("new")
    desk.server.add("elsewhere", repository="other", watchPaths=None)
    desk.clock.now += 60.0
    await desk.catalog._tick(False)
    await desk.deliveries.drain()

    late = (await desk.of(known))["new"]
    assert late.deploy
    assert "decided late" in late.evidence
    assert await desk.state(unknown) is DeliveryState.DECIDED
    assert reasons(await desk.of(unknown)) == {"elsewhere": "no_watch_paths"}


async def test_an_app_that_was_made_after_a_push_is_not_deployed_by_it(desk: Desk) -> None:
    await desk.decided(push(paths=("new/a",)))
    desk.clock.now += 30.0
    made = datetime.fromtimestamp(desk.clock.now, UTC).isoformat()
    desk.server.add("new", createdAt=made)

    desk.clock.now += 60.0
    await desk.catalog._tick(False)
    await desk.deliveries.drain()

    assert desk.catalog.get("new")
    assert "new" not in await desk.of(desk.kept[-1])


async def test_two_tags_at_once_are_each_decided_once_on_what_was_read_anew(desk: Desk) -> None:
    await desk.journal.save_rules("web", Rules(only_newer=True), by="cli: ada")
    desk.server.save_provider("web", triggerType="tag")

    newer, older = await desk.decided(
        push(ref=Ref(RefKind.TAG, "v2.0.0"), paths=None), push(ref=TAG, paths=None)
    )

    assert newer["web"].deploy
    assert "which is newer and under way" in older["web"].evidence


# ── quick, and not dear ──────────────────────────────────────────────────────


async def test_pushes_that_come_together_are_answered_by_one_reading_of_their_apps(
    desk: Desk,
) -> None:
    desk.server.add("elsewhere", repository="other")
    await desk.catalog.refresh()
    desk.clock.now += LONG_AGO
    desk.read()
    await desk.decided(push(paths=WEB, options=("ci.skip",)))
    assert desk.read() == 0  # no change could deploy it

    await desk.decided(*[push(ref=DEV, paths=WEB)] * 20)

    assert desk.server.requests == ["trpc"]
    assert set(desk.server.reads) == {"web", "api"}


@pytest.mark.slow
async def test_a_burst_of_pushes_to_300_apps_reads_no_more_than_the_budget(desk: Desk) -> None:
    desk.server.add(*(f"app-{n}" for n in range(298)))
    await desk.catalog.refresh()
    desk.read()
    for _ in range(15):
        desk.clock.now += 1.0
        await desk.decided(*[push(ref=DEV, paths=WEB)] * 2)

    assert desk.read() <= MOST + 15 * 10


async def test_what_the_budget_leaves_out_is_decided_and_says_how_old_it_is(desk: Desk) -> None:
    desk.server.add(*(f"app-{n}" for n in range(MOST)))
    await desk.catalog.refresh()
    desk.clock.now += LONG_AGO

    (decisions,) = await desk.decided(push(ref=DEV, paths=WEB))

    old = [one for one in decisions.values() if CROWDED in one.evidence]
    assert len(decisions) == MOST + 2
    assert len(old) == 2
    assert "as it was read 60 s ago" in old[0].evidence


# ── while the backend does not answer ────────────────────────────────────────


async def test_while_the_backend_is_away_a_push_is_decided_and_says_how_old_its_apps_are(
    desk: Desk,
) -> None:
    desk.server.away = True
    first, second = await desk.decided(push(ref=DEV, paths=WEB), push(paths=WEB))
    assert first["web"].evidence == (
        "branch dev was pushed, it deploys main (by the app as it was read 60 s ago:"
        " dokploy can't be reached: ConnectError: refused)"
    )
    assert second["web"].deploy
    assert "as it was read 60 s ago" in second["web"].evidence

    desk.server.away = False
    desk.server.save_provider("web", branch="dev")
    desk.clock.now += PATIENCE + HOLDS
    (soon,) = await desk.decided(push(ref=DEV, paths=WEB))
    assert soon["web"].deploy


async def test_a_push_waits_for_a_slow_answer_and_the_others_are_decided_meanwhile(
    desk: Desk,
) -> None:
    desk.server.add("elsewhere", repository="other")
    await desk.catalog.refresh()
    desk.clock.now += LONG_AGO
    desk.server.silent = asyncio.Event()
    slow = await desk.keep(push(ref=DEV, paths=WEB))
    await desk.deliveries.drain()
    quick = await desk.keep(push(paths=WEB, options=("ci.skip",)))
    await desk.deliveries.drain()
    assert await desk.state(slow) is DeliveryState.KEPT
    assert await desk.state(quick) is DeliveryState.DECIDED

    desk.server.save_provider("web", branch="dev")
    desk.server.silent.set()
    desk.clock.now += LOOK_AGAIN
    await desk.deliveries.drain()

    assert (await desk.of(slow))["web"].deploy


async def test_a_push_that_has_waited_long_enough_is_decided_on_what_is_known(desk: Desk) -> None:
    desk.server.silent = asyncio.Event()
    seq = await desk.keep(push(ref=DEV, paths=WEB))
    for _ in range(int(PATIENCE / LOOK_AGAIN) + 2):
        await desk.deliveries.drain()
        desk.clock.now += LOOK_AGAIN

    assert "it has not answered for 5 s" in (await desk.of(seq))["web"].evidence


# ── other processes ──────────────────────────────────────────────────────────
