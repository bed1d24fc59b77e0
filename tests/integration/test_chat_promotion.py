"""Promoting by chat: what is said before, who may do it, and what is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.apps import Rules
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.events import parse_command
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import pin_for
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
from tests.fakes.journey import ManualClock, app, deployment, source
from tests.worlds.journal import outcome, record

ADA, BOB, EVE = Person("U0ADA", "Ada"), Person("U0BOB", "Bob"), Person("U0EVE", "Eve")
HERE = Place("C0SHOP")
STAGING = app("app-stage", name="web", project="shop", environment="staging")
LIVE = app("app-live", name="web", project="shop", environment="production")
RULES = Rules(branch="main", pin=True, approvals=2, after=("shop/staging/web",))
PINNED = replace(LIVE, source=source(branch=pin_for(LIVE)), rules=RULES)
VAULT = app("app-vault", name="vault", project="secret")
APPS = [STAGING, PINNED, VAULT]
SHOP = ("shop/**",)
GRANTS = (
    Grant(("U0ADA",), frozenset({Right.VIEW, Right.DEPLOY}), SHOP),
    Grant(("U0BOB",), frozenset({Right.VIEW}), SHOP),
)


@dataclass
class Desk:
    commands: ChatCommands
    journal: SqlJournal
    inbox: SqliteInbox

    async def say(self, typed: str, person: Person = ADA) -> AnyReply:
        return await self.commands.answer(person, HERE, parse(typed), "id-1")

    async def click(self, version: Deployment, person: Person = ADA) -> AnyReply:
        """Carry out what the button of an offer calls."""
        given = {"app": PINNED.id, "source": STAGING.id, "seen": f"pin {version.id}"}
        return await self.commands.answer(person, HERE, Call("promote", given), "click-1")

    async def made(self, seq: int, version: str, app_id: str = STAGING.id) -> Deployment:
        label = next(one.label for one in APPS if one.id == app_id)
        facts: dict[str, Any] = {"app": label, "state": State.DONE, "live_at": float(seq)}
        facts["deployed_commit"] = version * 40
        one = deployment(seq, app_id, **facts)
        await record(self.journal, outcome(seq, one))
        return one


@pytest.fixture
async def desk(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> AsyncIterator[Desk]:
    clock.now = 1_700_000_000.0
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    await journal.save_apps("dokploy", APPS)
    known = Known(lambda: APPS, dict, lambda _app, here: (here,), lambda: None)

    async def nobody(_deployment: Deployment) -> frozenset[str]:
        return frozenset()

    commands = ChatCommands(
        "slack", inbox, journal, known, Access(GRANTS), BuildLogs({}, journal), clock,
        ways=Ways({}, Looks(journal, clock)),
    )  # fmt: skip
    yield Desk(commands, journal, inbox)
    await inbox.stop()


WORDS = "promote shop/production/web from shop/staging/web"


async def test_it_shows_what_is_new_and_is_kept_once_confirmed(desk: Desk) -> None:
    await desk.made(1, "a")
    await desk.made(2, "b")
    await desk.made(3, "a", PINNED.id)

    said = await desk.say(WORDS)

    assert isinstance(said, View)
    assert [one["commit"] for one in said.data["news"]] == ["b" * 40]
    assert said.asks is not None
    assert await desk.inbox.newest(5) == []

    done = await desk.commands.answer(ADA, HERE, said.asks.call, "click-1")

    assert isinstance(done, View)
    assert done.data == Kept("click-1", "deploy", PINNED.label, PINNED.id)
    (kept,) = await desk.inbox.newest(5)
    whole = await desk.inbox.find(kept.host, kept.id)
    assert whole is not None
    assert whole.body is not None
    asked = parse_command(whole.event, bytes(whole.body))
    assert (asked.target, asked.commit, asked.way) == (PINNED.id, "b" * 40, "pin")


async def test_it_names_the_gates_that_it_has_to_pass(desk: Desk) -> None:
    await desk.made(1, "a")
    for person in ("slack:U0BOB", "slack:U0ADA"):  # her own lock lets her pass
        scope = f"app/{PINNED.id}" if person == "slack:U0BOB" else "project/shop"
        lock = Lock(scope, PINNED.label, person, person[-3:], "I look", 1_700_000_000.0)
        await desk.journal.take_lock(lock, None, steal=False)

    said = await desk.say(WORDS)

    assert isinstance(said, View)
    requires = "2 approvals, that it is live in shop/staging/web"
    assert [plain(one) for one in said.notes[:2]] == [
        "it will be held: shop/production/web is locked by BOB: I look",
        f"shop/production/web requires for aaaaaaa: {requires}",
    ]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("promote shop/staging/web from shop/production/web", "is known to run"),
        ("promote shop/production/web", "From APP? The app whose version"),
        (
            "promote shop/production/web shop/staging/web",
            "From APP? The app whose version",
        ),
        (f"{WORDS} now", "That is more than `promote` takes."),
        ("promote shop/production/web from secret/vault", "There is no app 'secret/vault'"),
    ],
)
async def test_what_is_not_possible_is_said(desk: Desk, typed: str, says: str) -> None:
    await desk.made(1, "a")

    said = await desk.say(typed)

    assert isinstance(said, Sorry)
    assert says in said.why


async def test_who_may_not_deploy_there_or_see_the_version_may_not_promote(desk: Desk) -> None:
    hidden = await desk.made(1, "a", VAULT.id)
    version = await desk.made(2, "b")

    assert isinstance(await desk.say(WORDS, BOB), Denied)
    assert isinstance(await desk.say(WORDS, EVE), Denied)
    assert isinstance(await desk.click(version, BOB), Denied)
    forged = await desk.click(hidden)
    assert isinstance(forged, View)
    assert forged.refused
    assert await desk.inbox.newest(5) == []


async def test_a_button_of_yesterday_promotes_nothing(desk: Desk) -> None:
    old = await desk.made(1, "a")
    await desk.made(2, "b")

    done = await desk.click(old)

    assert isinstance(done, View)
    assert done.refused
    assert "another one runs there now" in plain(done.head)
