"""Send requests to one Git host's API in threads, page by page, each with its token.

PyGithub and python-gitlab do the work on the wire (`github.wire`, `gitlab.access`), at the level
where one call is one request: each request has its own deadline and error.
"""

import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from bridge.core.backoff import Backoff
from bridge.core.errors import NotFound, Rejected, Unreachable
from bridge.githosts.base.answers import (
    LONGEST_PAUSE,
    Answer,
    Request,
    error_in,
    list_of,
    lost,
    read,
    trouble,
    wait_in,
)
from bridge.githosts.base.pool import Bounds, Pool, TooLong
from bridge.githosts.base.webhook import Model
from bridge.ports.clock import Clock

# ── Credentials that must wait: until then no request is sent with them ───────────────────────────


@dataclass(frozen=True, slots=True)
class _Pause:
    until: float
    times: int


class Pauses:
    """The pause of each credential of one host, in memory."""

    def __init__(self, service: str, clock: Clock, ticks: Clock = time.monotonic) -> None:
        """Take the clocks: the time of day, and one that never jumps."""
        self._service = service
        self._clock = clock
        self._ticks = ticks
        self._known: dict[str, _Pause] = {}

    def check(self, account: str) -> None:
        """Raise Unreachable while a credential must wait."""
        known = self._known.get(account)
        left = known.until - self._ticks() if known else 0.0
        if left > 0:
            why = f"rate limit: it asked us to wait, for {left:.0f} s more"
            raise Unreachable(self._service, why, retry_after=left)

    def heed(self, account: str, answer: Answer) -> float | None:
        """Record an answer's rate limit; return the seconds to wait, if any.

        If a host keeps refusing without naming a time, the pause doubles.
        """
        now = self._ticks()
        wait = wait_in(answer, self._clock())
        known = self._known.get(account)
        if wait is None:  # requests sent before the pause don't count for it
            if known and now >= known.until:
                del self._known[account]
            return None
        times = known.times + 1 if known and now >= known.until else 1
        seconds = Backoff(wait.seconds, LONGEST_PAUSE).pause(1 if wait.named else times)
        if known is None or known.until < now + seconds:
            self._known[account] = _Pause(now + seconds, times)
        return seconds


# ── Requests to one Git host's API ────────────────────────────────────────────────────────────────

NOTHING: Mapping[str, Any] = MappingProxyType({})

Ask = Callable[..., Awaitable[Answer]]
"""Sends one request: method, path, and `query`, `body`, `headers` as `Client.ask` has them."""

PAGE = 100
"""Entries per page, both hosts' maximum."""

_MOST_PAGES = 1000


class Wire(Protocol):
    """A vendor's client; blocks, and serves one thread at a time."""

    def ask(self, request: Request) -> Answer:
        """Send once; raise the vendor's own errors."""

    def close(self) -> None:
        """Close the connections."""


class Client:
    """What all calls to a host share."""

    def __init__(
        self,
        service: str,
        base: str,
        wire: Callable[[], Wire],
        *,
        remedy: str,
        bounds: Bounds | None = None,
        clock: Clock = time.time,
    ) -> None:
        self.service = service
        self._base = urlsplit(base).path.rstrip("/")
        self._pool = Pool(service, wire, bounds or Bounds())
        self._remedy = remedy
        self._clock = clock
        self._pauses = Pauses(service, clock)

    async def ask(
        self,
        token: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] = NOTHING,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = NOTHING,
        account: str = "",
    ) -> Answer:
        """Send one request; raise an answer that is an error.

        Args:
            account: whose rate limit it counts towards, if the host keeps several for us.

        Raises:
            NotFound, Refused, Unreachable, Unanswered: as `HostApi` has it.
        """
        request = Request(self.service, method, path, token, query, body, headers)
        answer = await self._sent(request, account)
        wait = self._pauses.heed(account, answer)
        failed = error_in(request, answer, self._clock(), self._remedy)
        if failed is not None:
            if wait is not None and isinstance(failed, Unreachable):
                failed.retry_after = wait
            raise failed
        return answer

    async def pages(
        self, ask: Ask, path: str, *, query: Mapping[str, Any] = NOTHING
    ) -> AsyncIterator[Answer]:
        """Yield the pages of a list lazily, following `Link` headers.

        Args:
            ask: requests one page, with the right token.
        """
        step: Mapping[str, Any] = {"per_page": PAGE, **query}
        for _ in range(_MOST_PAGES):
            answer = await ask("GET", path, query=step)
            yield answer
            if (following := self._next(answer, path)) is None:
                return
            path, step = following

    async def close(self) -> None:
        """Close connections and threads."""
        await self._pool.close()

    async def _sent(self, request: Request, account: str) -> Answer:
        check = partial(self._pauses.check, account)
        check()  # what has to wait takes nobody's place
        try:
            return await self._pool.run(lambda wire: wire.ask(request), check)
        except TooLong:
            raise lost(request, "no complete answer in time") from None
        except (OSError, ValueError, RuntimeError) as error:
            # Not chained: a vendor's error may hold the request and its headers.
            raise trouble(request, error) from None

    def _next(self, answer: Answer, path: str) -> tuple[str, Mapping[str, Any]] | None:
        """Return the path and query of the next page; its host is ignored, so we stay at ours."""
        from requests.utils import parse_header_links

        links = parse_header_links(answer.headers.get("link", ""))
        for link in links:
            if link.get("rel") == "next":
                parts = urlsplit(link["url"])
                ours = parts.path.startswith(f"{self._base}/")
                where = parts.path.removeprefix(self._base) if ours else path
                return where, dict(parse_qsl(parts.query))
        return None


