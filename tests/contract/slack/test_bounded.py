"""An answer of Slack's, or of what stands before it, is read up to a limit."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from bridge.chats.slack import api, payloads
from bridge.core.errors import Unanswered, Unreachable
from tests.fakes.serving import served

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[str]:
    """The base of an API that answers everything like this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with served(app) as url:
        yield f"{url}/api/"


@pytest.fixture
async def endless() -> AsyncIterator[str]:
    """The base of an API that answers without end, compressed."""

    async def answer(request: web.Request) -> web.StreamResponse:
        said = web.StreamResponse()
        said.content_type = "application/json"
        said.enable_compression()
        await said.prepare(request)
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await said.write(b" " * 2**20)
            await said.write(b'{"ok": true}')
            await said.write_eof()
        return said

    async with serving(answer) as url:
        yield url


async def test_an_answer_without_end_is_not_read_to_its_end(endless: str) -> None:
    client = api.SlackClient("xoxb-a-token", endless)
    try:
        with pytest.raises(Unreachable, match="more than 4 MiB"):
            await client.read("users.info", user="U1")
        with pytest.raises(Unanswered, match="more than 4 MiB"):
            await client.call("chat.postMessage", channel="C1", text="hello")
        with pytest.raises(payloads.AnswerTooLarge, match="more than 4 MiB"):
            await client.plain().apps_connections_open(app_token="xapp-1-token")
    finally:
        await client.close()


ABSURD = {
    "objects": (b"{}," * 500_000 + b"0", "more than 200000 lists and objects in each other"),
    "full objects": (b'{"a":1},' * 60_000 + b"0", "more than 50000 objects"),
    "numbers": (b"0," * 1_100_000 + b"0", "about 1100001 values"),
    "lists in each other": (b"[" * 100_000 + b"]" * 100_000, "and is no JSON"),
    "many lists in each other": (b"[" * 250_000 + b"]" * 250_000, "more than 200000 lists"),
}
"""What is in a list of an answer, and why it is not taken: each takes many times its bytes."""


@pytest.mark.parametrize("kind", ABSURD)
async def test_an_answer_that_would_take_many_times_its_bytes_is_not_loaded(kind: str) -> None:
    entries, why = ABSURD[kind]

    async def answer(request: web.Request) -> web.Response:
        body = b'{"ok":true,"messages":[' + entries + b"]}"
        return web.Response(body=body, content_type="application/json")

    async with serving(answer) as url:
        client = api.SlackClient("xoxb-a-token", url)
        try:
            with pytest.raises(Unreachable, match=why):
                await client.read("users.info", user="U1")
            with pytest.raises(Unanswered, match=why):
                await client.call("chat.postMessage", channel="C1", text="hello")
        finally:
            await client.close()


async def test_a_large_answer_is_read_whole() -> None:
    messages = [{"ts": f"{number}.0", "text": "é" * 3000} for number in range(100)]

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "messages": messages})

    async with serving(answer) as url:
        client = api.SlackClient("xoxb-a-token", url)
        try:
            read = await client.read("conversations.history", channel="C1")
            assert read.list("messages") == messages
        finally:
            await client.close()
