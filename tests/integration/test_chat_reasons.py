"""Why, and logs, as people ask by chat: nobody learns of what they may not see, nor of secrets."""

from pathlib import Path
from typing import Any

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Sorry
from bridge.core.lifecycle import State
from bridge.core.refused import RefusedWebhooks
from bridge.operations.commands import ChatCommands
from bridge.operations.suspects import Suspects
from bridge.operations.words import parse
from bridge.pipeline.deploying.configure import Configurer, Configurers
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.values import plain
from bridge.views.view import Item, Lines, Log, Table, View
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

ADA, BOB = Person("U0ADA", "Ada"), Person("U0BOB", "Bob")
WEB, VAULT = (
    app("app-web", name="web", project="shop"),
    app("app-vault", name="v", project="secret"),
)
APPS = [WEB, VAULT]
GRANTS = (
    Grant(("U0ADA",), frozenset(Right)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)


class Asking:
    """People who ask."""

    def __init__(self, journal: SqlJournal, inbox: SqliteInbox, clock: ManualClock) -> None:
        self.backend = FakeBackend(clock, waits=0.0, variables="GREETING=Tr0ub4dor+3")
        known = Known(lambda: APPS, dict, lambda _app, here: (here,), lambda: None)
        logs = BuildLogs({"dokploy": self.backend}, journal)
        configurer: Any = Configurer(self.backend, journal, clock)  # type: ignore[arg-type]
        self.commands = ChatCommands(
            "slack",
            inbox,
            journal,
            known,
            Access(GRANTS),
            logs,
            clock,
            configurers=Configurers({"dokploy": configurer}, {}),
            suspects=Suspects(journal, clock, ["github"], ["github"], {}),
        )

    async def say(self, typed: str | Call, person: Person = ADA) -> AnyReply:
        read = parse(typed) if isinstance(typed, str) else typed
        return await self.commands.answer(person, Place("C0"), read, "id-1")


@pytest.fixture
async def asking(journal: SqlJournal, clock: ManualClock, tmp_path: Path) -> Any:
    clock.now = 1_700_000_000.0
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    await journal.save_apps("dokploy", [WEB, VAULT])
    yield Asking(journal, inbox, clock)
    await inbox.stop()


async def test_why_tells_what_became_of_it_and_why_it_failed(
    asking: Asking, journal: SqlJournal
) -> None:
    one = deployment(1, "app-web", app="shop/web")
    await record(journal, outcome(1, one))
    await journal.move(one.id, State.FAILED, "fatal: gone", log_tail="make\nfatal: gone")

    said = await asking.say("why web", BOB)

    assert isinstance(said, View)
    (row,) = [row for part in said.parts if isinstance(part, Table) for row in part.rows]
    assert "→ failed #1: fatal: gone" in [plain(i.says) for i in row.says if isinstance(i, Item)]
    assert [log.lines for log in row.below] == [["make", "fatal: gone"]]

    clicked = await asking.say(Call("why", {"app": "app-web", "deployment": one.id}), BOB)
    assert isinstance(clicked, View)
    assert clicked.parts[0].rows[0].says[1:] == row.says[1:]  # type: ignore[union-attr]


async def test_refused_webhooks_are_told_to_those_who_may_view_every_app(
    asking: Asking, journal: SqlJournal, clock: ManualClock
) -> None:
    one = RefusedWebhooks(
        clock.now, "github", "unauthorized", "/hooks/github", "10.0.0.0/24", "", "no signature",
        last=clock.now,
    )  # fmt: skip
    await journal.keep_refused([one])

    told = {person: await asking.say("why web", person) for person in (ADA, BOB)}

    seen = {who.id: one.parts for who, one in told.items() if isinstance(one, View)}
    assert isinstance(seen["U0ADA"][0], Lines)
    assert "1 webhook was refused" in plain(seen["U0ADA"][0].items[0].says)
    assert seen["U0BOB"] == []


async def test_a_log_is_masked_and_nobody_asks_for_it_raw_by_chat(
    asking: Asking, clock: ManualClock
) -> None:
    asking.backend.log = "it says Tr0ub4dor+3\n"
    await asking.backend.deploy(WEB, title="t", description="d")
    clock.now += 60

    said = await asking.say("logs web", BOB)
    raw = await asking.say(Call("logs", {"app": "web", "raw": True}))

    assert isinstance(said, View)
    assert [part.lines for part in said.parts if isinstance(part, Log)] == [("it says ***",)]
    assert isinstance(raw, Sorry)
    assert "on the command line only" in raw.why


async def test_the_log_of_an_app_that_one_may_not_see_is_not_named(
    asking: Asking, journal: SqlJournal
) -> None:
    hidden = deployment(2, "app-vault", app="secret/v")
    await record(journal, outcome(2, hidden))

    unseen = repr(await asking.say(f"logs web deployment {hidden.id}x", BOB))
    other = repr(await asking.say(Call("logs", {"app": "web", "deployment": "x"}), BOB))

    assert "secret" not in unseen + other
