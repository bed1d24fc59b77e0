"""An answer of Slack's, or of what stands before it, is read up to a limit."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from bridge.chats.slack import api, payloads
from bridge.core.errors import Unanswered, Unreachable


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

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/"
    await runner.cleanup()


async def test_an_answer_without_end_is_not_read_to_its_end(
    endless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = api.SlackClient("xoxb-a-token", endless)
    try:
        with pytest.raises(Unreachable, match="more than 16 MiB"):
            await client.read("users.info", user="U1")
        with pytest.raises(Unanswered, match="more than 16 MiB"):
            await client.call("chat.postMessage", channel="C1", text="hello")
        monkeypatch.setattr(payloads, "MOST_ANSWER", 2**30)
        assert (await client.read("users.info", user="U1"))["ok"]
    finally:
        await client.close()


async def test_an_answer_that_opens_socket_mode_is_not_read_to_its_end(endless: str) -> None:
    client = api.SlackClient("xoxb-a-token", endless)
    try:
        with pytest.raises(payloads.AnswerTooLarge, match="more than 16 MiB"):
            await client.plain().apps_connections_open(app_token="xapp-1-token")
    finally:
        await client.close()
