"""Send requests to one Git host's API in threads, page by page.

PyGithub and python-gitlab do the work on the wire (`github.wire`, `gitlab.access`), at the level
where one call is one request: each request has its own deadline and error.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, urlsplit

from bridge.core.backoff import Backoff
from bridge.core.errors import NotFound, Rejected, Unreachable
from bridge.githosts.answers import LONGEST_PAUSE, Answer, Request, error_in, lost, trouble, wait_in
from bridge.githosts.pool import Bounds, Pool, TooLong
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
