"""Run calls of blocking clients in threads, bounded in number and time.

A thread can't be stopped. If its call takes too long, the thread and its client are abandoned and
the place is freed: a host that never answers delays only its own callers.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypedDict, TypeVar
from urllib.parse import urljoin, urlsplit

import requests

from bridge.connecting.blocking import Adapter, prepared
from bridge.core.errors import Unreachable
from bridge.githosts.base.webhook import give_back
from bridge.ports.clock import Clock


class Closes(Protocol):
    """A client whose connections can be closed."""

    def close(self) -> None:
        """Close its connections."""


C = TypeVar("C", bound=Closes)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of a pool, in numbers and seconds.

    Attributes:
        size: calls at a time; GitHub permits 100 per account.
        deadline: for a call and its whole answer.
        wait: for a free place.
        idle: how long to trust an unused connection to be alive.
        hanging: calls past their deadline, whose threads live on; at this number no call starts.
        silence: how long the HTTP client waits for a connection, and for each byte.
    """

    size: int = 8
    deadline: float = 30.0
    wait: float = 30.0
    idle: float = 20.0
    hanging: int = 32
    silence: float = 10.0


class Limits(TypedDict, total=False):
    """How a host is reached: its own authorities, and how long it may take; see `Bounds`."""

    ca: str | None
    bounds: Bounds | None
    clock: Clock


class TooLong(Exception):
    """A call was started and has not ended by its deadline."""


class Pool(Generic[C]):
    """A bounded number of clients, created on demand, each used by one thread at a time."""

    def __init__(self, service: str, make: Callable[[], C], bounds: Bounds) -> None:
        self._service = service
        self._make = make
        self._bounds = bounds
        self._free = asyncio.Semaphore(bounds.size)
        self._idle: list[tuple[float, C]] = []
        self._hanging = 0
        self._closed = False
        self._alone = threading.Lock()

    async def run(self, work: Callable[[C], T], check: Callable[[], None] = lambda: None) -> T:
        """Run `work` in a thread; return or raise its result.

        Args:
            check: raises whatever forbids the call, just before it starts.

        Raises:
            Unreachable: it was not started: no place was free, or the pool is closed.
            TooLong: it was started, and goes on without us.
        """
        await self._place()
        try:
            check()
        except BaseException:
            self._free.release()
            raise
        loop = asyncio.get_running_loop()
        turn = Turn(self._alone, self._bounds.deadline)
        call = _Call[C, T](self._client(), self._make, loop.create_future(), self._end, turn)
        call.start(work)
        try:
            async with asyncio.timeout(self._bounds.deadline):
                return await call.result
        except TimeoutError:
            raise TooLong from None
        finally:
            if not call.ended:
                call.left = turn.left = True
                self._hanging += 1
            self._free.release()

    async def close(self) -> None:
        """Close idle clients; busy ones close at the end of their calls."""
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
        """Return the client used last, if its connection is surely alive; else None."""
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
        client: if None, the thread makes it, since a vendor's library loads slowly.
        ended: the thread is done; `left`: nobody waits for it any longer.
        broken: it raised, so its connection is not used again.
    """

    def __init__(
        self,
        client: C | None,
        make: Callable[[], C],
        result: "asyncio.Future[T]",
        end: Callable[["_Call[C, T]"], None],
        turn: "Turn",
    ) -> None:
        self.client = client
        self._make = make
        self.result = result
        self.ended = self.left = self.broken = False
        self._end = end
        self._turn = turn

    def start(self, work: Callable[[C], T]) -> None:
        # Daemons, so a hanging one can't keep the process from exiting.
        threading.Thread(target=self._run, args=(work,), daemon=True, name="git host").start()

    def _run(self, work: Callable[[C], T]) -> None:
        try:
            if self.client is None:
                self.client = self._make()
            with self._turn:
                done = partial(self._done, self.result.set_result, work(self.client))
        except BaseException as error:  # noqa: BLE001 - re-raised in the caller
            if isinstance(error, TooLarge):
                error.__traceback__ = None  # its frames hold the whole answer
            self.broken = True
            done = partial(self._done, self.result.set_exception, error)
        if self._turn.taken:
            give_back()
        try:
            self.result.get_loop().call_soon_threadsafe(done)
        except RuntimeError:  # the loop is gone, and the caller with it
            if self.client is not None:
                self.client.close()

    def _done(self, settle: Callable[[Any], None], outcome: Any) -> None:
        self.ended = True
        self._end(self)
        if not self.result.done():
            settle(outcome)


# ── Answers of bounded size for clients built on requests, which reads whole bodies ───────────────

MOST = 40 * 2**20
"""The most bytes of an unpacked answer: a webhook delivery of 25 MB and what encloses it."""

MOST_OF_AN_ERROR = 256 * 1024
"""The most bytes of an error or a redirect; python-gitlab loads an error's JSON, however large."""

