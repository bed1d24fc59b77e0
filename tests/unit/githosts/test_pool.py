"""Calls that block: bounded in number and in time, and a hanging one holds up nobody."""

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bridge.core.errors import Unreachable
from bridge.githosts.base.pool import ALONE, MOST, Bounds, Counted, Pool, TooLarge, TooLong
from tests.worlds.embedded import until


@dataclass(eq=False)
class Blocking:
    """A client whose calls end when the test says so."""

    made: list["Blocking"]
    closed: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    may_end: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.made.append(self)

    def hang(self) -> str:
        self.begun.set()
        self.may_end.wait(5)
        return "at last"

    def close(self) -> None:
        self.closed = True


def pool_of(made: list[Blocking], **bounds: float) -> Pool[Blocking]:
    quick = {"size": 2, "deadline": 5, "wait": 0.02, "hanging": 2}
    return Pool("github", lambda: Blocking(made), Bounds(**{**quick, **bounds}))  # type: ignore[arg-type]


async def test_when_too_many_hang_no_more_are_begun_until_one_ends() -> None:
    made: list[Blocking] = []
    pool = pool_of(made, deadline=0.3)
    for _ in range(2):
        with pytest.raises(TooLong):
            await pool.run(Blocking.hang)

    with pytest.raises(Unreachable, match="2 calls to it hang"):
        await pool.run(id)
    assert len(made) == 2

    made[0].may_end.set()
    await until(lambda: _now(made[0].closed), bool)
    assert await pool.run(id) == id(made[2])
    made[1].may_end.set()


async def test_who_waits_too_long_for_a_place_has_asked_nothing() -> None:
    made: list[Blocking] = []
    pool = pool_of(made, size=1, deadline=5)
    first = asyncio.create_task(pool.run(Blocking.hang))
    await until(lambda: _now(len(made)), bool)

    with pytest.raises(Unreachable, match="1 calls to it are under way"):
        await pool.run(id)

    made[0].may_end.set()
    assert await first == "at last"


async def test_a_client_that_has_failed_is_not_used_again() -> None:
    made: list[Blocking] = []
    pool = pool_of(made)

    def fail(client: Blocking) -> None:
        raise OSError("connection reset")

    with pytest.raises(OSError, match="connection reset"):
        await pool.run(fail)

    assert made[0].closed
    assert await pool.run(lambda client: client is made[1])


async def test_one_that_has_been_idle_for_long_is_not_trusted() -> None:
    made: list[Blocking] = []
    pool = pool_of(made, idle=0.0)

    await pool.run(id)
    await pool.run(id)

    assert [client.closed for client in made] == [True, False]


async def test_after_closing_nothing_is_begun_and_what_runs_closes_itself() -> None:
    made: list[Blocking] = []
    pool = pool_of(made, deadline=5)
    call = asyncio.create_task(pool.run(Blocking.hang))
    await until(lambda: _now(len(made)), bool)

    await pool.close()
    with pytest.raises(Unreachable, match="closed"):
        await pool.run(id)

    made[0].may_end.set()
    assert await call == "at last"
    assert made[0].closed


async def _now(value: object) -> object:
    return value


# ── large answers ────────────────────────────────────────────────────────────

PIECE = ALONE // 2


@dataclass(eq=False)
class Wire:
    """A client that reads an answer; `pieces` says what it gets, and sees how far it is."""

    pieces: Callable[[], Iterator[bytes]]
    closed: bool = False

    def read(self) -> int:
        return sum(map(len, Counted(self, MOST).stream()))

    def stream(self) -> Iterator[bytes]:
        return self.pieces()

    def close(self) -> None:
        self.closed = True


async def test_large_answers_are_read_one_at_a_time_and_small_ones_go_on() -> None:
    reading: list[int] = []
    most, begun, may_end = 0, threading.Event(), threading.Event()

    def large() -> Iterator[bytes]:
        nonlocal most
        yield bytes(ALONE)
        yield bytes(PIECE)
        reading.append(1)
        most = max(most, len(reading))
        begun.set()
        may_end.wait(5)
        reading.pop()

    pool = Pool("github", lambda: Wire(large), Bounds(size=4, deadline=5, wait=5))
    several = [asyncio.create_task(pool.run(Wire.read)) for _ in range(3)]
    await asyncio.to_thread(begun.wait, 5)

    small = Counted(Wire(lambda: iter([bytes(ALONE)])), MOST)
    assert await pool.run(lambda _: sum(map(len, small.stream()))) == ALONE
    may_end.set()
    assert await asyncio.gather(*several) == [ALONE + PIECE] * 3
    assert most == 1


class Piece(bytearray):
    """A piece of an answer that can be watched."""


async def test_nothing_of_an_answer_that_is_too_large_is_kept() -> None:
    """An error's traceback holds what its frames hold, for as long as anybody holds the error."""
    read: list[weakref.ref[Piece]] = []

    def endless() -> Iterator[bytes]:
        while True:
            piece = Piece(PIECE)
            read.append(weakref.ref(piece))
            yield piece  # type: ignore[misc]

    def gather(wire: Wire) -> int:
        return len(list(Counted(wire, 4 * ALONE).stream()))

    pool = Pool("github", lambda: Wire(endless), Bounds())
    with pytest.raises(TooLarge, match="more than 4 MiB") as raised:
        await pool.run(gather)

    assert len(read) == 9
    assert raised.value is not None
    assert [one() for one in read] == [None] * 9
