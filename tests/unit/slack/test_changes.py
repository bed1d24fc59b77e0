"""Who is told of a change, and where; posted once, whatever happens in between."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from bridge.chats.slack.config_changes import Told
from bridge.chats.slack.config_views import told as told_text
from bridge.chats.slack.plans import plans_of
from bridge.core.decision import Reason, because
from bridge.core.errors import Refused
from bridge.core.events import Action, Asked
from bridge.core.people import Actor
from bridge.messages.plans import Channels
from bridge.ports.feedback import Occasion, Publisher, Snapshot
from bridge.ports.outcomes import (
    UNKNOWN,
    Audited,
    Cursor,
    Outcome,
    Result,
    Subscription,
    about_change,
)
from tests.fakes.journey import app
from tests.scenes.slack_provider import note
from tests.unit.slack.test_board import Client
from tests.worlds.messages import at_once, in_slack
from tests.worlds.rows import each_row

NOTE = replace(note(), seq=5)
ADA = Asked(Action.CONFIGURE, "app-web", Actor("slack", "Ada"), "U1", "C1", view="V1", draft="d")


@dataclass
class Remembered:
    """A target's memory."""

    cursor: Cursor = field(default_factory=dict)

    async def __call__(self, cursor: Cursor) -> None:
        self.cursor = cursor


def planned(asked: Asked = ADA) -> list[Subscription]:
    decision = because(app(), Reason.CONFIGURE_ASKED, "ada asked")
    occasion = Occasion(asked, asked, Outcome(5, "slack-5", (decision,)), {"app-web": app()})
    return plans_of(Channels()).changes(occasion)


@pytest.fixture
def client() -> Client:
    return Client()


# ── the plan ─────────────────────────────────────────────────────────────────


def test_other_wishes_are_planned_by_others() -> None:
    assert planned(replace(ADA, action=Action.DEPLOY)) == []
    assert planned(replace(ADA, person="")) == []
    assert planned(replace(ADA, target="gone")) == []


# ── who asked ────────────────────────────────────────────────────────────────


async def told(client: Client, made: Audited, cursor: Cursor, **asked: Any) -> Cursor:
    person = planned(replace(ADA, **asked))[0]
    remembered = Remembered(cursor)
    publisher = Told(cast("Any", client), at_once)
    await publisher.publish(person, Snapshot(audited=(made,)), cursor, remembered)
    return remembered.cursor


async def test_the_dialog_is_kept_up_to_date_and_the_same_is_not_sent_again(client: Client) -> None:
    cursor = await told(client, replace(NOTE, result=Result.read("waits for the backend")), {})
    cursor = await told(client, NOTE, cursor)
    await told(client, NOTE, cursor)

    assert client.methods == ["views.update", "views.update"]


@pytest.mark.parametrize(
    ("asked", "refused", "sent"),
    [
        ({}, [], ["views.update", "chat.postEphemeral"]),
        ({"view": ""}, [], ["chat.postEphemeral"]),
        ({"view": ""}, ["chat.postEphemeral"], ["chat.postEphemeral", "chat.postMessage"]),
        ({"view": "", "channel": ""}, [], ["chat.postMessage"]),
    ],
)
async def test_who_has_no_dialog_open_is_told_alone_what_became_of_it(
    client: Client, asked: dict[str, str], refused: list[str], sent: list[str]
) -> None:
    client.refusing = {"views.update": "not_found"} | dict.fromkeys(refused, "not_in_channel")
    failed = replace(NOTE, result=Result.read("Overtaken: somebody was faster"))

    await told(client, failed, {}, **asked)

    assert client.methods == sent
    assert "somebody was faster" in str(client.calls[-1])


NOT_KNOWN = "Whether shop/web was changed is not known"


@each_row(
    ("outcome", "said"),
    [
        ("Refused: dokploy: no", "shop/web was not changed: dokploy: no"),
        ("Unanswered: no answer came", f"{NOT_KNOWN}: no answer came"),
        (f"{UNKNOWN}: the bridge failed", f"{NOT_KNOWN}: the bridge failed"),
        ("NotKept: it reads back", "shop/web was changed, but not as asked: it reads back"),
    ],
)
def test_no_more_is_said_than_is_known(outcome: str, said: str) -> None:
    assert told_text(replace(NOTE, result=Result.read(outcome))).text == said


async def test_an_unknown_refusal_of_the_dialog_is_raised(client: Client) -> None:
    client.refusing["views.update"] = "invalid_arguments"

    with pytest.raises(Refused, match="invalid_arguments"):
        await told(client, NOTE, {})


# ── the channel ──────────────────────────────────────────────────────────────


def notes(client: Client) -> Publisher:
    return in_slack(client, Channels())[1]["slack.change"]


async def noted(client: Client, snapshot: Snapshot, remembered: Remembered) -> Any:
    (_, subscription) = planned()
    return await notes(client).publish(subscription, snapshot, remembered.cursor, remembered)


async def test_a_channel_sees_what_was_made_once_and_that_it_was_undone(client: Client) -> None:
    remembered = Remembered()
    assert (
        await noted(
            client, Snapshot(audited=(replace(NOTE, result=Result.read("begun")),)), remembered
        )
        == ()
    )
    assert (
        await noted(
            client,
            Snapshot(audited=(replace(NOTE, result=Result.read("Refused: no")),)),
            remembered,
        )
        == ()
    )
    assert client.calls == []

    (further,) = await noted(client, Snapshot(audited=(NOTE,)), remembered)
    await noted(client, Snapshot(audited=(NOTE,)), remembered)
    undone = replace(note(), number=8, undoes=7, by=Actor("slack", "Bob", "U2"), seq=9)
    trying = replace(undone, result=Result.read("begun"))
    await noted(client, Snapshot(audited=(NOTE, trying)), remembered)
    await noted(client, Snapshot(audited=(NOTE, undone)), remembered)

    assert client.methods == ["chat.postMessage", "chat.update"]
    assert about_change(7) in further.follows
    assert "Undone by Bob" in str(client.calls[-1])
    assert client.calls[-1][1]["ts"] == "1.0"


async def test_what_is_changed_without_the_chat_is_posted_likewise(client: Client) -> None:
    typed = replace(note(), by=Actor("cli", "ada"), number=7, seq=None)
    plans, remembered = plans_of(Channels([("shop/*", ("C2", "C3"))])), Remembered()
    subscription, other = plans.of_change(typed)
    assert plans_of(Channels()).of_change(typed) == []
    assert (subscription.follows, other.place["channel"]) == ((about_change(7),), "C3")

    snapshot = Snapshot(audited=(replace(typed, number=6), typed))
    await notes(client).publish(subscription, snapshot, remembered.cursor, remembered)

    ((method, sent),) = client.calls
    assert (method, sent["channel"]) == ("chat.postMessage", "C2")
    assert "*ada* changed the source of *shop/web* on the command line" in str(sent["blocks"])
