"""Any order of pushes, checks, locks, freezes, approvals, restarts and changes of the clock.

Whatever happens: nothing is asked for while a gate holds, each held deployment is superseded,
lifted or deployed, the newest push is deployed last, and nothing is asked for twice. The oracle
knows the world and not the code: what the host lists, who holds which lock, what a clock shows.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from bridge.core.apps import App, Rules
from bridge.core.checks import CheckPolicy, CheckState, Need, Otherwise
from bridge.core.gates import approvals
from bridge.core.gates.freezes import Freeze, Window, read_at
from bridge.core.gates.locks import EVERYTHING
from bridge.core.lifecycle import State
from bridge.pipeline.gates.gates import LIST_LASTS
from tests.worlds.gates import ADA, GRACE, MONO, GateWorld, gated

BERLIN = ZoneInfo("Europe/Berlin")
SPRING = datetime(2027, 3, 27, 22, 0, tzinfo=BERLIN).timestamp()
AUTUMN = datetime(2026, 10, 24, 22, 0, tzinfo=BERLIN).timestamp()
"""A few hours before each change of the clocks."""

APPS = ("app-web", "app-api")
POLICY = CheckPolicy(Need.ALL, none=Otherwise.HOLD)
NIGHT = Freeze(
    "freezes[0]", ("*",), "the night", (Window(read_at("01:30"), read_at("02:30"), BERLIN),)
)


@dataclass
class Truth:
    """What is so, as the test has made it.

    Attributes:
        states: of each commit's only check, with the times at which it became so.
        lifted: the commits for which somebody has lifted everything.
    """

    lock_until: float | None = None
    frozen: bool = False
    approved: set[tuple[str, str]] = field(default_factory=set)
    states: dict[str, list[tuple[float, CheckState]]] = field(default_factory=dict)
    lifted: set[str] = field(default_factory=set)
    pushed: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def locked(self, now: float) -> bool:
        return self.lock_until is not None and now < self.lock_until

    def night(self, now: float) -> bool:
        """Whether a clock on the wall shows a time between 01:30 and 02:30, or has to go back."""
        shows = datetime.fromtimestamp(now, BERLIN)
        back = datetime.fromtimestamp(now + 3600, BERLIN)
        minute = shows.hour * 60 + shows.minute
        twice = back.hour * 60 + back.minute == minute  # this hour comes again
        inside = 90 <= minute < 150
        return inside or (twice and minute >= 90) or self._before_the_second(shows, now)

    def _before_the_second(self, shows: datetime, now: float) -> bool:
        """Between the first 02:30 and the last, which the freeze covers as well."""
        before = datetime.fromtimestamp(now - 3600, BERLIN)
        repeated = before.hour == shows.hour and before.minute == shows.minute
        return repeated and shows.hour * 60 + shows.minute < 150

    def green(self, commit: str, now: float) -> bool:
        """Whether its check was green at some moment for which a list may still count."""
        history = self.states.get(commit, [])
        for place, (_, state) in enumerate(history):
            until = history[place + 1][0] if place + 1 < len(history) else now
            if state is CheckState.PASSED and until >= now - LIST_LASTS:
                return True
        return False


class Interleavings(RuleBasedStateMachine):
    """The machine; each rule is something that may happen at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.truth = Truth()
        self.number = 0

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize(start=st.sampled_from([SPRING, AUTUMN]), strict=st.booleans(), busy=st.booleans())
    def begin(self, start: float, strict: bool, busy: bool) -> None:
        """Begin; `busy`: everything settles after each step, and not only in a rest."""
        self.strict = strict
        self.busy = busy
        self.do(self._begin(start))

    async def _begin(self, start: float) -> None:
        self.world = GateWorld(freezes=[NIGHT])
        self.world.clock.now = start
        self.world.backend.watch = self._watch  # type: ignore[method-assign]
        rules = Rules(checks=POLICY, approvals=1 if self.strict else None)
        await self.world.add(*(gated(one, rules=rules) for one in APPS))

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self._open_everything()
        finally:
            if hasattr(self, "world"):
                self.do(self.world.journal.stop())
            self.loop.close()

    # ── the oracle ────────────────────────────────────────────────────────

    def _watch(self, app: App) -> None:
        """Check a request at the moment at which it reaches the backend."""
        now, truth = self.world.clock.now, self.truth
        commit = self.world.host.heads["main"]
        truth.asked.append((app.id, commit))
        if f"{app.id} {commit}" in truth.lifted:
            return
        assert not truth.locked(now), "asked for while locked"
        assert not truth.frozen, "asked for while frozen"
        assert not truth.night(now), "asked for at night"
        assert truth.green(commit, now), "asked for before its checks were green"
        if self.strict:
            assert (app.id, commit) in truth.approved, "asked for without an approval"

    @invariant()
    def all_settles(self) -> None:
        if hasattr(self, "world") and self.busy:
            self.do(self.world.settle())

    @invariant()
    def nothing_is_asked_for_twice(self) -> None:
        assert len(self.truth.asked) == len(set(self.truth.asked))

    @invariant()
    def one_deployment_of_an_app_is_held_at_most(self) -> None:
        if hasattr(self, "world"):
            going = self.do(self.world.journal.open_deployments())
            held = [one.app_id for one in going if one.state is State.HELD]
            assert len(held) == len(set(held))

    # ── what may happen ───────────────────────────────────────────────────

    @rule(app=st.sampled_from(APPS))
    def push(self, app: str) -> None:
        self.number += 1
        commit = f"{self.number:040x}"
        self.truth.pushed[app] = commit
        self.do(self.world.push(commit, app))

    @rule(state=st.sampled_from(CheckState), told=st.booleans(), back=st.integers(0, 2))
    def check(self, state: CheckState, told: bool, back: int) -> None:
        commit = f"{max(self.number - back, 1):040x}"
        new = self.world.check(commit, "build", state)
        self.truth.states.setdefault(commit, []).append((self.world.clock.now, state))
        if told:
            self.do(self.world.ci.report(MONO, commit, new))

    @rule()
    def turns_green(self) -> None:
        self.check(CheckState.PASSED, told=True, back=0)

    @rule(seconds=st.sampled_from([60.0, 3600.0]))
    def lock(self, seconds: float) -> None:
        self.do(self.world.commands.lock(ADA, EVERYTHING, "a release", seconds=seconds))
        self.truth.lock_until = self.world.clock.now + seconds

    @rule()
    def unlock(self) -> None:
        self.do(self.world.commands.unlock(ADA, EVERYTHING))
        self.truth.lock_until = None

    @rule()
    def freeze(self) -> None:
        self.do(self.world.commands.freeze(ADA, EVERYTHING, "an incident"))
        self.truth.frozen = True

    @rule()
    def unfreeze(self) -> None:
        self.do(self.world.commands.unfreeze(ADA, EVERYTHING))
        self.truth.frozen = False

    @rule(app=st.sampled_from(APPS))
    def approve(self, app: str) -> None:
        for held in self._held(app):
            key = approvals.approval_key(held.head or held.commit or "")  # an unknown has another
            if any(one.key == key for one in held.holds):
                self.do(self.world.approve(GRACE, held))
                self.truth.approved.add((app, held.head or held.commit))

    @rule(app=st.sampled_from(APPS))
    def lift(self, app: str) -> None:
        for held in self._held(app):
            self.do(self.world.commands.lift(GRACE, held, "urgent"))
            commit = self.world.host.heads["main"]
            if held.head == commit and {"checks", "approval"} >= {
                str(one.gate) for one in held.holds
            }:
                self.truth.approved.add((app, commit))
            self.truth.lifted.add(f"{app} {commit}")

    def _held(self, app: str) -> list[Any]:
        going = self.do(self.world.journal.open_deployments())
        return [one for one in going if one.app_id == app and one.state is State.HELD]

    @rule(seconds=st.sampled_from([5.0, 31.0, 600.0, 3600.0, 5400.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.now += seconds

    @rule(away=st.booleans())
    def the_host_comes_and_goes(self, away: bool) -> None:
        self.world.host.away = away

    @rule()
    def restart(self) -> None:
        self.world.start()

    @rule()
    def rest(self) -> None:
        self.do(self.world.settle())

    # ── in the end ────────────────────────────────────────────────────────

    def _open_everything(self) -> None:
        """Open all gates: the newest push of each app must be the last that is deployed.

        Locks expire by themselves.
        """
        world, truth = self.world, self.truth
        world.host.away = False
        self.unfreeze()
        if self.number:
            head = world.host.heads["main"]
            world.check(head, "build", CheckState.PASSED)
            truth.states.setdefault(head, []).append((world.clock.now, CheckState.PASSED))
        for _ in range(8):
            world.clock.now += 3600.0
            self.do(world.settle())
            for app in APPS:
                self.approve(app)
            self.do(world.settle())
        assert self.do(world.journal.open_deployments()) == []
        for app, commit in truth.pushed.items():
            newest = self.do(world.journal.deployments(limit=1, app_id=app))[0]
            assert (newest.commit, newest.state) == (commit, State.DONE)
        self.nothing_is_asked_for_twice()


@pytest.mark.drawn
def test_nothing_passes_a_closed_gate_and_nothing_stays_behind_an_open_one() -> None:
    run_state_machine_as_test(
        Interleavings,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            suppress_health_check=list(HealthCheck),
        ),
    )


# ── planted bugs, each with steps that lead to it ───────────────────────────────────────────────

Steps = Callable[[Interleavings], None]


def an_approval_of_an_older_commit(machine: Interleavings) -> None:
    machine.push("app-web")
    machine.rest()
    machine.approve("app-web")
    machine.push("app-web")
    machine.turns_green()
    machine.rest()


def a_re_run_whose_event_was_lost(machine: Interleavings) -> None:
    """Long after the push, when polls are rare."""
    machine.freeze()
    machine.push("app-web")
    machine.rest()
    machine.wait(3600.0)
    machine.turns_green()
    machine.rest()
    machine.check(CheckState.FAILED, told=False, back=0)
    machine.wait(31.0)
    machine.wait(5.0)
    machine.unfreeze()
    machine.rest()


def a_night_with_two_hours_of_one_name(machine: Interleavings) -> None:
    for _ in range(4):
        machine.wait(3600.0)
        machine.wait(600.0)
    machine.push("app-web")
    machine.turns_green()
    machine.rest()


def counts_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(approvals, "counts", lambda *_: True)


def old_lists_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.pipeline.gates.gates.LIST_LASTS", 1e9)


def summer_never_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = ZoneInfo("Etc/GMT-2")

    def closed(self: Window, now: float) -> Any:
        return real(Window(self.begins, self.ends, fixed), now)

    real = Window.closed
    monkeypatch.setattr(Window, "closed", closed)


BUGS = [
    pytest.param(an_approval_of_an_older_commit, counts_any, True, id="an old approval counts"),
    pytest.param(a_re_run_whose_event_was_lost, old_lists_count, False, id="an old list counts"),
    pytest.param(a_night_with_two_hours_of_one_name, summer_never_ends, False, id="summer stays"),
]


def play(steps: Steps, *, strict: bool) -> None:
    machine = Interleavings()
    try:
        machine.begin(AUTUMN, strict=strict, busy=False)
        steps(machine)
    finally:
        machine.teardown()


@pytest.mark.parametrize(("steps", "bug", "strict"), BUGS)
def test_a_planted_bug_is_found(
    steps: Steps, bug: Any, strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(steps, strict=strict)
    bug(monkeypatch)

    with pytest.raises(AssertionError):
        play(steps, strict=strict)
