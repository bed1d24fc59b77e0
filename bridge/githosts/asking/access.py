"""The way to the repositories of a Git host: where each is, and the token that is good for it."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from bridge.githosts.asking.answers import NOTHING, Answer
from bridge.githosts.asking.client import Ask, Client, read
from bridge.githosts.models import Model

AskAbout = Callable[..., Awaitable[Answer]]
"""Asks about a repository, as `Access.ask` does: its name, the method, and a path under it."""


class Access(ABC):
    """Requests about repositories of one host."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @abstractmethod
    def place(self, repository: str) -> str:
        """The path that all of a repository is under; NotFound for what names none."""

    @abstractmethod
    def asker(self, repository: str) -> Ask:
        """Sends requests with the token that is good for a repository."""

    async def ask(
        self,
        repository: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] = NOTHING,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = NOTHING,
    ) -> Answer:
        """Send one request about a repository; `path` is under it, e.g. "/hooks"."""
        whole, ask = f"{self.place(repository)}{path}", self.asker(repository)
        return await ask(method, whole, query=query, body=body, headers=headers)

    async def pages(
        self, repository: str, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """The pages of a list of a repository."""
        whole, ask = f"{self.place(repository)}{path}", self.asker(repository)
        async for answer in self.client.pages(ask, whole, query=query):
            yield answer

    async def make(self, repository: str, path: str, body: Mapping[str, Any]) -> str:
        """Add something to a list of a repository; returns its id."""
        answer = await self.ask(repository, "POST", path, body=body)
        return str(read(_MADE, path, answer, self.client.service, reads=False).id)


class _Made(Model):
    id: int


_MADE = TypeAdapter(_Made)
