"""Whatever hosts report, people do and processes survive: previews are as pull requests are."""

import itertools
import math
import tempfile
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.errors import BridgeError
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.core.pulls import PullRequest
from tests.fakes.journey import Death, Lifetime
from tests.worlds.preview_keeper import POLICY, SHAS, Hiccup, KeeperWorld, keeper_world

NUMBERS = st.integers(1, 3)
FORKS = (3,)
LIMIT = 2
IDLE = 5000.0
RULES = replace(POLICY, label="preview", limit=LIMIT, idle=IDLE)

CHANGES: dict[str, dict[str, Any]] = {
    "open": {"open": True},
    "close": {"open": False},
    "draft": {"draft": True},
    "ready": {"draft": False},
    "label": {"labels": frozenset({"preview"})},
    "unlabel": {"labels": frozenset()},
    "retarget": {"base": "other"},
    "back": {"base": "main"},
}
FITS = ("open", "ready", "label", "back")
"""The changes after which a pull request is to have a preview."""

STEPS = st.one_of(
    st.tuples(
        st.sampled_from([*("push", "close", "open") * 3, "back to", *FITS, *CHANGES]),
        NUMBERS,
        st.sampled_from(["told", "told", "lost", "late", "twice"]),
    ),
    st.tuples(st.just("push"), NUMBERS, st.just("told")),
    st.tuples(st.just("approve"), st.sampled_from(FORKS), st.just("")),
    st.tuples(st.just("approve and push"), st.sampled_from(FORKS), st.just("")),
    st.tuples(st.just("turns"), st.integers(1, 6), st.sampled_from(["builds", "is building"])),
    st.tuples(st.just("arrives"), st.integers(0, 5), st.just("")),
    st.tuples(st.sampled_from(["approve", "approve late", "stop", "extend"]), NUMBERS, st.just("")),
    st.tuples(st.sampled_from(["dies", "fails"]), st.integers(1, 60), st.just("")),
    st.tuples(st.just("sweep"), st.just(0), st.just("")),
    st.tuples(st.just("turns"), st.integers(1, 6), st.sampled_from(["builds", "is building"])),
    st.tuples(st.just("time"), st.sampled_from([0.4, 1, 60, 400, 4000]), st.just("")),
)


