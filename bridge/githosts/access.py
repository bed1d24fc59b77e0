"""Access to the repositories of a Git host: each one's path in the API, and its token."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import TypeAdapter

from bridge.core.errors import NotFound
from bridge.githosts.answers import Answer, read
from bridge.githosts.http import NOTHING, Ask, Client
from bridge.githosts.webhook import Model

F = TypeVar("F")

AskAbout = Callable[..., Awaitable[Answer]]
"""Sends a request as `Access.ask` does: a repository's name, the method, and a path under it."""


class Access(ABC):
    """Requests about repositories of one host."""

    def __init__(self, client: Client) -> None:
        self.client = client

    @abstractmethod
    def place(self, repository: str) -> str:
        """Return a repository's path in the API; raise NotFound if the text names no repository."""

    @abstractmethod
    def asker(self, repository: str) -> Ask:
        """Send requests with the token for a repository."""

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
        """Yield the pages of one of a repository's lists."""
        whole, ask = f"{self.place(repository)}{path}", self.asker(repository)
        async for answer in self.client.pages(ask, whole, query=query):
            yield answer

    async def make(self, repository: str, path: str, body: Mapping[str, Any]) -> str:
        """Add an entry to one of a repository's lists; return its id."""
        answer = await self.ask(repository, "POST", path, body=body)
        return str(read(_MADE, path, answer, self.client.service, reads=False).id)


class _Made(Model):
    id: int


_MADE = TypeAdapter(_Made)


# ── Branch heads, read conditionally: GitHub does not count unchanged answers ─────────────────────

_MOST = 4096


class Heads:
    """The last answer about each branch, with its ETag."""

    def __init__(self, ask: AskAbout) -> None:
        self._ask = ask
        self._known: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()

    async def head(
        self, repository: str, branch: str, path: str, commit_of: Callable[[Answer], str | None]
    ) -> str | None:
        """Return a branch's head; None if the repository has no such branch.

        Args:
            path: of the branch, under its repository.
            commit_of: reads the head from an answer; None if the answer is about another branch.
        """
        known = self._known.get((repository, branch))
        condition = {"If-None-Match": known[0]} if known else {}
        try:
            answer = await self._ask(repository, "GET", path, headers=condition)
        except NotFound as error:
            if "branch not found" in str(error).lower():
                return None
            raise
        if answer.status == 304 and known:
            return known[1]
        commit = commit_of(answer)
        if commit is not None:
            self._keep((repository, branch), answer, commit)
        return commit

    def _keep(self, key: tuple[str, str], answer: Answer, commit: str) -> None:
        """Remember an answer; drop those that were not requested for a long time."""
        self._known.pop(key, None)
        if etag := answer.headers.get("etag"):
            self._known[key] = (etag, commit)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)


# ── Lists, read conditionally ─────────────────────────────────────────────────────────────────────

_MOST_PAGES = 256


@dataclass(frozen=True, slots=True)
class _Page:
    etag: str
    link: str
    content: Any


class KnownPages:
    """The last pages of lists that are read again and again, each with its ETag."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._known: OrderedDict[tuple[str, str], _Page] = OrderedDict()

    async def pages(
        self,
        repository: str,
        path: str,
        form: TypeAdapter[F],
        *,
        query: Mapping[str, Any] = NOTHING,
    ) -> AsyncIterator[F]:
        """Yield the pages of one of a repository's lists in the expected form."""
        whole, send = f"{self._access.place(repository)}{path}", self._access.asker(repository)
        client = self._access.client

        async def ask(method: str, there: str, *, query: Mapping[str, Any]) -> Answer:
            key = there, urlencode(query)
            known = self._known.get(key)
            condition = {"If-None-Match": known.etag} if known else {}
            answer = await send(method, there, query=query, headers=condition)
            if answer.status != 304 or known is None:
                content = read(form, path, answer, client.service, reads=True)
                etag, link = (answer.headers.get(name, "") for name in ("etag", "link"))
                known = _Page(etag, link, content)
            self._keep(key, known)
            return replace(answer, headers={"link": known.link}, body=known.content)

        async for answer in client.pages(ask, whole, query=query):
            yield answer.body

    def _keep(self, key: tuple[str, str], page: _Page) -> None:
        self._known.pop(key, None)
        if page.etag:
            self._known[key] = page
        if len(self._known) > _MOST_PAGES:
            self._known.popitem(last=False)
