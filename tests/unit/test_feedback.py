"""Every change reaches every place that shows it, however slow, dead or busy the places are."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from bridge.core import trace
from bridge.core.lifecycle import State
from bridge.journey.feedback import Feedback
from bridge.journey.showing import Persistence
from bridge.journey.turns import Turns
from bridge.ports import (
    Memory,
    Outcome,
    Raised,
    Remember,
    Story,
    Target,
    about_deployment,
)  # fmt: skip
from bridge.stores.journal import SqlJournal
from tests.fakes import Lifetime, ManualClock, deployment, journal_in_memory

DAY = 24 * 3600.0
PERSISTENCE = Persistence()


@dataclass
class RecordingPlace:
    """Shows the state of deployments, as a card does: only where it is not shown already.

    Attributes:
        shown: what was sent, by target id, oldest first.
        fails: what the next showings of a target raise.
        during: done while a target is shown, before anything is sent.
        hangs: targets that wait for `let_go`.
        further: what a target's showing wants besides.
    """

    shown: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    memories: list[Memory] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    fails: defaultdict[str, list[Exception]] = field(default_factory=lambda: defaultdict(list))
    during: dict[str, Callable[[], Awaitable[object]]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    further: dict[str, Sequence[Target]] = field(default_factory=dict)
    at_work: set[str] = field(default_factory=set)
    turn: Callable[[str], Awaitable[None]] | None = None

    async def show(
        self, target: Target, story: Story, memory: Memory, remember: Remember
    ) -> Sequence[Target]:
        assert target.id not in self.at_work, "one at a time"
        self.at_work.add(target.id)
        try:
            await self._show(target, story, memory, remember)
        finally:
            self.at_work.remove(target.id)
        return self.further.get(target.id, ())

    async def _show(self, target: Target, story: Story, memory: Memory, remember: Remember) -> None:
        self.memories.append(memory)
        self.stories.append(story)
        if target.id in self.hangs:
            await self.let_go.wait()
        if self.fails[target.id]:
            raise self.fails[target.id].pop(0)
        if target.id in self.during:
            await self.during.pop(target.id)()
        state = str(story.deployments[0].state) if story.deployments else "nothing"
        if memory.get("state") == state:
            return
        await asyncio.sleep(0)
        if self.turn is not None:
            await self.turn(target.lane)
        self.shown[target.id].append(state)
        await remember({"state": state, "link": f"https://chat.example/{target.id}"})


def card(id_: str, *, lane: str = "C1", name: str | None = None) -> Target:
    """A card about a deployment."""
    return Target(name or f"card {id_}", "card", lane, (about_deployment(id_),), {})


@dataclass
class Stage:
    """A journal with a place, and the loop between them."""

    clock: ManualClock
    journal: SqlJournal
    place: RecordingPlace = field(default_factory=RecordingPlace)
    turns: Turns = field(init=False)
    feedback: Feedback = field(init=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.clock, sleep=self.clock.sleep)
        self.feedback = self.loop()

    def loop(self, life: Lifetime | None = None, owner: str = "solo", **others: Any) -> Feedback:
        """A new one, as after every start."""
        life = life or Lifetime()
        journal: Any = life.mortal(self.journal)
        shows: Any = {"card": life.mortal(self.place)}
        return Feedback(
            journal, shows, self.clock, others.pop("persistence", PERSISTENCE),
            turns=self.turns, owner=owner, chance=lambda: 0.5,
        )  # fmt: skip

    async def deployed(self, seq: int = 1, app_id: str = "app-web", **card_: Any) -> str:
        """A deployment with a card."""
        new = deployment(seq, app_id)
        targets = (card(new.id, **card_),)
        await self.journal.record(
            [Outcome(seq, new.delivery, (), (new,), targets=targets)], window=600
        )
        return new.id

    async def once(self, feedback: Feedback | None = None) -> None:
        """What is due now, to its end."""
        feedback = feedback or self.feedback
        await feedback.look()
        await feedback.settled()

    async def quiet(self, feedback: Feedback | None = None, *, seconds: float = 60.0) -> None:
        """Let time pass, with all that becomes due in it."""
        feedback = feedback or self.feedback
        until = self.clock() + seconds
        while self.clock() < until:
            pause = await feedback.look()
            await feedback.settled()
            await self.clock.sleep(min(max(pause, 0.01), until - self.clock()))

    async def of(self, target_id: str) -> Raised:
        found = {one.target.id: one for one in await self.journal.feedback(limit=1000)}
        return found[target_id]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    clock = ManualClock()
    journal = journal_in_memory(clock)
    yield Stage(clock, journal)
    await journal.stop()


async def test_a_change_is_shown_once_and_only_once(stage: Stage) -> None:
    id_ = await stage.deployed()

    await stage.quiet()
    await stage.quiet()

    assert stage.place.shown == {f"card {id_}": ["waiting"]}
    assert len(stage.place.stories) == 1
    assert (await stage.of(f"card {id_}")).due_at is None


async def test_a_burst_of_changes_is_few_showings_and_the_right_one_last(stage: Stage) -> None:
    id_ = await stage.deployed()
    for number in range(300):
        await stage.journal.say(id_, f"line {number}")
        await stage.clock.sleep(0.002)
        await stage.once()
    await stage.journal.move(id_, State.ASKED)
    await stage.journal.move(id_, State.RUNNING)

    await stage.quiet()

    assert len(stage.place.stories) <= 4
    assert stage.place.shown[f"card {id_}"] == ["waiting", "running"]
    assert [change.note for change in stage.place.stories[-1].history[id_]][-3] == "line 299"


async def test_what_changes_while_it_is_shown_is_shown_after(stage: Stage) -> None:
    id_ = await stage.deployed()
    stage.place.during[f"card {id_}"] = lambda: stage.journal.move(id_, State.ASKED)

    await stage.quiet()

    assert stage.place.shown[f"card {id_}"] == ["waiting", "asked"]


async def test_what_is_done_to_show_it_is_about_its_delivery(stage: Stage) -> None:
    id_ = await stage.deployed()
    seen: list[str] = []

    async def look() -> None:
        seen.append(trace.current())

    stage.place.during[f"card {id_}"] = look
    await stage.quiet()

    assert seen == [deployment(1).delivery]
