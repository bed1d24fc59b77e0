"""Access to the repositories of a Git host: each one's path in the API, and its token."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlencode

from bridge.core.errors import NotFound
from bridge.githosts.answers import Answer, list_of, read
from bridge.githosts.http import NOTHING, Ask, Client
from bridge.githosts.webhook import Model

F = TypeVar("F")

AskAbout = Callable[..., Awaitable[Answer]]
"""Sends a request as `Access.ask` does: a repository's name, the method, and a path under it."""

_TOTALS = ("x-total-count", "x-total")
"""The headers in which hosts tell how many entries a list has."""

_MOST_PAGES = 256
_MOST_HEADS = 4096


class _Made(Model):
    id: int


@dataclass(frozen=True, slots=True)
class _Page:
    etag: str
    link: str
    content: Any


@dataclass(frozen=True, slots=True)
class Resource:
    """A part of an API, e.g. a repository or its owner, and who may ask about it.

    Attributes:
        path: all paths of its requests are below it.
    """

    client: Client
    send: Ask
    path: str
    known: OrderedDict[tuple[str, str], _Page]

    async def ask(self, method: str, path: str = "", **given: Any) -> Answer:
        """Send one request; `query`, `body` and `headers` are those of `Client.ask`."""
        return await self.send(method, self.path + path, **given)

    async def get(self, path: str, form: type[F], query: Mapping[str, Any] = NOTHING) -> F:
        """Return what is there, in the expected form."""
        return read(form, await self.ask("GET", path, query=query), self.client.service)

    async def change(self, method: str, path: str, form: type[F], body: Mapping[str, Any]) -> F:
        """Make or change something; return the answer in the expected form."""
        answer = await self.ask(method, path, body=body)
        return read(form, answer, self.client.service, reads=False)

    async def make(self, path: str, body: Mapping[str, Any]) -> str:
        """Add an entry to a list; return its id."""
        return str((await self.change("POST", path, _Made, body)).id)

    async def pages(
        self, path: str, form: type[F], query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[F]:
        """Yield the pages of a list in the expected form."""
        async for answer in self.client.pages(self.send, self.path + path, query=query):
            yield read(form, answer, self.client.service)

    async def entries(
        self, path: str, entry: type[F], query: Mapping[str, Any] = NOTHING
    ) -> list[F]:
        """Return all entries of a list."""
        return [one async for page in self.pages(path, list_of(entry), query) for one in page]

    async def counted(
        self, path: str, entry: type[F], query: Mapping[str, Any] = NOTHING, *, null: bool = False
    ) -> tuple[list[F], int | None]:
        """Return all entries of a list, and how many the host says there are, if it does.

        Args:
            null: the host may send that for an empty list.
        """
        found, total = list[F](), ""
        async for answer in self.client.pages(self.send, self.path + path, query=query):
            if not (null and answer.body is None):
                found += read(list_of(entry), answer, self.client.service)
            total = next((answer.headers[name] for name in _TOTALS if name in answer.headers), "")
        return found, int(total) if total.isdecimal() else None

    async def known_pages(
        self, path: str, form: type[F], query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[F]:
        """Yield the pages of a list that is read again and again.

        Each is requested with its last ETag: hosts don't count what has not changed.
        """

        async def ask(method: str, there: str, *, query: Mapping[str, Any]) -> Answer:
            key = there, urlencode(query)
            known = self.known.get(key)
            condition = {"If-None-Match": known.etag} if known else {}
            answer = await self.send(method, there, query=query, headers=condition)
            if answer.status != 304 or known is None:
                content = read(form, answer, self.client.service)
                etag, link = (answer.headers.get(name, "") for name in ("etag", "link"))
                known = _Page(etag, link, content)
            self._keep(key, known)
            return replace(
                answer, headers={**answer.headers, "link": known.link}, body=known.content
            )

        async for answer in self.client.pages(ask, self.path + path, query=query):
            yield answer.body

    def _keep(self, key: tuple[str, str], page: _Page) -> None:
        self.known.pop(key, None)
        if page.etag:
            self.known[key] = page
        if len(self.known) > _MOST_PAGES:
            self.known.popitem(last=False)


class Access(ABC):
    """Requests to one host, each with the token for the repository that it is about."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._known = OrderedDict[tuple[str, str], _Page]()

    @abstractmethod
    def place(self, repository: str) -> str:
        """Return a repository's path in the API; raise NotFound if the text names no repository."""

    @abstractmethod
    def asker(self, repository: str) -> Ask:
        """Return what sends requests with the token for a repository."""

    def of(self, repository: str) -> Resource:
        """Return a repository; raise NotFound if the text names none."""
        return self.at(self.place(repository), repository)

    def at(self, path: str, repository: str = "") -> Resource:
        """Return another part of the API, asked about with the token for a repository."""
        return Resource(self.client, self.asker(repository), path, self._known)

    async def ask(self, repository: str, method: str, path: str, **given: Any) -> Answer:
        """Send one request about a repository; `path` is under it, e.g. "/hooks"."""
        return await self.of(repository).ask(method, path, **given)


# ── Branch heads, read conditionally: GitHub does not count unchanged answers ─────────────────────


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
        if len(self._known) > _MOST_HEADS:
            self._known.popitem(last=False)
