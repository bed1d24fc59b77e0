"""A chat that is only written to, in one file: Pager, whose messages are texts at an address."""

from typing import Any

import httpx

from bridge.core.errors import Unreachable
from bridge.messages.chat import WrittenChat
from bridge.messages.plans import Channels, Plans
from bridge.messages.writer import Body, ChatWriter, Posted, Target
from bridge.ports.chats import ChatParts
from bridge.ports.clock import Limit
from bridge.ports.providers import ChatProvider
from bridge.ports.settings import Address, Section


class PagerSettings(Section):
    address: Address | None = None


class Pager(ChatWriter):
    """Posts texts, and replaces them by their numbers."""

    chat = "pager"

    def __init__(self, given: PagerSettings, parts: ChatParts) -> None:
        super().__init__(parts.within([Limit(50, 1.0)]))
        self._http = httpx.AsyncClient(base_url=given.address or "", trust_env=False)

    async def post(self, body: Body, to: Target) -> Posted:
        return Posted(str(await self._ask("POST", to.channel, body)))

    async def edit(self, body: Body, to: Target) -> None:
        await self._ask("PUT", f"{to.channel}/{to.known.message}", body)

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, path: str, body: Body) -> Any:
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.ConnectError as error:
            raise Unreachable(self.chat, str(error)) from error
        return answer.raise_for_status().json()


def plans(book: Any, previews: Any = ()) -> Plans:
    return Plans("pager", Channels(book, "all", previews))


PAGER = ChatProvider(
    key="pager",
    title="Pager",
    credential="address",
    link_word="pager",
    settings=lambda: PagerSettings,
    channels=lambda _given, book: lambda label, _here: plans(book).channels.of(label),
    open=lambda given, of: WrittenChat(Pager(given, of), plans(of.book, of.preview_book), of),
    tells=lambda _given, book, note: plans(book).of_change(note),
)