@dataclass
class History:
    """What has happened so far.

    Attributes:
        late: reports that have not arrived yet.
        approved: the commits that somebody has approved, by pull request.
    """

    world: KeeperWorld
    late: deque[PullRequest] = field(default_factory=deque)
    heads: int = 10
    approved: set[tuple[int, str]] = field(default_factory=set)

    async def step(self, what: str, arg: Any, how: str) -> None:
        try:
            await self._step(what, arg, how)
        except BridgeError:  # the report is lost, though its delivery would be tried again
            return
        except Death:
            self.world.clock.now += 1
            await self.world.start()
        assert len(self.world.server.own()) <= LIMIT

    async def _step(self, what: str, arg: Any, how: str) -> None:
        world = self.world
        match what:
            case "arrives":
                if self.late:
                    self.late.rotate(arg)
                    await world.report(self.late.pop())
            case "approve" | "approve and push" | "approve late" | "stop" | "extend":
                await self._ask(what, arg)
            case "dies" | "fails":
                await world.start(Lifetime(arg) if what == "dies" else Hiccup(arg))
            case "sweep":
                await world.swept()
            case "turns":
                for _ in range(arg):
                    world.clock.now += 0.5
                    await world.look()
                    await world.deploy()
                    world.server.begin()
                    if how == "builds":
                        world.server.end()
            case "time":
                world.clock.now += arg
            case _:
                await self._change(what, arg, how)

    async def _ask(self, what: str, number: int) -> None:
        row = (await self.world.rows()).get(number)
        if row is None:
            return
        facts: dict[str, Any] = {"stopped": True}
        if what.startswith("approve") and what != "approve late":
            facts = {"approved": row.pull.head_sha, "approver": "grace"}
            self.approved.add((number, row.pull.head_sha))
        elif what == "approve late":  # of the commit that was seen before the last push
            facts = {"approved": SHAS[self.heads - 1], "approver": "grace"}
            self.approved.add((number, SHAS[self.heads - 1]))
        elif what == "extend":
            facts = {"active_at": self.world.clock.now}
        await self.world.journal.ask_previews(row.id, **facts)
        if what == "approve and push":
            await self._step("turns", 3, "builds")
            await self._change("push", number, "told")

    async def _change(self, what: str, number: int, how: str) -> None:
        changed = CHANGES.get(what, {})
        if what == "push":
            self.heads += 1
            changed = {"head_sha": SHAS[self.heads]}
        if what == "back to":
            changed = {"head_sha": SHAS[number]}
        now = self.world.clock.now
        fresh = {} if number in self.world.api.known else {"labels": frozenset({"preview"})}
        own = {"own": number not in FORKS, "updated_at": round(now, 3)}
        pull = self.world.put(number, **fresh | own | changed)
        told = replace(pull, updated_at=float(math.floor(now)))  # as webhooks have it
        if how == "late":
            self.late.append(told)
        for _ in range({"told": 1, "twice": 2}.get(how, 0)):
            await self.world.report(told)

    # ── what has to be so ─────────────────────────────────────────────────

    async def healed(self) -> None:
        """Let the sweep and the rounds set everything right."""
        for _ in range(2):
            await self.world.swept()
            await self.world.settle()

    def _may_run(self, row: Preview) -> bool:
        pull = self.world.api.known[row.pull.number]
        is_fit = pull.open and pull.base == "main" and not pull.draft
        is_idle = self.world.clock.now - row.active_at >= IDLE
        return is_fit and "preview" in pull.labels and not row.stopped and not is_idle

    def _is_wanted(self, row: Preview) -> bool:
        pull = self.world.api.known[row.pull.number]
        return self._may_run(row) and (pull.own or row.approved == pull.head_sha)

    async def check(self) -> None:
        world, rows = self.world, await self.world.rows()
        for number, pull in world.api.known.items():
            assert not pull.open or number in rows
        assert len(world.live()) == len(set(world.live()))
        for number, row in rows.items():
            is_live = world.marker(number) in world.live()
            if is_live:
                assert self._may_run(row), row
            if self._is_wanted(row) and is_live:
                assert world.deployed[str(row.made)] == world.api.known[number].head_sha
            elif self._is_wanted(row):
                assert row.reason == Why.LIMIT
                assert len(world.live()) == LIMIT
        for number in FORKS:
            assert world.commits[number] <= {sha for one, sha in self.approved if one == number}
        assert set(world.asked.values()) <= {1}

    async def end(self) -> None:
        """Close everything, without a word."""
        for number in self.world.api.known:
            self.world.clock.now += 1
            self.world.put(number, open=False)
        await self.healed()
        rows = await self.world.rows()
        assert {row.state for row in rows.values()} <= {PreviewState.ENDED}
        assert self.world.live() == []
        assert self.world.orphans == []
        assert not [one for one in self.world.api.branches if one.startswith("bridge/")]


@pytest.mark.slow
@given(steps=st.lists(STEPS, min_size=10, max_size=40), anew=st.booleans(), fit=st.booleans())
@settings(
    derandomize=True,  # CI draws the same ones each time
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_previews_are_as_pull_requests_are(
    steps: list[tuple[str, Any, str]], anew: bool, fit: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with keeper_world(Path(folder), policy=RULES) as world:
            history = History(world)
            for step in steps:
                await history.step(*step)
            if anew:
                await world.start()
            else:
                world.life.moments = 10**9  # no call fails any more
            if fit:
                for what, number in itertools.product(FITS, list(world.api.known)):
                    world.clock.now += 1
                    await history.step(what, number, "lost")
            await history.healed()
            await history.check()
            await history.end()
