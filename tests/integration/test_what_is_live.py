"""Any order of deployments, rollbacks, verdicts, failures and unknown outcomes of an app.

Whatever happens: `apps` never names a commit as live that the backend did not report or that no
rollback restored, and what is unknown is said as unknown. The oracle knows only what the backend
has said, in the order in which it said that.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.events import Action
from bridge.core.health.rollback import Rung
from bridge.core.health.serving import By, Look, Serving
from bridge.core.lifecycle import Deployment, Evidence, State, Verdict
from bridge.ports.outcomes import Outcome
from bridge.storage.journal import serving
from bridge.storage.journal.deployment_rows import served_places
from bridge.views.apps import app_form
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import journal_in_memory

COMMITS = ("a" * 40, "b" * 40, "c" * 40)
APP = app()
UNKNOWN = "unknown"

asks = st.tuples(st.just("ask"), st.sampled_from([Action.DEPLOY, Action.REDEPLOY]))
holds = st.tuples(st.just("hold"), st.integers(0, 3))
rollbacks = st.tuples(st.just("roll back"), st.integers(0, 5))
serves = st.tuples(
    st.just("serve"),
    st.integers(0, 3),
    st.sampled_from([*COMMITS, None]),
    st.sampled_from([State.DONE, State.VERIFYING]),
)
ends = st.tuples(
    st.just("end"),
    st.integers(0, 3),
    st.sampled_from([State.FAILED, State.CANCELLED, State.UNKNOWN]),
)
verdicts = st.tuples(
    st.just("judge"), st.sampled_from([State.DONE, State.UNHEALTHY, State.UNKNOWN])
)
by_hand = st.tuples(st.just("by hand"), st.sampled_from([*COMMITS, None]))
looks = st.tuples(st.just("look"))
steps = st.lists(
    st.one_of(asks, holds, rollbacks, serves, serves, ends, verdicts, by_hand, looks),
    min_size=1,
    max_size=25,
)


@dataclass
class World:
    """An app, its journal, and what its backend has said.

    Attributes:
        open: deployments that the backend has not begun; `looked`: the one that is verified.
        served: what could be gone back to.
        truth: the commit that is live, `UNKNOWN`, or None if the backend did not name it.
        hand: what somebody has deployed at the backend since, and when; `hands`: how often.
    """

    clock: ManualClock = field(default_factory=ManualClock)
    seq: int = 0
    open: list[Deployment] = field(default_factory=list)
    looked: Deployment | None = None
    served: list[Deployment] = field(default_factory=list)
    truth: str | None = None
    health: str = ""
    ever: bool = False
    hand: tuple[str | None, float] | None = None
    hands: int = 0

    def __post_init__(self) -> None:
        self.journal = journal_in_memory(self.clock)

    async def run(self, those: Sequence[tuple[Any, ...]]) -> None:
        await self.journal.save_apps("dokploy", [APP])
        try:
            for name, *values in those:
                self.clock.now += 10
                await self._step(name)(*values)
                await self.check()
        finally:
            await self.journal.stop()

    def _step(self, name: str) -> Callable[..., Any]:
        steps = (
            *(self.ask, self.hold, self.roll_back, self.serve, self.end, self.judge),
            *(self.by_hand, self.look),
        )
        return {step.__name__.replace("_", " "): step for step in steps}[name]

    async def ask(self, action: Action, **facts: Any) -> None:
        self.seq += 1
        new = replace(deployment(self.seq, action=action), **facts)
        await self.journal.record([Outcome(self.seq, f"d-{self.seq}", (), (new,))], window=0)
        kept = [await self.journal.deployment(one.id) for one in [*self.open, new]]
        self.open = [one for one in kept if one is not None and not one.final]

    async def hold(self, place: int) -> None:
        if one := self._nth(self.open, place):
            await self.journal.move(one.id, State.HELD, "held: why")

    async def roll_back(self, place: int) -> None:
        if to := self._nth(self.served, place):
            await self.ask(Action.ROLLBACK, target=to.id)

    async def serve(self, place: int, commit: str | None, state: State) -> None:
        one = self._nth(self.open, place)
        if one is None or self.looked is not None:
            return
        facts: dict[str, Any] = {"finished_at": self.clock.now, "live_at": self.clock.now}
        if one.action is Action.ROLLBACK:
            to = next(old for old in self.served if old.id == one.target)
            commit, state = to.deployed_commit, State.VERIFYING
            facts["way"] = Rung.KEPT
        await self._begun(one)
        moved = await self.journal.move(one.id, state, "live", deployed_commit=commit, **facts)
        assert moved is not None
        self.open.remove(one)
        self.truth, self.ever, self.hand = commit, True, None
        self.health = "not verified" if state is State.DONE else "being verified"
        self.looked = moved if state is State.VERIFYING else None
        if state is State.DONE:
            self.served.append(moved)

    async def judge(self, state: State) -> None:
        if (one := self.looked) is None:
            return
        if state is State.UNKNOWN and one.action is not Action.ROLLBACK:
            state = State.DONE
        facts = {"verdict": Verdict.VERIFIED} if state is State.DONE else {}
        moved = await self.journal.move(one.id, state, "live", **facts)
        assert moved is not None
        self.looked = None
        self.health = {State.DONE: "verified"}.get(state, str(state))
        if state is State.UNKNOWN:
            self.truth = UNKNOWN
        elif state is State.DONE and one.action is not Action.ROLLBACK:
            self.served.append(moved)

    async def by_hand(self, commit: str | None) -> None:
        """Somebody deploys at the backend, and the bridge looks."""
        if self.looked is None:
            self.hands += 1
            self.hand = (commit, self.clock.now)
            self.ever, self.truth, self.health = True, commit, "not verified"
            await self.look()

    async def look(self) -> None:
        """The bridge looks, and sees what nobody has deployed over since."""
        if self.hand is None:
            return
        known = await self.journal.serving_of(APP) or await self.journal.unserved(APP)
        commit, since = self.hand
        look = Look(
            self.clock.now,
            known.newest.id if known.newest else None,
            known.doubt.id if known.doubt else None,
            record=f"by hand {self.hands}",
            commit=commit,
            since=since,
            evidence=Evidence.RECORD,
            by=By.BACKEND,
            place="Dokploy",
        )
        await self.journal.save_look(APP.id, look)
        self.truth, self.health = commit, "not verified"

    async def end(self, place: int, state: State) -> None:
        one = self._nth(self.open, place)
        if one is None or self.looked is not None:
            return
        await self._begun(one)
        await self.journal.move(one.id, state, "ended")
        self.open.remove(one)
        if state is State.UNKNOWN:
            self.truth, self.health = UNKNOWN, "unknown"

    async def _begun(self, one: Deployment) -> None:
        now = await self.journal.deployment(one.id)
        if now is not None and now.state is State.HELD:
            await self.journal.move(one.id, State.WAITING, "lifted")

    @staticmethod
    def _nth(those: list[Deployment], place: int) -> Deployment | None:
        return those[place % len(those)] if those else None

    async def check(self) -> None:
        """Compare what `apps` says with what the backend has said."""
        found = (await self.journal.serving([APP])).get(APP.id)
        shown = app_form(APP, None, found)["live"]
        if not self.ever:
            assert shown is None
            return
        known = self.truth != UNKNOWN
        assert shown["known"] is known
        assert shown["commit"] == (self.truth if known else None)
        assert shown["health"] == (self.health if known else UNKNOWN)
        assert (shown["since"] is None) is not known


A, B = COMMITS[:2]
ASK, JUDGED = ("ask", Action.DEPLOY), ("judge", State.DONE)
TWO = (ASK, ("serve", 0, A, State.DONE), ASK, ("serve", 0, B, State.DONE))
OVERTAKEN = (
    *(ASK, ("hold", 0), ("ask", Action.REDEPLOY)),
    *(("serve", 1, A, State.DONE), ("serve", 0, B, State.DONE)),
)
BY_HAND = ("by hand", COMMITS[2])
BACK = (*TWO, ("roll back", 0), ("serve", 0, None, State.DONE))


@given(steps)
@example([*OVERTAKEN])
@example([*BACK, JUDGED])
@example([*BACK, ("judge", State.UNKNOWN), ASK, ("serve", 0, B, State.VERIFYING)])
@example([*BACK, ("judge", State.UNHEALTHY), ("roll back", 0), ("serve", 0, None, State.DONE)])
@example([*TWO, ASK, ("end", 0, State.UNKNOWN), ASK, ("end", 0, State.FAILED)])
@example([*TWO, BY_HAND])
@example([ASK, ("end", 0, State.UNKNOWN), BY_HAND])
@example([*TWO, BY_HAND, ASK, ("serve", 0, B, State.VERIFYING)])
@example([*TWO, ASK, ("end", 0, State.UNKNOWN), BY_HAND])
@example([*TWO, BY_HAND, ASK, ("end", 0, State.UNKNOWN), ("look",)])
@settings(max_examples=50)
def test_apps_names_only_what_the_backend_reported_or_a_rollback_restored(
    those: list[tuple[Any, ...]],
) -> None:
    asyncio.run(World().run(those))


def newest_delivery_of(query: Callable[..., sa.Select[Any]]) -> Any:
    """Return the query with the bug: ids, and so deliveries, decide the order."""

    def changed(app_ids: Sequence[str]) -> sa.TextClause:
        text = str(query(app_ids).compile(compile_kwargs={"literal_binds": True}))
        assert "deployments.live_at DESC, " in text
        return sa.text(text.replace("deployments.live_at DESC, ", ""))

    return changed


BUGS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "what was asked for last counts as served last": (
        lambda: patch.object(serving, "served_places", newest_delivery_of(served_places)),
        OVERTAKEN,
    ),
    "an unknown outcome is forgotten": (
        lambda: patch.object(Serving, "known", property(lambda one: bool(one.newest))),
        (*TWO, ASK, ("end", 0, State.UNKNOWN)),
    ),
    "what could not be verified counts as restored": (
        lambda: patch.object(Serving, "known", property(lambda one: True)),
        (*BACK, ("judge", State.UNKNOWN)),
    ),
    "what somebody else has deployed is not seen": (
        lambda: patch.object(Serving, "seen", None),
        (*TWO, BY_HAND),
    ),
    "what somebody else has deployed stays, whatever the bridge deploys then": (
        lambda: patch.object(Serving, "seen", property(lambda one: one.look)),
        (*TWO, BY_HAND, ASK, ("serve", 0, B, State.DONE)),
    ),
}
"""Bugs, each with steps that show it."""


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_on_purpose_are_found(bug: str) -> None:
    planted, those = BUGS[bug]
    asyncio.run(World().run(those))

    with planted(), pytest.raises(AssertionError):
        asyncio.run(World().run(those))