def checked_token(service: str, token: str) -> str:
    """Return a token that fits into a header; else raise Rejected, without showing it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Rejected(f"{service}: the token is empty or has characters that no token has")
    return token


def checked_base(service: str, url: str) -> str:
    """Return an API's base without a trailing slash; raise Rejected if it is no address."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise Rejected(f"{service}: its url has no valid host and port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Rejected(f"{service}: its url must look like https://git.example.com")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Rejected(f"{service}: its url may hold no user, password, query or fragment")
    return url.strip().rstrip("/")


def part(text: str) -> str:
    """Quote a text as one segment of a path; raise NotFound if it would lead elsewhere."""
    if text in ("", ".", ".."):
        raise NotFound(f"{text!r} names nothing")
    return quote(text, safe="")


def numeric(service: str, id_: str) -> str:
    """Return a host's numeric id, safe in a path; raise NotFound if it is no id."""
    if not (id_.isascii() and id_.isdecimal()):
        raise NotFound(f"{service}: {id_[:50]!r} is none of its ids")
    return id_


def cut(text: str, limit: int) -> str:
    """Cut a text to `limit` characters; mark the cut."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# ── Access to repositories: each one's path in the API, and its token ────────────────────────────

F = TypeVar("F")
K = TypeVar("K")
V = TypeVar("V")

_TOTALS = ("x-total-count", "x-total")
"""The headers in which hosts tell how many entries a list has."""

_MOST_KNOWN_PAGES = 256
_MOST_HEADS = 4096


class WithId(Model):
    """Anything with a number."""

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
        return str((await self.change("POST", path, WithId, body)).id)

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
        return [item async for page in self.pages(path, list_of(entry), query) for item in page]

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
            _keep(self.known, key, known if known.etag else None, _MOST_KNOWN_PAGES)
            return replace(
                answer, headers={**answer.headers, "link": known.link}, body=known.content
            )

        async for answer in self.client.pages(ask, self.path + path, query=query):
            yield answer.body


def _keep(known: OrderedDict[K, V], key: K, value: V | None, most: int) -> None:
    """Remember an answer if it has an ETag; drop what was not requested for a long time."""
    known.pop(key, None)
    if value is not None:
        known[key] = value
    if len(known) > most:
        known.popitem(last=False)


class Access(ABC):
    """Requests to one host, each with the token for the repository that it is about."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._known = OrderedDict[tuple[str, str], _Page]()
        self._me: int | None = None

    async def me(self) -> int:
        """Return the id of our account, of a host with one token; look it up once."""
        if self._me is None:
            self._me = (await self.at("/user").get("", WithId)).id
        return self._me

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

    def __init__(self, ask: Ask) -> None:
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
            etag = answer.headers.get("etag")
            kept = (etag, commit) if etag else None
            _keep(self._known, (repository, branch), kept, _MOST_HEADS)
        return commit
