"""Clients that block, each call in a thread of its own: bounded in number and in time.

A thread can't be stopped. One whose call takes too long is left to itself, with its client, and
its place is free again: a host that never answers delays nobody but those who ask it.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from bridge.core.errors import Unreachable


class Closes(Protocol):
    """A client with connections to let go of."""

    def close(self) -> None:
        """Let go of them."""


C = TypeVar("C", bound=Closes)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many and how long; seconds.

    Attributes:
        size: calls at a time; GitHub permits 100 of one account.
        deadline: for a call, with all that it reads.
        wait: for a free place.
        idle: that an unused connection is trusted to be alive still.
        hanging: calls past their deadline, whose threads live on, until no more are begun.
        silence: that the HTTP client waits for a connection, and for each byte.
    """

    size: int = 8
    deadline: float = 30.0
    wait: float = 30.0
    idle: float = 20.0
    hanging: int = 32
    silence: float = 10.0


class TooLong(Exception):
    """A call was begun and has not ended by its deadline."""


class Pool(Generic[C]):
    """A bounded number of clients, each used by one thread at a time; made when first needed."""

    def __init__(self, service: str, make: Callable[[], C], bounds: Bounds) -> None:
        self._service = service
        self._make = make
        self._bounds = bounds
        self._free = asyncio.Semaphore(bounds.size)
        self._idle: list[tuple[float, C]] = []
        self._hanging = 0
        self._closed = False

    async def run(self, work: Callable[[C], T]) -> T:
        """Return what `work` returns or raises, from a thread.

        Raises:
            Unreachable: it was not begun: no place was free, or the pool is closed.
            TooLong: it was begun and goes on without us.
        """
        await self._place()
        loop = asyncio.get_running_loop()
        call = _Call[C, T](self._client(), self._make, loop.create_future(), self._end)
        call.start(work)
        try:
            async with asyncio.timeout(self._bounds.deadline):
                return await call.result
        except TimeoutError:
            raise TooLong from None
        finally:
            if not call.ended:
                call.left = True
                self._hanging += 1
            self._free.release()

    async def close(self) -> None:
        """Close what is idle; what is under way closes at its end."""
        self._closed = True
        while self._idle:
            self._idle.pop()[1].close()

    async def _place(self) -> None:
        if self._closed:
            raise Unreachable(self._service, "the client is closed")
        if self._hanging >= self._bounds.hanging:
            raise Unreachable(self._service, f"{self._hanging} calls to it hang")
        try:
            async with asyncio.timeout(self._bounds.wait):
                await self._free.acquire()
        except TimeoutError:
            why = f"{self._bounds.size} calls to it are under way and do not end"
            raise Unreachable(self._service, why) from None

    def _client(self) -> C | None:
        """Return the client used last, while its connection is surely alive; else none."""
        while self._idle:
            since, client = self._idle.pop()
            if time.monotonic() - since < self._bounds.idle:
                return client
            client.close()
        return None

    def _end(self, call: "_Call[C, T]") -> None:
        if call.left:
            self._hanging -= 1
        if call.client is None:
            return
        if call.left or self._closed or call.broken:
            call.client.close()
        else:
            self._idle.append((time.monotonic(), call.client))


class _Call(Generic[C, T]):
    """One call in its thread.

    Attributes:
        client: made by the thread where there is none: loading a vendor's library takes a while.
        ended: the thread is through; `left`: nobody waits for it any more.
        broken: it raised, so its connection is not used again.
    """

    def __init__(
        self,
        client: C | None,
        make: Callable[[], C],
        result: "asyncio.Future[T]",
        end: Callable[["_Call[C, T]"], None],
    ) -> None:
        self.client = client
        self._make = make
        self.result = result
        self.ended = self.left = self.broken = False
        self._end = end

    def start(self, work: Callable[[C], T]) -> None:
        # Daemons, so that a hanging one can't keep the process from ending.
        threading.Thread(target=self._run, args=(work,), daemon=True, name="git host").start()

    def _run(self, work: Callable[[C], T]) -> None:
        try:
            if self.client is None:
                self.client = self._make()
            done = partial(self._returned, work(self.client))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            done = partial(self._raised, error)
        try:
            self.result.get_loop().call_soon_threadsafe(done)
        except RuntimeError:  # the loop is gone, and with it whoever waited
            if self.client is not None:
                self.client.close()

    def _returned(self, value: T) -> None:
        self.ended = True
        self._end(self)
        if not self.result.done():
            self.result.set_result(value)

    def _raised(self, error: BaseException) -> None:
        self.ended = self.broken = True
        self._end(self)
        if not self.result.done():
            self.result.set_exception(error)


# ── Answers of bounded size for clients that are built on requests, which reads all of a body ───

MOST = 40 * 2**20
"""Bytes of an answer, unpacked: a webhook's delivery of 25 MB with what stands around it."""


class TooLarge(requests.RequestException):
    """An answer has more bytes than are read; what was asked for may have been done."""


class Bounded(HTTPAdapter):
    """Reads no more of an answer than `MOST` bytes, however well it is compressed."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once, as every adapter."""
        response = super().send(*args, **kwargs)
        # For text of no named encoding requests would try them all on every byte.
        response.encoding = response.encoding or "utf-8"
        response.raw = _Counted(response.raw)
        return response


class OwnHostSession(requests.Session):
    """Follows nobody to another host, as the token would go along, and nobody with a write.

    But a redirect that keeps the method, as of a renamed repository, may be followed with one.
    """

    def __init__(self) -> None:
        """Bound the answers."""
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, Bounded())

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where to go on; None: nowhere."""
        target = super().get_redirect_target(resp)
        if target is None or (resp.request.method != "GET" and resp.status_code not in (307, 308)):
            return None
        try:
            here, there = (urlsplit(url) for url in (resp.url, urljoin(resp.url, target)))
        except ValueError:
            return None
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return target if same else None


class _Counted:
    """What a body is read from: as urllib3 has it, but it ends at `MOST`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        count = 0
        for piece in self._raw.stream(*args, **kwargs):
            count += len(piece)
            if count > MOST:
                self._raw.close()  # the rest must not be read for the next request's sake
                raise TooLarge(f"the answer has more than {MOST >> 20} MiB, which are not read")
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
