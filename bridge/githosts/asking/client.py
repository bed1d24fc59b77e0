"""Requests to one Git host's API: in threads, with errors of ours, page by page.

The work on the wire is PyGithub's and python-gitlab's (`github.wire`, `gitlab.wire`), at the
level where one call is one request: so a deadline and an error always belong to one request.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, quote, urlsplit

from pydantic import TypeAdapter, ValidationError

from bridge.core.errors import NotFound, Rejected, Unreachable
from bridge.core.misfits import misfit
from bridge.githosts.asking.answers import NOTHING, Answer, Request, error_in, lost, trouble
from bridge.githosts.asking.pauses import Pauses
from bridge.githosts.asking.pool import Bounds, Pool, TooLong
from bridge.ports.clock import Clock

F = TypeVar("F")

Ask = Callable[..., Awaitable[Answer]]
"""Sends one request: method, path, and `query`, `body`, `headers` as `Client.ask` has them."""

PAGE = 100
"""Entries of a page; the most that both hosts give."""

_MOST_PAGES = 1000


class Wire(Protocol):
    """A vendor's client; blocks, and serves one thread at a time."""

    def ask(self, request: Request) -> Answer:
        """Send once; whatever it raises is the vendor's."""

    def close(self) -> None:
        """Let go of the connections."""


class Client:
    """What every call to a host has in common."""

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
        """Send one request; an answer that is an error is raised.

        Args:
            account: whose rate limit it counts towards, where a host has several for us.

        Raises:
            NotFound, Refused, Unreachable, Unanswered: as `HostApi` has it.
        """
        self._pauses.check(account)
        request = Request(self.service, method, path, token, query, body, headers)
        answer = await self._sent(request)
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
        """The pages of a list, each asked for when it is wanted, as `Link` headers lead.

        Args:
            ask: asks for one page, with the token that is good for it.
        """
        step: Mapping[str, Any] = {"per_page": PAGE, **query}
        for _ in range(_MOST_PAGES):
            answer = await ask("GET", path, query=step)
            yield answer
            if (following := self._next(answer, path)) is None:
                return
            path, step = following

    async def close(self) -> None:
        """Let go of connections and threads."""
        await self._pool.close()

    async def _sent(self, request: Request) -> Answer:
        try:
            return await self._pool.run(lambda wire: wire.ask(request))
        except TooLong:
            raise lost(request, "no whole answer in time") from None
        except (OSError, ValueError, RuntimeError) as error:
            # Not chained: a vendor's error can hold the request with its headers.
            raise trouble(request, error) from None

    def _next(self, answer: Answer, path: str) -> tuple[str, Mapping[str, Any]] | None:
        """Where the next page is, always at our host: of the link, only path and query count."""
        from requests.utils import parse_header_links

        links = parse_header_links(answer.headers.get("link", ""))
        for link in links:
            if link.get("rel") == "next":
                parts = urlsplit(link["url"])
                ours = parts.path.startswith(f"{self._base}/")
                where = parts.path.removeprefix(self._base) if ours else path
                return where, dict(parse_qsl(parts.query))
        return None


def read(form: TypeAdapter[F], request: str, answer: Answer, service: str, *, reads: bool) -> F:
    """An answer in the form that we need.

    Raises:
        Unreachable, Unanswered: it has another; the message never repeats it.
    """
    try:
        return form.validate_python(answer.body)
    except ValidationError as error:
        first = misfit(error.errors(include_url=False)[0], answer.body)
        why = f"unexpected answer: {first}"
        raise lost(Request(service, "GET" if reads else "POST", request), why) from None


def checked_token(service: str, token: str) -> str:
    """A token that fits into a header; Rejected where it does not, without showing it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise Rejected(f"{service}: the token is empty or has characters that no token has")
    return token


def checked_base(service: str, url: str) -> str:
    """An API's base without a trailing slash; Rejected where it is no address."""
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
    """A text as one part of a path, slashes and all; NotFound for one that leads elsewhere."""
    if text in ("", ".", ".."):
        raise NotFound(f"{text!r} names nothing")
    return quote(text, safe="")


def numeric(service: str, id_: str) -> str:
    """A host's numeric id, safe in a path; NotFound for what is none."""
    if not (id_.isascii() and id_.isdecimal()):
        raise NotFound(f"{service}: {id_[:50]!r} is none of its ids")
    return id_


def cut(text: str, limit: int) -> str:
    """A text of at most `limit` characters, with a sign where something is missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
