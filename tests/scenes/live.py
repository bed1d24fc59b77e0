"""What terminals show of what is live, and of the report, on data of their own."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bridge.app.storage import Stores, open_stores
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import State, Verdict, deployment_id
from bridge.core.people import Origin
from bridge.core.pins import pin_for
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.settings import read_settings
from tests.fakes.journey import ManualClock, deployment

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
DONE, UNHEALTHY, FAILED, UNKNOWN = State.DONE, State.UNHEALTHY, State.FAILED, State.UNKNOWN

LIVE: Mapping[str, tuple[str, ...]] = {
    "apps-live": ("apps",),
    "report": ("report", "--since", "30d"),
    "report-app": ("report", "--since", "30d", "--app", "shop/web"),
    "report-none": ("report", "--since", "1h"),
}

PROMOTE: Mapping[str, tuple[str, ...]] = {
    "promote-plan": ("promote", "shop/production/web", "from", "shop/web", "--plan"),
}
"""The same, with an app of production, and a Git host whose pages are known."""

GIT = Source(SourceType.GITHUB, repository="my-org/mono", branch="main")
WEB, API, JOBS, DOCS, NEW = (
    App(f"app_{name}", name, "shop", source=GIT, watch_paths=(f"{name}/**",))
    for name in ("web", "api", "jobs", "docs", "new")
)
CACHE = App("app_cache", "cache", "shop", source=Source(SourceType.DOCKER, image="valkey:8"))
APPS = (WEB, API, JOBS, DOCS, NEW, CACHE)
PRODUCTION = replace(WEB, id="app_production", environment="production", watch_paths=None)
PINNED = replace(PRODUCTION, source=replace(GIT, branch=pin_for(PRODUCTION)))

COMMITS = {seq: f"{seq:x}" * 40 for seq in range(1, 16)}


@contextmanager
def living(now: float, *, production: bool = False) -> Iterator[Mapping[str, str]]:
    """Make data in which apps are in all states; yields the settings that lead there."""
    with TemporaryDirectory() as folder:
        given = {"BRIDGE_DATA": str(Path(folder, "data"))}
        clock = ManualClock(now)

        async def run() -> None:
            async with open_stores(read_settings(None, given), clock=clock) as stores:
                history = _History(stores, clock, now)
                await history.write()
                if production:
                    await history.promote()

        asyncio.run(run())
        host = {"BRIDGE_GITHUB_WEBHOOK_SECRETS": "a-secret-of-the-scenes-0123456789"}
        yield {**given, "BRIDGE_RULES": "", **(host if production else {})}


class _History:
    """Writes pushes to one branch, each a day after the one before, and their deployments."""

    def __init__(self, stores: Stores, clock: ManualClock, now: float) -> None:
        self._journal = stores.journal
        self._clock = clock
        self._began = now - 13 * DAY
        self._seq = 0
        self._head = "0" * 40

    async def write(self) -> None:
        await self._journal.save_apps("dokploy", APPS)
        await self.push((WEB, DONE, 90), (API, DONE, 100), (JOBS, DONE, 60), (DOCS, DONE, 20))
        await self.push((WEB, DONE, 80), (API, FAILED, 15))
        await self.push((WEB, DONE, 100), (API, DONE, 130))
        await self.push((WEB, FAILED, 30), (JOBS, DONE, 50))
        await self.push((WEB, DONE, 95), (DOCS, DONE, 22))
        await self.push((WEB, DONE, 300), (API, DONE, 90), (JOBS, UNKNOWN, 400))
        await self.push((WEB, UNHEALTHY, 120))
        await self.roll_back(WEB, to=6, after=8 * MINUTE)
        await self.push((API, UNHEALTHY, 110))
        await self.push()
        await self.image()

    async def promote(self) -> None:
        """Have an app of production run what the third push has deployed elsewhere."""
        await self._journal.save_apps("dokploy", (*APPS, PINNED))
        seq = self._next()
        await self._ask(seq, PINNED)
        facts = {"deployed_commit": COMMITS[3]}
        await self._journal.move(deployment_id(seq, PINNED.id), DONE, "live", **facts)

    async def push(self, *deployed: tuple[App, State, float]) -> None:
        """A push that some apps deploy, and when that ended."""
        seq = self._next()
        made = [self._deployment(seq, app) for app, _, _ in deployed]
        there = {app.id for app, _, _ in deployed}
        decisions = tuple(
            Decision(
                app.id, app.label, Reason.PATH_HIT if app.id in there else Reason.NO_PATH_HIT, ""
            )
            for app in (WEB, API, JOBS, DOCS)
        )
        seen = PushSeen(
            "github 4711 refs/heads/main", self._head, COMMITS[seq], repository="my-org/mono"
        )
        self._head = COMMITS[seq]
        await self._journal.record(
            [Outcome(seq, f"d-{seq}", decisions, tuple(made), seen)], window=0
        )
        at = self._clock.now
        for (app, state, took), one in zip(deployed, made, strict=True):
            self._clock.now = at + took
            served = state in (DONE, UNHEALTHY)
            note = "live; verified" if app is WEB else "ended"
            facts: dict[str, Any] = {"deployed_commit": COMMITS[seq]} if served else {}
            facts |= {"verdict": Verdict.VERIFIED} if served and app is WEB else {}
            if state is UNHEALTHY:
                facts.pop("verdict", None)
                await self._journal.move(one.id, State.VERIFYING, note, **facts)
                self._clock.now += 60
            await self._journal.move(one.id, state, note, **facts)

    async def roll_back(self, app: App, to: int, after: float) -> None:
        """Go back to what a push has deployed, some time after the newest push."""
        at = self._clock.now + after
        seq = self._next()
        self._clock.now = at
        target = deployment_id(to, app.id)
        await self._ask(seq, app, action=Action.ROLLBACK, target=target)
        facts = {"deployed_commit": COMMITS[to], "way": "kept", "verdict": Verdict.VERIFIED}
        await self._journal.move(deployment_id(seq, app.id), DONE, "as then; verified", **facts)

    async def image(self) -> None:
        """Deploy the image by hand."""
        seq = self._next()
        await self._ask(seq, CACHE, image="valkey:8")
        await self._journal.move(deployment_id(seq, CACHE.id), DONE, "live")

    async def _ask(self, seq: int, app: App, **facts: Any) -> None:
        by_hand = {"origin": Origin.read("cli: grace"), "author": None, "commit": None, "ref": None}
        new = replace(self._deployment(seq, app), **(by_hand | facts))
        await self._journal.record([Outcome(seq, f"d-{seq}", (), (new,))], window=0)

    def _next(self) -> int:
        self._seq += 1
        self._clock.now = self._began + self._seq * DAY
        return self._seq

    def _deployment(self, seq: int, app: App) -> Any:
        new = deployment(seq, app.id, author="Ada Lovelace", commit=COMMITS[seq])
        return replace(new, app=app.label, created_at=self._clock.now)
