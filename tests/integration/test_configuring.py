"""What was agreed to in a chat is carried out once, whatever happens in between."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, SourceType
from bridge.core.configuration.configuration import GitSource
from bridge.core.configuration.merge import NoSource, Wanted, WantedSource
from bridge.core.decision import Policy
from bridge.core.errors import NotFound, Refused, Unanswered, Unreachable
from bridge.core.events import Action, Asked, write_command
from bridge.core.lifecycle import deployment_id
from bridge.core.people import Actor
from bridge.pipeline.deploying.config_drafts import ConfigDrafts, Configuring
from bridge.pipeline.deploying.configure import Configurer
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.ports.outcomes import DONE, Audited
from bridge.storage.inbox.batches import pack
from bridge.storage.inbox.reading import PackedBody
from bridge.storage.journal import SqlJournal
from bridge.storage.seal import FernetSeal
from tests.fakes.journey import Death, KeptSteps, Lifetime, ManualClock
from tests.worlds.embedded import Maker
from tests.worlds.meddled import Meddled, failing

GIT = GitSource(url="https://example.com/a.git", branch="main")
DEV = WantedSource(None, {"branch": "dev"})
SECRET = "hunter2 of the tests"
IMAGE = WantedSource(SourceType.DOCKER, {"image": "web:1", "password": SecretStr(SECRET)})


@dataclass
class Kept:
    """An inbox of what was asked for."""

    asked: dict[int, Asked] = field(default_factory=dict)

    async def get(self, seq: int) -> Delivery | None:
        if (one := self.asked.get(seq)) is None:
            return None
        return Delivery(
            *(seq, "slack", f"slack-{seq}", one.action, {}, 0.0, DeliveryState.KEPT),
            stored=PackedBody(pack(write_command(one))),
        )


@dataclass
class Stage:
    """Everything that carries out a change."""

    backend: Meddled
    journal: SqlJournal
    app: App
    clock: ManualClock
    seal: FernetSeal = field(default_factory=lambda: FernetSeal(lambda: ["a key"]))
    inbox: Kept = field(default_factory=Kept)
    may: str | None = None
    life: Lifetime = field(default_factory=Lifetime)

    @property
    def configurer(self) -> Configurer:
        backend = self.life.mortal(self.backend)
        journal = self.life.mortal(self.journal)
        return Configurer(backend, journal, self.clock, seal=self.seal, sleep=self.clock.sleep)

    def desk(self, backends: Any = None, **others: Any) -> ConfigDrafts:
        there = {self.app.backend: self.configurer}
        inbox: Any = self.inbox
        return ConfigDrafts(
            there, backends or {}, inbox, self.journal, {}, self.seal, policy=Policy(), **others
        )

    async def permits(self, user: str, app: App, channel: str) -> str | None:
        assert (user, app.id, channel) == ("U1", self.app.id, "C1")
        return self.may

    async def agree(self, wanted: Wanted, seq: int = 1) -> str:
        """Somebody has seen a change and agreed; the id of its draft."""
        desk = self.desk()
        draft = await desk.keep(await desk.plan(self.app, wanted))
        self.ask(Action.CONFIGURE, draft, seq)
        return draft

    def ask(self, action: Action, draft: str = "", seq: int = 1) -> None:
        self.inbox.asked[seq] = Asked(
            action, self.app.id, Actor("slack", "Ada"), "U1", "C1", app="shop/web", draft=draft
        )

    async def run(self, seq: int = 1, steps: KeptSteps | None = None) -> Audited:
        """Carry it out; its note in the end."""
        flow = Configuring(
            {self.app.backend: self.configurer},
            self.inbox,  # type: ignore[arg-type]
            self.life.mortal(self.journal),
            self.seal,
            {"slack": self.permits},
            self.clock,
            sleep=self.clock.sleep,
        )
        await flow.run(steps or KeptSteps(), deployment_id(seq, self.app.id))
        note = await self.journal.change_of(seq)
        assert note is not None
        return note

    async def source(self) -> Any:
        return (await self.backend.inner.saved(self.app)).provider


@pytest.fixture
async def stage(maker: Maker, journal: SqlJournal, clock: ManualClock) -> Stage:
    app = await maker.create_app("web", project="shop", source=GIT)
    await journal.save_apps(maker.name, [app])
    return Stage(Meddled(maker), journal, app, clock)


async def test_disconnecting_and_undoing_are_planned_when_they_are_made(stage: Stage) -> None:
    """A release that showed no view of what would be forgotten kept no draft of it either."""
    stage.ask(Action.DISCONNECT)
    first = await stage.run()
    assert await stage.source() is None

    stage.ask(Action.UNDO, str(first.number), seq=2)
    second = await stage.run(2)

    assert await stage.source() == GIT
    assert (first.what, second.what) == ("provider disconnect", "provider undo")
    assert second.undoes == first.number


async def test_it_is_refused_where_the_right_is_gone_or_the_source_has_changed(
    stage: Stage,
) -> None:
    draft = await stage.agree(DEV)
    await stage.agree(DEV, seq=2)
    stage.may = "You may not."
    first = await stage.run(1)
    stage.may = None
    await stage.backend.inner.save_provider(stage.app, GIT.model_copy(update={"branch": "theirs"}))
    second = await stage.run(2)
    stage.ask(Action.UNDO, "999", seq=3)
    third = await stage.run(3)

    assert first.outcome == "Rejected: You may not."
    assert second.outcome.startswith("Overtaken: ")
    assert "branch: main → theirs" in second.outcome
    assert third.outcome.startswith("NotFound: ")
    assert (await stage.source()).branch == "theirs"
    assert await stage.journal.draft(draft) is None


async def test_while_the_backend_is_away_it_waits_and_the_note_says_so(stage: Stage) -> None:
    draft = await stage.agree(DEV)
    said: list[str] = []

    async def away() -> None:
        note = await stage.journal.change_of(1)
        said.append(note.outcome if note else "")
        if len(said) < 4:
            stage.backend.before["saved"] = away
            raise Unreachable("dokploy", "ConnectError", retry_after=7.0 if said[1:] else None)

    stage.backend.before["saved"] = away
    note = await stage.run()

    assert note.result == DONE
    assert said[1].startswith("waits for the backend: dokploy can't be reached")
    assert stage.clock.slept == [1.0, 7.0, 7.0]
    assert await stage.journal.draft(draft) is None
    assert (await stage.source()).branch == "dev"


@pytest.mark.parametrize("arrives", [True, False])
async def test_where_no_write_is_ever_answered_the_row_decides_what_is_said(
    stage: Stage, arrives: bool
) -> None:
    await stage.agree(DEV)

    async def lost() -> None:
        stage.backend.before["write_source"] = lost
        if arrives:
            dev = GIT.model_copy(update={"branch": "dev"})
            await stage.backend.inner.save_provider(stage.app, dev)
        raise Unanswered("dokploy", "application.update: HTTP 502")

    stage.backend.before["write_source"] = lost
    note = await stage.run()

    if arrives:
        assert note.result == DONE
        assert (await stage.configurer.plan_undo(stage.app)).undoes == note.number
    else:
        assert note.outcome.startswith("Unanswered: ")
        assert note.outcome.endswith("shop/web is still as it was: ask again")
        assert note.perhaps
        with pytest.raises(NotFound, match="no change of shop/web to undo"):
            await stage.configurer.plan_undo(stage.app)


async def test_what_somebody_else_changed_after_half_of_it_is_told_with_that_half(
    stage: Stage,
) -> None:
    await stage.agree(WantedSource(None, {"branch": "dev", "watch_paths": ("web/**",)}))
    half = GIT.model_copy(update={"branch": "dev", "watch_paths": ("theirs/**",)})
    await stage.backend.inner.save_provider(stage.app, half)

    note = await stage.run()

    assert note.outcome.startswith(
        "Overtaken: shop/web was changed by somebody else in the meantime (watch_paths): branch is"
        " as asked, and nothing more was written"
    )


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Refused("dokploy", "not today"), "Refused: dokploy: not today"),
        (
            KeyError("secret words"),
            "outcome unknown: the bridge had an internal error (KeyError)",
        ),
    ],
)
async def test_what_the_backend_refuses_is_said_in_its_words_and_a_fault_of_our_own_by_its_kind(
    stage: Stage, error: Exception, outcome: str
) -> None:
    await stage.agree(DEV)

    stage.backend.before["write_source"] = failing(error)
    note = await stage.run()

    assert note.over
    assert note.outcome == outcome
    assert [one.field for one in note.difference] == ["branch"]


async def test_a_draft_or_an_app_that_is_gone_is_told(stage: Stage) -> None:
    draft = await stage.agree(DEV)
    await stage.journal.drop_draft(draft)
    first = await stage.run()
    stage.ask(Action.UNDO, "not a number", seq=2)
    second = await stage.run(2)
    await stage.agree(DEV, seq=3)
    form = json.loads(stage.seal.open(str(await stage.journal.draft(stage.inbox.asked[3].draft))))
    other = stage.seal.close(json.dumps(form | {"app": "another"}))
    await stage.journal.keep_draft(stage.inbox.asked[3].draft, other)
    third = await stage.run(3)

    for one in (first, third):
        assert one.outcome.endswith("no longer stored: open the dialog again")
    assert second.outcome == "Rejected: the request does not say which change to undo"
    assert (await stage.source()).branch == "main"


@pytest.mark.parametrize("begun", [False, True])
async def test_what_was_asked_and_is_forgotten_by_now_waits_for_nothing(
    stage: Stage, begun: bool
) -> None:
    await stage.agree(DEV)
    if begun:
        stage.life = Lifetime(until=9)
        with pytest.raises(Death):
            await stage.run()
        stage.life = Lifetime()
    stage.inbox.asked.clear()

    note = await stage.run()

    assert note.over
    assert note.outcome.startswith("Rejected: the requested change is no longer stored")
    assert stage.clock.slept == []


@pytest.mark.parametrize("wanted", [DEV, NoSource(), IMAGE])
async def test_dying_at_any_moment_it_is_made_once_and_noted_once(
    stage: Stage, wanted: Wanted
) -> None:
    """The flow is run again after each death, as the engine does."""
    await stage.agree(wanted)
    (asked,) = stage.inbox.asked.values()
    assert SECRET.encode() not in write_command(asked)
    expected = (await stage.configurer.plan(stage.app, wanted)).after
    moment = 0
    while True:
        moment += 1
        assert moment < 200
        stage.life = Lifetime(until=moment)
        try:
            note = await stage.run()
        except Death:
            continue
        break

    assert (str(note.by), note.result) == ("slack: Ada (U1)", DONE)
    assert await stage.source() == expected.saved.provider
    assert SECRET not in repr(note) + note.undoing
    assert (await stage.configurer.plan_undo(stage.app)).undoes == note.number
    assert len(await stage.journal.audited(limit=9)) == 1
    assert moment > 5


# ── the desk ─────────────────────────────────────────────────────────────────


async def test_a_backend_without_lists_offers_none(stage: Stage) -> None:
    desk = stage.desk({stage.app.backend: stage.backend.inner})

    assert await desk.accounts(stage.app) == []
    with pytest.raises(NotFound, match="no such Git account"):
        await desk.repositories(stage.app, "any")


async def test_what_was_read_a_moment_ago_is_not_read_again_and_errors_are_not_kept(
    stage: Stage,
) -> None:
    desk = stage.desk(clock=stage.clock)
    reads: list[float] = []

    async def counted() -> None:
        stage.backend.before["saved"] = counted
        reads.append(stage.clock.now)
        if len(reads) == 1:
            raise Unreachable("dokploy", "ConnectError")

    stage.backend.before["saved"] = counted
    with pytest.raises(Unreachable):
        await desk.lately(stage.app)
    await desk.lately(stage.app)
    await desk.lately(stage.app)
    assert len(reads) == 2
    await desk.now(stage.app)
    await desk.lately(stage.app)
    assert len(reads) == 3
    stage.clock.now += 61
    await desk.lately(stage.app)
    assert len(reads) == 4
