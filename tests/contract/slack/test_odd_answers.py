"""Answers of Slack's, or of what stands before it, that lack what is needed: errors of ours."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from bridge.chats.slack.api import History, People, SlackClient
from bridge.core.access import Access, Grant
from bridge.core.errors import BridgeError, Refused, Unanswered, Unreachable
from tests.fakes.serving import served

PLAIN = object()
"""Stands for a text that is no JSON."""

Door = Callable[[Any], SlackClient]


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Gives a client of an API that answers one thing, whatever it is asked."""
    answers: list[Any] = [None]
    clients = []

    async def answer(_request: web.Request) -> web.Response:
        if answers[0] is PLAIN:
            return web.Response(text="<ok>")
        if callable(answers[0]):
            made: web.Response = answers[0]()
            return made
        return web.Response(text=json.dumps(answers[0]), content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)

    def client(said: Any) -> SlackClient:
        answers[0] = said
        clients.append(SlackClient("xoxb-1", f"{url}/api/"))
        return clients[-1]

    async with served(app) as url:
        yield client
        for one in clients:
            await one.close()


async def test_what_is_no_object_is_an_error_that_names_the_method(door: Door) -> None:
    for said in ([], "x", 7, None, True, [{"ok": True}], PLAIN):
        client = door(said)
        with pytest.raises(Unanswered, match=r"chat\.postMessage: the answer must be an object"):
            await client.call("chat.postMessage", channel="C1", text="x")
        with pytest.raises(Unreachable, match=r"users\.info: the answer must be an object"):
            await client.read("users.info", user="U1")


PAGE, JSON = "<!doctype html>Welcome", "application/json"


@pytest.mark.parametrize(
    ("status", "text", "kind", "error", "words"),
    [
        (200, PAGE, "text/html", Unanswered, "must be an object, and is a web page; is slack.api"),
        (200, PAGE, JSON, Unanswered, "must be an object, and is no JSON; is slack.api_url right"),
        (200, "{}", JSON, Unanswered, "the answer has neither ok nor an error; is slack."),
        (404, PAGE, "text/html", Refused, "status 404 (chat.postMessage); is slack.api_url right"),
        (404, PAGE, JSON, Refused, "status 404 (chat.postMessage); is slack.api_url right"),
        (429, "slow", JSON, Unreachable, "too many calls"),
        (502, PAGE, JSON, Unanswered, "status 502"),
    ],
)
async def test_what_another_server_or_a_proxy_answers_is_told_by_what_came(
    door: Door, status: int, text: str, kind: str, error: type[BridgeError], words: str
) -> None:
    client = door(lambda: web.Response(status=status, text=text, content_type=kind))

    with pytest.raises(BridgeError) as told:
        await client.call("chat.postMessage", channel="C1", text="x")

    assert type(told.value) is error
    assert words in str(told.value)


async def test_a_redirect_that_leads_nowhere_is_called_that(door: Door) -> None:
    for to, words in (
        ("http://[::1", "it redirects to an address that can't be one"),
        ("/x", "in a circle"),
    ):
        redirect = partial(web.Response, status=307, headers={"Location": to})
        with pytest.raises(Unreachable, match=words):
            await door(redirect).read("users.info", user="U1")


async def test_a_field_that_is_missing_is_named(door: Door) -> None:
    odd: dict[str, Any]
    for odd in ({}, {"ts": None}, {"ts": 7}, {"ts": ""}, {"ts": {"x": 1}}):
        answer = await door({"ok": True, **odd}).call("chat.postMessage", channel="C1", text="x")
        with pytest.raises(Unanswered, match=r"chat\.postMessage: ts must be a text, and is "):
            answer.text("ts")
    for odd in ({}, {"view": None}, {"view": []}, {"view": {"id": 1}}):
        answer = await door({"ok": True, **odd}).call("views.open", view={})
        with pytest.raises(Unanswered, match=r"views\.open: view\.id must be a text"):
            answer.text("view", "id")


async def test_a_person_whom_slack_does_not_tell_of_is_unsure(door: Door) -> None:
    grants = Access([Grant(("S123",), frozenset({"view"}), ("*",), ())])  # type: ignore[arg-type]
    odd: dict[str, Any]
    for odd in ({}, {"user": None}, {"user": "U1"}, {"users": 7}, {"user": {}}):
        people = People(door({"ok": True, **odd}), grants)
        person = await people.who("U1", "T1")
        assert "users.info: user must be an object" in person.unsure
        assert await people.by_email("ada@example.com") is None


async def test_a_history_without_messages_is_no_empty_one(door: Door) -> None:
    wanted = {"event_type": "x"}
    odd: dict[str, Any]
    for odd in ({}, {"messages": 7}, {"messages": {"ts": "1"}}):
        history = History(door({"ok": True, **odd}))
        with pytest.raises(Unreachable, match=r"conversations\.history: messages must be a list"):
            await history.find("C1", wanted)

    messages = [7, None, {"metadata": wanted}, {"metadata": wanted, "ts": "1.2"}]
    assert await History(door({"ok": True, "messages": messages})).find("C1", wanted) == "1.2"
