"""People who ask by chat, and what is kept; no chat is needed."""

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.apps import App, Rules
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Sorry
from bridge.core.events import Asked, parse_command
from bridge.core.gates.freezes import At, Freeze, Window
from bridge.core.gates.locks import scope_of_hold
from bridge.core.gates.times import read_zone
from bridge.core.holds import Proposal
from bridge.core.lifecycle import Deployment
from bridge.core.people import Identities
from bridge.githosts import HOSTS
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.deciding.interpret import Reading
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.ports.gates import CommitAt, Judging
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.values import plain
from bridge.views.view import Lines, Table, View
from tests.fakes.journey import HEAD, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

ADA = Person("U0ADA", "Ada", email="ada@example.com")
BOB = Person("U0BOB", "Bob", email="bob@example.com")
EVE = Person("U0EVE", "Eve")
HERE = Place("C0SHOP")
NEEDS_APPROVAL = Rules(approvals=1)
APPS = [
    app("app-web", name="web", project="shop", rules=NEEDS_APPROVAL),
    app("app-api", name="api", project="shop", environment="staging"),
    app("app-vault", name="vault", project="secret"),
]
AT = CommitAt("github", "my-org/site", HEAD, "main")
OTHER = "d" * 40

GRANTS = (
    Grant(("U0ADA",), frozenset(Right)),
    Grant(("U0BOB",), frozenset({Right.LOCK}), ("shop/staging/api",)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)


@dataclass
class Desk:
    """People who ask, and what is kept."""

    commands: ChatCommands
    journal: SqlJournal
    inbox: SqliteInbox
    clock: ManualClock

    async def say(
        self, typed: str | Call, person: Person = ADA, channel: str = HERE.channel
    ) -> AnyReply:
        self.clock.now += 1
        read = parse(typed) if isinstance(typed, str) else typed
        return await self.commands.answer(person, Place(channel), read, f"id-{self.clock.now}")

    def grant(self, *grants: Grant) -> None:
        """Let these grants count in place of the others."""
        self.commands.reminders._finding.access = Access(grants)

    async def kept(self) -> Asked:
        """Return the only request that was kept."""
        (one,) = await self.inbox.newest(5)
        whole = await self.inbox.find(one.host, one.id)
        assert whole is not None
        assert whole.body is not None
        return parse_command(whole.event, bytes(whole.body))

    async def click(
        self, name: str, held: Deployment, person: Person = ADA, **given: Any
    ) -> AnyReply:
        """Carry out what a button of a held deployment's card calls."""
        about = {"app": held.app_id, "deployment": held.id}
        if name == "unlock":
            about = {"scope": scope_of_hold(given["seen"], held.app)}
        return await self.commands.answer(person, HERE, Call(name, about | given), "click")

    async def waits(self, app_: App = APPS[0], seq: int = 1, **facts: Any) -> Deployment:
        """Record a deployment, and let the gates judge it."""
        one = deployment(seq, app_.id, app=app_.label, **facts)
        await record(self.journal, outcome(seq, one))
        return await self.judged(app_, one.id)

    async def judged(self, app_: App, id_: str, head: str = HEAD) -> Deployment:
        proposal = Proposal(head, authors=("bob@example.com",), by=("github",))
        at = replace(AT, commit=head)
        by = Judging(app_, head=at, proposal=proposal, identities=PEOPLE)
        await self.journal.judge(id_, by)
        found = await self.journal.deployment(id_)
        assert found is not None
        return found

    async def audited(self) -> list[tuple[str, str, str, str]]:
        """Return who did what to what, and the outcome, newest first."""
        return [
            (str(one.by), one.what, one.app, one.outcome)
            for one in await self.journal.audited(limit=100)
        ]


PEOPLE = Identities(
    {one: frozenset({f"slack:U0{one.upper()}", f"github:{one}"}) for one in ("ada", "bob", "eve")}
)


FROZEN = Freeze("settings-1", ("secret/*",), "audit", (Window(At(0), At(1440), read_zone("UTC")),))


@contextlib.asynccontextmanager
async def desk_of(
    journal: SqlJournal,
    clock: ManualClock,
    tmp_path: Path,
    apps: Sequence[App] = APPS,
    grants: Sequence[Grant] = GRANTS,
    *,
    reads: Collection[str] = (),
    logs: BuildLogs | None = None,
    **others: Any,
) -> AsyncIterator[Desk]:
    """Open a desk; `reads`: the Git hosts whose deliveries it can read."""
    clock.now = 1_700_000_000.0  # Tue 2023-11-14 22:13:20 UTC
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    await journal.save_apps("dokploy", apps)
    known = Known(lambda: apps, dict, lambda _app, here: (here,), lambda: None)
    reading = Reading(inbox, {one: HOSTS[one].reader() for one in reads})
    parts: dict[str, Any] = {"identities": PEOPLE, "reading": reading, "hosts": reads} | others
    logs = logs or BuildLogs({}, journal)
    commands = ChatCommands("slack", inbox, journal, known, Access(grants), logs, clock, **parts)
    yield Desk(commands, journal, inbox, clock)
    await inbox.stop()


def view(said: AnyReply) -> View:
    """Return what is shown, in place of a refusal."""
    assert isinstance(said, View), said
    return said


def sorry(said: AnyReply) -> str:
    """Return why nothing is shown."""
    assert isinstance(said, Sorry), said
    return said.why


def listed(said: AnyReply) -> dict[str, list[str]]:
    """Return the apps of deployments in a view's lists, by their titles."""
    lists = [one for one in view(said).parts if isinstance(one, Lines)]
    return {one.title: [plain(item.says[:1]) for item in one.items] for one in lists}


def rows(said: AnyReply) -> list[list[str]]:
    """Return what a view's tables have of each lock or freeze: the scope and the reason."""
    named = [
        {column.title: plain(cell) for column, cell in zip(one.columns, row.cells, strict=True)}
        for one in view(said).parts
        if isinstance(one, Table)
        for row in one.rows
    ]
    return [[one.get("scope") or one["covers"], one["reason"]] for one in named]
