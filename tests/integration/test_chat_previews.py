"""Apps of previews in chats: lists of apps leave them out, and their deployments are seen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.grammar import Command, Verb
from bridge.core.chat.replies import (
    Denied,
    PreviewDone,
    PreviewList,
    Sorry,
)
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import as_preview
from bridge.core.previews.verdict import Act
from bridge.operations.chat_previews import ChatPreviews
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.view import View
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import held, native, up

ADA = Person("U0ADA", "Ada")
WEB = app("app-web")
PREVIEW = as_preview(
    app("app-12", name="web pr-12", environment="previews", marker="bridge:x#12:app-web"), WEB
)
GRANTS = [Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,))]


@pytest.fixture
async def commands(
    journal: SqlJournal, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[ChatCommands]:
    inbox = SqliteInbox(tmp_path / "inbox.sqlite")
    await inbox.start()
    known = Known(lambda: [WEB, PREVIEW], dict, lambda _app, here: (here,), lambda: None)

    async def nobody(_deployment: Deployment) -> frozenset[str]:
        return frozenset()

    yield ChatCommands(
        "slack", inbox, journal, known, Access(GRANTS), BuildLogs({}, journal), clock,
    )  # fmt: skip
    await inbox.stop()


async def say(commands: ChatCommands, typed: str) -> AnyReply:
    return await commands.answer(ADA, Place("C1"), parse(typed), "id-1")


async def test_lists_of_apps_are_of_peoples_apps(commands: ChatCommands) -> None:
    listed = await say(commands, "list")
    assert isinstance(listed, View)
    assert [one["app"] for one in listed.data] == [WEB.label]

    me = await say(commands, "whoami")
    assert isinstance(me, View)
    assert me.data.rights[Right.DEPLOY] == [WEB.label]


async def test_grants_of_a_channel_count_only_there(
    journal: SqlJournal, clock: ManualClock
) -> None:
    grant = Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,), ("C1",))
    previews = ChatPreviews("slack", journal, lambda: [WEB], Access([grant]), clock)
    one = await up(journal, WEB, 12)
    typed = parse("previews stop web#12")
    assert isinstance(typed, Command)

    elsewhere = await previews.answer(ADA, Place("C2"), typed)
    clicked = await previews.act(ADA, Place("C2"), Act.STOP, one.id, one.pull.head_sha)
    assert isinstance(elsewhere, Sorry)  # not even its name is told
    assert isinstance(clicked, Sorry)
    assert "web#12" not in clicked.why
    assert (await previews.answer(ADA, Place("C2"), Command(Verb.PREVIEWS))) == PreviewList(())

    done = await previews.answer(ADA, Place("C1"), typed)
    assert isinstance(done, PreviewDone)
    assert done.preview.stopped


async def test_those_of_the_backend_are_listed_and_only_listed(
    journal: SqlJournal, clock: ManualClock
) -> None:
    grants = [Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,))]
    previews = ChatPreviews("slack", journal, lambda: [WEB], Access(grants), clock)
    mine, hidden = native(WEB, 12), native(app("app-api"), 13)
    await journal.save_native_previews(WEB.id, [mine])
    await journal.save_native_previews(hidden.app_id, [hidden])

    listed = await previews.answer(ADA, Place("C1"), Command(Verb.PREVIEWS))
    assert listed == PreviewList((), native=(mine,))
    typed = parse("previews stop web#12")
    assert isinstance(typed, Command)
    refused = await previews.answer(ADA, Place("C1"), typed)
    assert isinstance(refused, Sorry)
    assert "Dokploy's own preview, which the bridge only shows" in refused.why


async def test_who_may_only_look_is_told_the_right_that_lacks(
    journal: SqlJournal, clock: ManualClock
) -> None:
    grants = [Grant(("U0ADA",), frozenset({Right.VIEW}), (WEB.label,))]
    previews = ChatPreviews("slack", journal, lambda: [WEB], Access(grants), clock)
    one = await held(journal, WEB, 12)

    for act, right in ((Act.APPROVE, "approve"), (Act.STOP, "deploy"), (Act.EXTEND, "deploy")):
        reply = await previews.act(ADA, Place("C1"), act, one.id, one.pull.head_sha)
        assert isinstance(reply, Denied)
        assert reply.right == right
    listed = await previews.answer(ADA, Place("C1"), Command(Verb.PREVIEWS))
    assert isinstance(listed, PreviewList)
    assert [shown.may for shown in listed.those] == [frozenset()]


async def test_what_is_deployed_for_previews_is_told(
    commands: ChatCommands, journal: SqlJournal
) -> None:
    one = deployment(1, PREVIEW.id, app=PREVIEW.label, state=State.RUNNING)
    await record(journal, outcome(1, one))

    standing = await say(commands, "status")
    assert isinstance(standing, View)
    assert standing.data["at_rest"] == 1
    assert [one["app"] for one in standing.data["under_way"]] == ["shop/previews/web pr-12"]
    of_one = await say(commands, "status shop/previews/")
    assert isinstance(of_one, View)
    assert of_one.about is not None
    assert of_one.about.app == PREVIEW
