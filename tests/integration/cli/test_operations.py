"""Every operation is the same at every door; and a new one is at all of them."""

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command

from bridge.chats.slack.commands import OWN_DIALOGS
from bridge.chats.slack.dialogs import dialog_of, read_asking
from bridge.chats.slack.views import message_of, read_call
from bridge.cli.operations import FILES, OWN, add_operations
from bridge.console.operations import Done, operate
from bridge.console.pages.commands import command, commands
from bridge.console.records import Asked, Records
from bridge.console.render import draw
from bridge.console.visitors import Visitor
from bridge.core.access import Access, Grant, Person, Right
from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import Unclear
from bridge.core.chat.replies import Denied, NotAllowed
from bridge.core.configuration.fields import SOURCES
from bridge.core.errors import BridgeError
from bridge.operations.arguments import App, Reason
from bridge.operations.base import Context, Door, Operation, operation
from bridge.operations.commands import ChatCommands
from bridge.operations.declared import MODULES
from bridge.operations.every import OPERATIONS
from bridge.operations.words import parse, usages
from bridge.pipeline.feedback.lookup import Known
from bridge.ports.chats import Place
from bridge.views.links import Links
from bridge.views.values import Strong, Text
from bridge.views.view import View
from tests.fakes.journey import app
from tests.scenes.commands import PAGE, commands_page
from tests.worlds.console_records import FRAME, NOW, records_of
from tests.worlds.previewed import held

WEB = app("app-web", name="web", project="shop")
ADA, BOB = Person("U0ADA", "Ada"), Person("U0BOB", "Bob")
ACCESS = Access([Grant(("U0ADA",), frozenset(Right)), Grant(("U0BOB",), frozenset({Right.VIEW}))])
SAMPLES = {"scope": "shop/web", "app": "shop/web", "source": "shop/web", "reason": "because"}
SAMPLES |= {"deployment": "4711", "preview": "shop/web#12", "delivery": "4711"}
"""A value for each required argument."""


@pytest.fixture
async def records() -> AsyncIterator[Records]:
    async with records_of([WEB]) as made:
        await held(made.journal, WEB, 12)
        yield replace(made, access=ACCESS, commands=_door(made, "console"), links=Links())


DIALOG = [f"provider set {kind}" for kind in SOURCES] + ["build set", "env set", "env import"]

MISSING = {
    *((name, Door.CHATS) for name in DIALOG),
    ("provider", Door.COMMAND_LINE),
    ("provider", Door.CONSOLE),
    ("env import", Door.CONSOLE),
}
"""What a door lacks; the operation says why."""


def _door(records: Records, name: str) -> ChatCommands:
    known = Known(lambda: [WEB], dict, lambda _app, _here: (), lambda: None)
    parts = (records.inbox, records.journal, known, ACCESS, records.logs, records.clock)
    return ChatCommands(name, *parts)


def _given(asked: Operation) -> dict[str, str]:
    return {one.name: SAMPLES[one.name] for one in asked.arguments if one.required}


# ── every operation, every door ──────────────────────────────────────────────


def test_the_page_of_commands_is_as_operations_declare_them() -> None:
    assert PAGE.read_text() == commands_page(OPERATIONS), "python -m tests.scenes.commands"


@pytest.mark.parametrize("name", OPERATIONS)
async def test_each_door_takes_the_same_arguments(name: str, records: Records) -> None:
    asked = OPERATIONS[name]

    def shown(door: Door) -> set[str]:
        return {one.name for one in asked.arguments if one.kind.at(door)}

    if Door.COMMAND_LINE not in asked.not_at:
        root = typer.Typer()
        add_operations(root)
        made = get_command(root)
        for word in name.split():
            made = made.commands[word]  # type: ignore[attr-defined]
        line = {one.name for one in made.params}
        hidden = {f"{one}_stdin" for one in ("url", "password")}  # a field that may be a secret
        own = {"config", "json", "follow", "plan", "yes", "help", *OWN.get(name, {})}
        assert shown(Door.COMMAND_LINE) <= line
        assert line - shown(Door.COMMAND_LINE) <= own | hidden
    if Door.CONSOLE not in asked.not_at:
        form = draw(await command(records, _visitor(ADA), Asked({"name": name}, {})), FRAME, NOW)
        assert all(f'name="{one}"' in form for one in shown(Door.CONSOLE))
    if Door.CHATS not in asked.not_at:
        assert [one.usage for one in usages() if one.name == name] or " " in name
        assert not isinstance(parse(f"{name} {' '.join(_given(asked).values())}"), Unclear) or (
            name == "promote"  # whose second name follows a word
        )


def test_each_is_declared_where_its_first_word_leads() -> None:
    for name, asked in OPERATIONS.items():
        modules = [module for module, words in MODULES.items() if name.split()[0] in words]
        assert asked.run.__module__.rpartition(".")[2] in modules or asked.arguments[0].kind.sets


