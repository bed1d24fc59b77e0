"""Going back by chat: what is said before, who may do it, and what is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.replies import Accepted, AppList, Denied, Sorry, WayBackFound
from bridge.core.events import Action, parse_command
from bridge.core.lifecycle import Deployment, State
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.pipeline.feedback.lookup import BuildLogs, Known
from bridge.ports.chats import AnyReply, Place
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
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

    async def made(self, seq: int, version: str, state: State = State.DONE) -> Deployment:
        self.clock.now += 10
        job = self.backend.foreign(WEB, head=version * 40)
        one = deployment(
            seq, WEB.id, app=WEB.label, state=state, deployed_commit=version * 40,
            backend_id=job.id, live_at=self.clock.now,
        )  # fmt: skip
        await record(self.journal, outcome(seq, one))
        return one


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

    assert isinstance(said, WayBackFound)
    assert (said.to.id, said.way) == (old.id, "kept")
    assert said.says.startswith("go back from bbbbbbb to aaaaaaa")
    assert await desk.inbox.newest(5) == []

    done = await desk.commands.ask(
        ADA, HERE, Action.ROLLBACK, WEB.id, "click-1", deployment=said.to.id, way=said.way
    )

    assert isinstance(done, Accepted)
    (kept,) = await desk.inbox.newest(5)
    whole = await desk.inbox.find(kept.host, kept.id)
    assert whole is not None
    assert whole.body is not None
    asked = parse_command(whole.event, bytes(whole.body))
    assert (asked.deployment, asked.way, asked.person) == (old.id, "kept", "U0ADA")


async def test_the_button_of_an_unhealthy_one_leads_to_the_same(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)

    said = await desk.commands.way_back(ADA, HERE, bad.id)

    assert isinstance(said, WayBackFound)
    assert said.to.id == old.id


async def test_a_click_on_what_is_no_longer_live_does_nothing(desk: Desk) -> None:
    """A click means what was seen: another version may be live by now."""
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)
    await desk.made(3, "c")

    shown = await desk.commands.way_back(ADA, HERE, bad.id)
    done = await desk.commands.ask(
        ADA, HERE, Action.ROLLBACK, WEB.id, "click-1",
        deployment=old.id, way="kept", served=bad.id,
    )  # fmt: skip

    for said in (shown, done):
        assert isinstance(said, Sorry)
        assert "By now another version of shop/web is live: ccccccc, by #3." in said.why
    assert await desk.inbox.newest(5) == []


async def test_a_click_does_nothing_while_it_is_not_known_what_is_live(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)
    await desk.made(3, "c", State.UNKNOWN)

    done = await desk.commands.ask(
        ADA, HERE, Action.ROLLBACK, WEB.id, "click-1",
        deployment=old.id, way="kept", served=bad.id,
    )  # fmt: skip

    assert isinstance(done, Sorry)
    assert done.why == "By now it is not known what shop/web serves. Nothing was done."
    assert await desk.inbox.newest(5) == []


async def test_a_version_can_be_named(desk: Desk) -> None:
    oldest = await desk.made(1, "a")
    await desk.made(2, "b")
    await desk.made(3, "c")

    said = await desk.say("rollback shop/web aaaaaaa")

    assert isinstance(said, WayBackFound)
    assert said.to.id == oldest.id


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


async def test_without_a_way_it_says_what_to_switch_on(desk: Desk) -> None:
    await desk.made(1, "a")
    await desk.made(2, "b")
    desk.backend.keeps = False

    said = await desk.say("rollback shop/web")

    assert isinstance(said, Sorry)
    assert "switch on rollbacks for the app in dokploy" in said.why


async def test_who_may_not_deploy_may_not_go_back(desk: Desk) -> None:
    old = await desk.made(1, "a")
    bad = await desk.made(2, "b", State.UNHEALTHY)

    for reply in (
        await desk.say("rollback shop/web", BOB),
        await desk.commands.way_back(BOB, HERE, bad.id),
        await desk.commands.ask(
            BOB, HERE, Action.ROLLBACK, WEB.id, "click-1", deployment=old.id, way="kept"
        ),
    ):
        assert isinstance(reply, Denied)
    assert isinstance(await desk.commands.way_back(EVE, HERE, bad.id), Sorry | Denied)
    assert await desk.inbox.newest(5) == []


async def test_a_forged_target_of_another_app_is_not_gone_back_to(desk: Desk) -> None:
    """A click's value proves nothing: the target must be the app's own."""
    other = deployment(1, "app-vault", app="secret/vault", state=State.DONE)
    await record(desk.journal, outcome(1, other))
    await desk.made(2, "b")

    done = await desk.commands.ask(
        ADA, HERE, Action.ROLLBACK, WEB.id, "click-1", deployment=other.id, way="kept"
    )

    assert isinstance(done, Sorry)
    assert await desk.inbox.newest(5) == []


async def test_what_is_only_being_verified_is_not_cancelled(desk: Desk) -> None:
    """By command and by button; the remedy is a rollback."""
    await desk.made(1, "a")
    live = await desk.made(2, "b", State.VERIFYING)

    typed = await desk.say("cancel shop/web")
    clicked = await desk.commands.ask(
        ADA, HERE, Action.CANCEL, WEB.id, "click-1", deployment=live.id
    )

    expected = Sorry(
        "It can't be cancelled: deployment #2 is live already and is only being verified. A"
        " rollback leads back.",
        ("rollback shop/web",),
    )
    assert typed == clicked == expected
    assert await desk.inbox.newest(5) == []


async def test_what_waits_behind_it_is_cancelled_all_the_same(desk: Desk) -> None:
    live = await desk.made(2, "b", State.VERIFYING)
    waits = await desk.made(3, "c", State.WAITING)

    assert isinstance(await desk.say("cancel shop/web"), Accepted)

    await desk.journal.cancel(WEB.id, 9)
    found = [await desk.journal.deployment(one.id) for one in (live, waits)]
    assert [one and one.state for one in found] == [State.VERIFYING, State.CANCELLED]


async def test_the_list_of_apps_tells_what_is_live(desk: Desk) -> None:
    one = await desk.made(1, "a", State.WAITING)
    await desk.journal.move(one.id, State.DONE, "live", deployed_commit="a" * 40)

    said = await desk.say("apps")

    assert isinstance(said, AppList)
    assert said.live[WEB.id].commit == "a" * 40