ALONE = 2**20
"""Larger answers of a host, in bytes, are read one at a time, to save memory."""


class TooLarge(requests.RequestException):
    """An answer is too large to read; the request may have been carried out."""


class Turn:
    """One call's right to read a large answer; entered by the thread that calls.

    Attributes:
        left: its caller has gone, so it need not read on.
        taken: its answer is a large one.
    """

    def __init__(self, alone: threading.Lock, wait: float) -> None:
        """Take the lock of all calls to the host, and how long to wait for it."""
        self.left = False
        self._alone = alone
        self._wait = wait
        self.taken = False

    def __enter__(self) -> None:
        _thread.turn = self

    def __exit__(self, *_: object) -> None:
        _thread.turn = None
        if self.taken:
            self._alone.release()

    def check(self, count: int) -> None:
        """Wait until so many bytes may be read; raise TooLarge if nobody wants them any more."""
        if count > ALONE and not self.taken:
            self.taken = self._alone.acquire(timeout=self._wait)
            if not self.taken:
                raise TooLarge("other large answers were read before it, and did not end in time")
        if self.left:
            raise TooLarge("the answer took too long, and is not read on")


class _Thread(threading.local):
    turn: Turn | None = None


_thread = _Thread()


class Bounded(Adapter):
    """Reads at most `MOST` bytes of an answer, however well it is compressed."""

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once, as every adapter does."""
        response = super().send(*args, **kwargs)
        # For text without a charset, requests would try every encoding on every byte.
        response.encoding = response.encoding or "utf-8"
        most = MOST if response.status_code < 300 else MOST_OF_AN_ERROR
        response.raw = Counted(response.raw, most)
        return response


class OwnHostSession(requests.Session):
    """Follows nobody to another host, as the token would go along, and nobody with a write.

    But a redirect that keeps the method, as of a renamed repository, may be followed with one.
    """

    def __init__(self, url: str, ca: str | None) -> None:
        """Take the host's address, and a PEM file with its authority."""
        super().__init__()
        prepared(self, url, Bounded(ca))

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


class Counted:
    """A body as urllib3 reads it, cut off at `most` bytes."""

    def __init__(self, raw: Any, most: int) -> None:
        self._raw = raw
        self._most = most

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Yield the body's pieces, as urllib3 does; raise TooLarge beyond the limit."""
        count = 0
        for piece in self._raw.stream(*args, **kwargs):
            count += len(piece)
            try:
                self._check(count)
            except TooLarge:
                self._raw.close()  # must not read the rest to reuse the connection
                raise
            yield piece

    def _check(self, count: int) -> None:
        if (most := self._most) < count:
            size = f"{most >> 20} MiB" if most >= 2**20 else f"{most >> 10} KiB"
            raise TooLarge(f"the answer has more than {size}, which are not read")
        if _thread.turn is not None:
            _thread.turn.check(count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
