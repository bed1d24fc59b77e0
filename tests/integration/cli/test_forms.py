"""What is typed into a form, or asked for by a script, arrives whole, as at every other door."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from typer.main import get_command

from bridge.cli.root import command_line, commands
from bridge.console.operations import Done, operate
from bridge.console.pages import PAGES
from bridge.console.pages.commands import command
from bridge.console.records import Asked, Records
from bridge.console.render import Page, draw
from bridge.console.visitors import Visitor
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Sorry
from bridge.core.errors import BridgeError, Rejected
from bridge.operations import declared
from bridge.operations.base import OPERATIONS, Context, operation
from bridge.operations.commands import ChatCommands
from bridge.operations.words import parse
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import Place
from bridge.views.links import Links
from bridge.views.view import View
from tests.fakes.journey import app
from tests.worlds.cli import Cli
from tests.worlds.console_records import FRAME, NOW, records_of

WEB, API = app("app-web", name="web", project="shop"), app("app-api", name="my api", project="shop")
ADA = Person("U0ADA", "Ada")
ACCESS = Access([Grant(("U0ADA",), frozenset(Right))])
VISITOR = Visitor(ADA, "a test")


@pytest.fixture
async def records() -> AsyncIterator[Records]:
    async with records_of([WEB, API]) as made:
        yield replace(made, access=ACCESS, commands=_door(made, "console"), links=Links())


def _door(records: Records, name: str) -> ChatCommands:
    known = Known(lambda: [WEB, API], dict, lambda _app, _here: (), lambda: None)
    parts = (records.inbox, records.journal, known, ACCESS, records.logs, records.clock)
    return ChatCommands(name, *parts)


# ── several names ────────────────────────────────────────────────────────────────────────────────


async def test_a_form_takes_several_names_as_a_chat_does(records: Records) -> None:
    answer = await operate(records, VISITOR, {"name": "apps"}, {"words": "shop web"})
    assert isinstance(answer, Page)
    assert "shop/web" in draw(answer, FRAME, NOW)
    assert "my api" not in draw(answer, FRAME, NOW)

    with pytest.raises(BridgeError, match="no app 'shop/nope'"):
        await operate(records, VISITOR, {"name": "adopt"}, {"apps": "shop/web shop/nope"})


async def test_names_of_several_words_stand_in_quotes(records: Records) -> None:
    read = parse('adopt "shop/my api" shop/web')
    assert isinstance(read, Call)
    assert read.given == {"apps": ["shop/my api", "shop/web"]}
    assert parse(read.typed) == read


async def test_a_suggestion_keeps_the_other_names(records: Records) -> None:
    reply = await _door(records, "slack").answer(
        ADA, Place("C0"), parse('adopt shp/web "shop/my api"'), "1"
    )
    assert isinstance(reply, Sorry)
    assert reply.suggestions == ('adopt shop/web "shop/my api"',)


# ── long and absent texts ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("length", "says"), [(501, "501 characters"), (20_001, "at most 20000")])
async def test_nothing_typed_is_cut_without_a_word(
    length: int, says: str, records: Records
) -> None:
    form = {"scope": "shop/web", "reason": "x" * length}

    with pytest.raises(Rejected, match=says):
        await operate(records, VISITOR, {"name": "lock"}, form)
    page = draw(
        await command(records, VISITOR, Asked({"name": "provider set docker"}, {})), FRAME, NOW
    )
    assert "maxlength" not in page


@pytest.mark.parametrize("name", ["lock", "freeze", "override"])
async def test_a_browser_takes_as_much_of_a_reason_as_is_accepted(
    name: str, records: Records
) -> None:
    field = re.compile(r'<input name="reason"[^>]*maxlength="(\d+)"')
    form = draw(await command(records, VISITOR, Asked({"name": name}, {})), FRAME, NOW)
    gates = draw(await PAGES["/console/gates"](records, VISITOR, Asked({}, {})), FRAME, NOW)
    (most,) = {int(found) for found in field.findall(form + gates)}

    with pytest.raises(Rejected, match=f"say it in {most}"):
        await operate(
            records, VISITOR, {"name": "lock"}, {"scope": "shop/web", "reason": "x" * (most + 1)}
        )
    taken = {"scope": "shop/web", "reason": "x" * most}
    assert isinstance(await operate(records, VISITOR, {"name": "lock"}, taken), Done)


async def test_a_form_has_what_its_words_speak_of(records: Records) -> None:
    for name in ("build set", "provider set git", "env set"):
        page = draw(await command(records, VISITOR, Asked({"name": name}, {})), FRAME, NOW)
        assert ("under Forget" in page) == ('name="forget"' in page), name


def test_a_script_is_told_why_it_is_refused(filled: Cli) -> None:
    refused = filled("deploy", "shop/web", "--branch", "other", "--json", code=1)

    assert refused.stdout == ""
    assert "deploys the head of" in refused.stderr


# ── a family of its own ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    declared.load()

    @operation("ping", family="Toys", needs=Right.VIEW)
    async def ping(_ctx: Context) -> View:
        """Say something."""
        return View(("pong",))

    yield
    del OPERATIONS["ping"]


def test_operations_of_a_new_family_are_on_the_command_line(toy: None) -> None:
    assert "ping" in dict(commands(get_command(command_line())))