def test_few_options_are_the_command_line_s_own() -> None:
    own = {name: [*options] for name, options in OWN.items()}
    assert own == {"logs": ["follow", "raw"], "explain": ["host", "event"]}
    assert [*FILES] == ["explain"]


def test_few_operations_are_missing_at_a_door() -> None:
    missing = {(one.name, door) for one in OPERATIONS.values() for door in one.not_at}
    assert missing == MISSING
    assert set(OWN_DIALOGS) == {"provider"}


ASKING = [
    name
    for name, one in OPERATIONS.items()
    if one.needs and not one.right_varies and not one.not_at
]


@pytest.mark.parametrize("name", ASKING)
async def test_each_door_refuses_the_same_and_records_it(name: str, records: Records) -> None:
    asked = OPERATIONS[name]
    by_chat = await _door(records, "slack").answer(BOB, Place("C0"), Call(name, _given(asked)), "1")
    with pytest.raises(NotAllowed) as by_form:
        await operate(records, _visitor(BOB), {"name": name}, _given(asked))

    assert isinstance(by_chat, Denied)
    assert by_chat.right is by_form.value.denied.right is asked.needs
    audited = await records.journal.audited(limit=9)
    assert {(one.by.door, one.what) for one in audited} == {("slack", name), ("console", name)}
    assert all(one.outcome.startswith("refused") for one in audited)


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from([*OPERATIONS]),
    call=st.dictionaries(
        st.sampled_from([*SAMPLES, "seen", "deployment", "commit", "to"]), HOSTILE
    ),
)
async def test_what_a_page_sends_back_breaks_nothing(
    name: str, call: dict[str, Any], records: Records
) -> None:
    form = {"call": json.dumps(call), "reason": "because"}

    with contextlib.suppress(BridgeError):
        await operate(records, _visitor(ADA), {"name": name}, form)
    read = read_call(json.dumps([name, call]))
    await _door(records, "slack").answer(ADA, Place("C0"), read, "1")
    assert isinstance(read_asking({"private_metadata": json.dumps(["C0", "", call])}).right, str)


def _visitor(person: Person) -> Visitor:
    return Visitor(person, "a test")


# ── one that is declared here ────────────────────────────────────────────────


@pytest.fixture
def ping() -> Iterator[Operation]:
    """An operation in a few lines; the example of `docs/adding.md`."""

    @operation(
        "ping", family="Look", needs=Right.DEPLOY, acts=True, examples=("ping shop/web -m 'it is'",)
    )
    async def ping(_ctx: Context, app: App, reason: Reason) -> View:
        """Say something to an app."""
        said = ("Said to ", Strong(Text(app.label, 200)), ": ", Text(reason, 500))
        return View(said, data={"app": app.label, "said": reason})

    yield OPERATIONS["ping"]
    del OPERATIONS["ping"]


async def test_it_is_in_a_chat_with_a_dialog_and_a_right(ping: Operation, records: Records) -> None:
    door, here = _door(records, "slack"), Place("C0")

    asked = await door.answer(ADA, here, parse("ping"), "0")
    assert isinstance(asked, View)
    dialog = dialog_of(asked, Links(), "C0")
    fields = [one["block_id"] for one in dialog["blocks"] if one["type"] == "input"]
    assert (dialog["submit"]["text"], fields) == ("Ping", ["app", "reason"])
    values = {
        "app": {"app.search": {"selected_option": {"value": WEB.id}}},
        "reason": {"reason": {"value": "hello there"}},
    }
    call = read_asking(dialog | {"state": {"values": values}}).call

    done = await door.answer(ADA, here, call, "1")
    refused = await door.answer(BOB, here, parse("ping web hello there"), "2")

    assert isinstance(done, View)
    assert "Said to *shop/web*: hello there" in message_of(done, Links()).text
    assert isinstance(refused, Denied)
    assert refused.right is ping.needs
    whats = [(one.what, one.outcome) for one in await records.journal.audited(limit=9)]
    assert whats == [("ping", "refused: no right to deploy"), ("ping", "done")]
    assert "ping APP REASON" in [one.usage for one in usages()]


async def test_it_has_a_form_in_the_console(ping: Operation, records: Records) -> None:
    listed = draw(await commands(records, _visitor(ADA), Asked({}, {})), FRAME, NOW)
    form = draw(await command(records, _visitor(ADA), Asked({"name": "ping"}, {})), FRAME, NOW)
    done = await operate(records, _visitor(ADA), {"name": "ping"}, {"app": "web", "reason": "x"})

    assert 'href="/console/do/ping"' in listed
    assert 'name="reason"' in form
    assert isinstance(done, Done)
    assert done.says == "Said to shop/web: x."
    assert ping.does in commands_page(OPERATIONS)
