"""Apps of previews in chats: lists of apps leave them out, and their deployments are seen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.chats.slack.views import message_of
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview, as_preview
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.feedback.build_logs import BuildLogs
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import AnyReply, Place
from bridge.storage.inbox.sqlite import SqliteInbox
from bridge.storage.journal import SqlJournal
from bridge.views.values import plain
from bridge.views.view import View
from tests.fakes.journey import ManualClock, app, deployment
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import held, up

ADA = Person("U0ADA", "Ada")
WEB = app("app-web")
PREVIEW = as_preview(
    app("app-12", name="web pr-12", environment="previews", marker="bridge:x#12:app-web"), WEB
)
GRANT = Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,))


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[SqliteInbox]:
    made = SqliteInbox(tmp_path / "inbox.sqlite")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def commands(journal: SqlJournal, clock: ManualClock, inbox: SqliteInbox) -> ChatCommands:
    return granting(journal, clock, inbox, GRANT)


def granting(
    journal: SqlJournal, clock: ManualClock, inbox: SqliteInbox, grant: Grant
) -> ChatCommands:
    known = Known(lambda: [WEB, PREVIEW], dict, lambda _app, here: (here,), lambda: None)
    logs = BuildLogs({}, journal)
    return ChatCommands("slack", inbox, journal, known, Access([grant]), logs, clock)


async def say(commands: ChatCommands, typed: str, channel: str = "C1") -> AnyReply:
    return await commands.answer(ADA, Place(channel), parse(typed), "id-1")


def click(act: str, preview: Preview) -> Call:
    return Call(f"previews {act}", {"preview": preview.id, "commit": preview.pull.head_sha})


async def test_grants_of_a_channel_count_only_there(
    journal: SqlJournal, clock: ManualClock, inbox: SqliteInbox
) -> None:
    grant = Grant(("U0ADA",), frozenset({Right.DEPLOY}), (WEB.label,), ("C1",))
    commands = granting(journal, clock, inbox, grant)
    one = await up(journal, WEB, 12)

    elsewhere = await say(commands, "previews stop web#12", "C2")
    clicked = await commands.answer(ADA, Place("C2"), click("stop", one), "1")
    assert isinstance(elsewhere, Sorry)  # not even its name is told
    assert elsewhere.suggestions == ()
    assert isinstance(clicked, Sorry)
    assert "web#12" not in clicked.why
    listed = await say(commands, "previews", "C2")
    assert isinstance(listed, View)
    assert listed.data == []

    done = await say(commands, "previews stop web#12")
    assert isinstance(done, View)
    now = await journal.preview(one.id)
    assert now is not None
    assert now.stopped
    again = await commands.answer(ADA, Place("C1"), click("stop", one), "2")
    assert isinstance(again, View)
    assert "was stopped before" in plain(again.head)


@pytest.mark.parametrize(
    ("right", "offers"),
    [
        (Right.VIEW, []),
        (Right.DEPLOY, ["preview.stop", "preview.extend"]),
        (Right.APPROVE, ["preview.approve"]),
    ],
)
async def test_what_somebody_may_do_is_offered_and_all_else_refused(
    journal: SqlJournal,
    clock: ManualClock,
    inbox: SqliteInbox,
    right: Right,
    offers: list[str],
) -> None:
    commands = granting(journal, clock, inbox, Grant(("U0ADA",), frozenset({right}), (WEB.label,)))
    one = await held(journal, WEB, 12)

    assert buttons(await say(commands, "previews")) == offers
    for act in ("approve", "stop", "extend"):
        if f"preview.{act}" not in offers:
            reply = await commands.answer(ADA, Place("C1"), click(act, one), act)
            assert isinstance(reply, Denied)
            assert reply.right == (Right.APPROVE if act == "approve" else Right.DEPLOY)
    now = await journal.preview(one.id)
    assert now is not None
    assert (now.stopped, now.approved, now.look_at) == (False, None, None)


async def test_a_name_is_suggested_where_none_fits_and_apps_are_found_by_a_part_of_it(
    commands: ChatCommands, journal: SqlJournal
) -> None:
    await up(journal, WEB, 12)

    wrong = await say(commands, "previews stop api#12")
    assert isinstance(wrong, Sorry)
    assert wrong.suggestions == ("previews stop shop/web#12",)
    for part, found in (("shop", 1), ("eb", 1), ("web", 1)):
        listed = await say(commands, f"previews {part}")
        assert isinstance(listed, View)
        assert len(listed.data) == found
    none = await say(commands, "previews nothing")
    assert isinstance(none, Sorry)
    assert "no app 'nothing'" in none.why


def buttons(reply: AnyReply) -> list[str]:
    assert isinstance(reply, View)
    blocks = [one for one in message_of(reply).blocks if one["type"] == "actions"]
    return [one["action_id"] for block in blocks for one in block["elements"]]


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
