"""Going back by chat: what is said before, who may do it, and what is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.events import parse_command
from bridge.core.lifecycle import Deployment, State
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.deploying import Kept
from bridge.views.values import plain
from bridge.views.view import View
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

ADA, EVE, BOB = Person("U0ADA", "Ada"), Person("U0EVE", "Eve"), Person("U0BOB", "Bob")
HERE = Place("C0SHOP")
WEB = app("app-web", name="web", project="shop")
GRANTS = (
    Grant(("U0ADA",), frozenset({Right.VIEW, Right.DEPLOY, Right.CANCEL})),
    Grant(("U0BOB",), frozenset({Right.VIEW})),
)


@dataclass
class Desk:
    commands: ChatCommands
    journal: SqlJournal
    inbox: SqliteInbox
    backend: FakeBackend
    clock: ManualClock

    async def say(self, typed: str, person: Person = ADA) -> AnyReply:
        return await self.commands.answer(person, HERE, parse(typed), "id-1")

    async def click(self, name: str = "rollback", person: Person = ADA, **given: str) -> AnyReply:
        """Carry out what a button calls."""
        call = Call(name, {"app": WEB.id, **given})
        return await self.commands.answer(person, HERE, call, "click-1")

    async def made(self, seq: int, version: str, state: State = State.DONE) -> Deployment:
        self.clock.now += 10
        job = self.backend.foreign(WEB, head=version * 40)
        one = deployment(
            seq, WEB.id, app=WEB.label, state=state, deployed_commit=version * 40,
            backend_id=job.id, live_at=self.clock.now,
        )  # fmt: skip
        await record(self.journal, outcome(seq, one))
        return one


def seen_in(said: AnyReply) -> str:
    """Return what a view that asks gives along: the way, the version, and what is served."""
    assert isinstance(said, View)
    assert said.asks is not None
    return str(said.asks.call.given["seen"])


def refused(said: AnyReply) -> str:
    """Return why something was not done."""
    assert isinstance(said, View)
    assert said.refused
    return plain(said.head)


@pytest.fixture
async def desk(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Desk]:
    clock.now = 1_700_000_000.0
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    backend = FakeBackend(clock)
    await journal.save_apps("dokploy", [WEB])
    known = Known(lambda: [WEB], dict, lambda _app, here: (here,), lambda: None)

    async def nobody(_deployment: Deployment) -> frozenset[str]:
        return frozenset()

    commands = ChatCommands(
        "slack", inbox, journal, known, Access(GRANTS), BuildLogs({}, journal), clock,
        ways=Ways({"dokploy": backend}, Looks(journal, clock)),
    )  # fmt: skip
    yield Desk(commands, journal, inbox, backend, clock)
    await inbox.stop()


async def test_it_says_how_and_does_nothing_before_that_is_confirmed(desk: Desk) -> None:
    old = await desk.made(1, "a")
    await desk.made(2, "b")

    said = await desk.say("rollback shop/web")

    seen = seen_in(said)
    assert seen.split()[:2] == ["kept", old.id]
    assert isinstance(said, View)
    assert plain(said.head).startswith("shop/web: go back from bbbbbbb to aaaaaaa")
    assert await desk.inbox.newest(5) == []

    done = await desk.click(seen=seen)

    assert isinstance(done, View)
    assert done.data == Kept("click-1", "rollback", WEB.label, WEB.id)
    (kept,) = await desk.inbox.newest(5)
    whole = await desk.inbox.find(kept.host, kept.id)
    assert whole is not None
    assert whole.body is not None
    asked = parse_command(whole.event, bytes(whole.body))
    assert (asked.deployment, asked.way, asked.person) == (old.id, "kept", "U0ADA")


async def test_the_button_of_an_unhealthy_one_leads_to_the_same(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)

    said = await desk.click(deployment=bad.id)

    assert seen_in(said).split()[1] == old.id


async def test_a_click_on_what_is_no_longer_live_does_nothing(desk: Desk) -> None:
    """A click means what was seen: another version may be live by now."""
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)
    await desk.made(3, "c")

    shown = await desk.click(deployment=bad.id)
    done = await desk.click(seen=f"kept {old.id} {bad.id}")

    for said in (shown, done):
        assert "By now another version of shop/web is live: ccccccc, by #3." in refused(said)
    assert await desk.inbox.newest(5) == []


async def test_a_click_does_nothing_while_it_is_not_known_what_is_live(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)
    await desk.made(3, "c", State.UNKNOWN)

    done = await desk.click(seen=f"kept {old.id} {bad.id}")

    assert refused(done) == "By now it is not known what shop/web serves. Nothing was done"
    assert await desk.inbox.newest(5) == []


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("rollback shop/web", "no healthy version before aaaaaaa"),
        ("rollback shop/web fffffff", "no healthy deployment of it has made 'fffffff'"),
        ("rollback shop/web aaaaaaa", "is what is served already"),
    ],
)
async def test_what_is_not_possible_is_said(desk: Desk, typed: str, says: str) -> None:
    await desk.made(1, "a")

    said = await desk.say(typed)

    assert isinstance(said, Sorry)
    assert says in said.why


async def test_who_may_not_deploy_may_not_go_back(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)

    for reply in (
        await desk.say("rollback shop/web", BOB),
        await desk.click(person=BOB, deployment=bad.id),
        await desk.click(person=BOB, seen=f"kept {old.id}"),
    ):
        assert isinstance(reply, Denied)
    assert isinstance(await desk.click(person=EVE, deployment=bad.id), Sorry | Denied)
    assert await desk.inbox.newest(5) == []


async def test_a_forged_target_of_another_app_is_not_gone_back_to(desk: Desk) -> None:
    """A click's value proves nothing: the target must be the app's own."""
    other = deployment(1, "app-vault", app="secret/vault", state=State.DONE)
    await record(desk.journal, outcome(1, other))
    await desk.made(2, "b")

    done = await desk.click(seen=f"kept {other.id}")

    assert "That version is gone" in refused(done)
    assert await desk.inbox.newest(5) == []


async def test_what_is_only_being_verified_is_not_cancelled(desk: Desk) -> None:
    """By command and by button; the remedy is a rollback."""
    await desk.made(1, "a")
    live = await desk.made(2, "b", State.VERIFYING)

    typed = await desk.say("cancel shop/web")
    clicked = await desk.click("cancel", deployment=live.id)

    for said in (typed, clicked):
        assert refused(said) == (
            "It can't be cancelled: deployment #2 is live already and is only being verified. A"
            " rollback leads back"
        )
        assert isinstance(said, View)
        assert [one.typed for one in said.offers] == ["rollback shop/web"]
    assert await desk.inbox.newest(5) == []


async def test_a_click_cancels_nothing_of_another_app(desk: Desk) -> None:
    """The right is to the app that is named; an id beside it proves nothing."""
    other = deployment(1, "app-vault", app="secret/vault", state=State.RUNNING)
    await record(desk.journal, outcome(1, other))
    await desk.made(2, "b", State.WAITING)

    said = await desk.click("cancel", deployment=other.id)

    assert said == Sorry("That deployment is gone.")
    assert await desk.inbox.newest(5) == []
