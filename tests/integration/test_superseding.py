"""Any order of pushes, requests, ways back, locks, cancels and failures of one app.

The oracle is docs/notes/0005: at rest nothing waits, nothing that somebody pushed or asked for was
replaced by what nobody asked for, and what never ran has replaced nothing but an earlier push.
"""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.events import Action
from bridge.core.gates.locks import BY_ITSELF, Lock
from bridge.core.holds import Lift
from bridge.core.lifecycle import ASKED_FOR, OURS, Deployment, State, deployment_of, flow_of
from bridge.ports.outcomes import PushSeen
from tests.fakes.journey import NO_GATES, ManualClock, deployment
from tests.worlds.journal import journal_in_memory, outcome, record

BOB = Lock("app/app-web", "shop/web", "cli:bob", "Bob", "why", 0.0)
LOCKS = [BOB, replace(BOB, owner="cli:ada"), replace(BOB, owner=BY_ITSELF)]
"""Of these, two let what Ada asks for pass, and none lets a push pass."""
WISHES: dict[str, dict[str, Any]] = {
    "push": {},
    "deploy": {"person": "cli:ada"},
    "redeploy": {"person": "cli:ada", "action": Action.REDEPLOY},
    "rollback": {"person": "cli:ada", "action": Action.ROLLBACK, "way": "kept"},
    "promote": {"person": "cli:ada", "target": "other", "way": "pin", "pinned": "c" * 40},
}
OWN = {"person": BY_ITSELF, "action": Action.ROLLBACK, "way": "kept"}

steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(*WISHES, "late push", "own", "own", "lock", "override", "unlock"),
                *("turn", "turn", "end", "cancel"),
            ]
        ),
        st.integers(0, 3),
    ),
    min_size=4,
    max_size=24,
)


@dataclass
class World:
    """A journal, and the flows of its one app, of which one runs at a time."""

    clock: ManualClock = field(default_factory=ManualClock)
    journal: Any = None
    flows: list[str] = field(default_factory=list)
    going: str | None = None
    seq: int = 1
    head: int = 0

    async def wish(self, seq: int, **facts: Any) -> None:
        push = facts.pop("push", None)
        new = deployment(seq, **facts)
        recorded = await record(self.journal, outcome(seq, new, push=push, explicit=push is None))
        self.flows += recorded.start

    def moved(self) -> PushSeen:
        """Return the next push of the branch."""
        self.head += 1
        return PushSeen("github 1 refs/heads/main", f"{self.head:040x}", f"{self.head + 1:040x}")

    async def every(self) -> list[Deployment]:
        found: list[Deployment] = await self.journal.deployments(limit=200)
        return found

    async def step(self, what: str, which: int) -> None:
        self.clock.now += 1
        self.seq += 2
        if what == "push":
            await self.wish(self.seq, push=self.moved())
        elif what == "late push":  # two pushes, and the newer one arrives first
            early, late = self.moved(), self.moved()
            await self.wish(self.seq, push=late)
            await self.judge()
            self.seq += 2
            await self.wish(self.seq, push=early)
        elif what in WISHES:
            await self.wish(self.seq, **WISHES[what])
        elif what == "own":
            await self.go_back(early=which == 0)
        elif what == "turn":
            await self.turn()
        elif what == "end":
            await self.end(which)
        else:
            await self.intervene(what, which)
        await self.judge()

    async def intervene(self, what: str, which: int) -> None:
        """Lock, override, unlock or cancel, as people do."""
        those = [one for one in await self.every() if one.state in OURS]
        if what == "lock":
            await self.journal.take_lock(LOCKS[which % len(LOCKS)], None, steal=True)
        elif what == "unlock":
            await self.journal.release_lock(BOB.scope, None)
        elif what == "override" and those:
            one = those[which % len(those)]
            keys = tuple(hold.key for hold in one.holds)
            await self.journal.lift(one.id, Lift(keys, "ada", "cli:ada", "the fix", self.clock.now))
        elif what == "cancel" and those:
            one = those[which % len(those)]
            await self.journal.cancel("app-web", self.seq, one.id)

    async def go_back(self, *, early: bool) -> None:
        """Record a way back from what is broken; `early`: before a push that came first."""
        broken = [one for one in await self.every() if one.state is State.UNHEALTHY]
        if not broken:
            return
        last = max(broken, key=lambda one: one.live_at or 0.0)
        push, self.seq = self.seq, self.seq + 2
        await self.wish(self.seq, back_from=last.id, **OWN)
        if early:
            await self.wish(push, push=self.moved())

    async def judge(self) -> None:
        """Judge what is held and due, as the gatekeeper does."""
        self.clock.now += 1
        while due := await self.journal.due_holds(self.clock.now, 99):
            for held in due:
                judged = await self.journal.judge(held.id, NO_GATES, seen=held.look_at)
                if judged is not None and judged.state is State.WAITING:
                    self.flows.append(flow_of(judged))

    async def turn(self) -> None:
        """Run the next flow until its deployment is intended, held or ended."""
        if self.going is not None or not self.flows:
            return
        flow = self.flows.pop(0)
        id_ = deployment_of(flow)
        if (await self.journal.deployment(id_)).state is not State.WAITING:
            return
        if await self.journal.intend(id_, [], NO_GATES) is not None:
            self.going = id_
        else:
            assert (await self.journal.deployment(id_)).state is not State.WAITING

    async def end(self, how: int) -> None:
        """End what the backend is asked for: refused, failed, or live and healthy or not."""
        if (id_ := self.going) is None:
            return
        self.going = None
        if how == 0:
            await self.journal.move(id_, State.FAILED, "refused")
            return
        ends = [State.FAILED, State.UNHEALTHY, State.DONE]
        way = [State.ASKED, *([State.VERIFYING] if how > 1 else []), ends[how - 1]]
        for state in way:
            self.clock.now += 1
            await self.journal.move(id_, state, str(state))
            await self.judge()

    async def come_to_rest(self) -> None:
        await self.journal.release_lock(BOB.scope, None)
        await self.judge()
        while self.flows or self.going is not None:
            await self.turn()
            await self.end(3)
            await self.judge()


def is_push(one: Deployment) -> bool:
    return one.action is Action.DEPLOY and one.target is None and not one.person


@given(steps)
@settings(max_examples=32, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_people_want_is_replaced_only_by_what_people_want_and_what_has_run(
    those: list[tuple[str, int]],
) -> None:
    async def play() -> None:
        world = World()
        world.journal = journal_in_memory(world.clock)
        try:
            for what, which in [("push", 0), ("turn", 0), ("end", 2), *those]:
                await world.step(what, which)
                await nothing_waits_for_what_does_not_go(world)
            await world.come_to_rest()
            await check(world)
        finally:
            await world.journal.stop()

    asyncio.run(play())


async def nothing_waits_for_what_does_not_go(world: World) -> None:
    every = {one.id: one for one in await world.every()}
    for one in every.values():
        for hold in one.holds:
            gate, _, ahead = hold.key.partition(":")
            assert gate != "order" or every[ahead].state is State.WAITING or ahead == world.going


async def check(world: World) -> None:
    every = {one.id: one for one in await world.every()}
    assert [str(one.state) for one in every.values() if not one.final] == []
    for one in every.values():
        if one.superseded_by is None:
            continue
        newer = every[one.superseded_by]
        assert newer.superseded_by != one.id
        assert one.back_from is not None or newer.back_from is None
        lived = {change.state for change in await world.journal.changes(newer.id)}
        same_gates = is_push(one) and not one.lifts and is_push(newer)
        assert same_gates or lived & ASKED_FOR
