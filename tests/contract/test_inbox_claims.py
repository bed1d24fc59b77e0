"""Several processes at one inbox on Postgres: each delivery is decided by one, and by some one.

Each inbox here has connections and a name of its own, as another process would.
"""

import asyncio
import operator
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial

import psycopg
import pytest

from bridge.core.errors import Unreachable
from bridge.ports.inbox import DeliveryState, Finished
from bridge.storage.inbox import postgres as claiming
from bridge.storage.inbox.postgres import PostgresInbox
from tests.fakes.journey import delivery
from tests.worlds.embedded import until
from tests.worlds.postgres import Server, own_server

Joined = Callable[..., Awaitable[PostgresInbox]]


@pytest.fixture
async def joined(postgres: str) -> AsyncIterator[Joined]:
    """One more process at the same inbox."""
    async with AsyncExitStack() as stack:

        async def join(owner: str, *, listens: bool = False) -> PostgresInbox:
            inbox = PostgresInbox(postgres, owner=owner, listens=listens)
            await inbox.start()
            stack.push_async_callback(inbox.stop)
            return inbox

        yield join


@pytest.fixture
def server() -> Iterator[Server]:
    """A server of the test's own, to be stopped and started."""
    with own_server() as server:
        yield server


async def keep(inbox: PostgresInbox, count: int) -> list[int]:
    kept = await asyncio.gather(*(inbox.keep(delivery(f"id-{n}")) for n in range(count)))
    return [one.seq for one in kept]


async def claimed(inbox: PostgresInbox, limit: int = 1000) -> list[int]:
    return [one.seq for one in await inbox.due(0.0, limit)]


def decided(seq: int, state: DeliveryState = DeliveryState.DECIDED) -> Finished:
    return Finished(seq, "github", f"id-{seq}", state)


async def test_many_who_claim_at_once_share_what_there_is(joined: Joined) -> None:
    inboxes = [await joined(f"owner-{n}") for n in range(4)]
    answers = await asyncio.gather(
        *(inbox.keep(delivery(f"id-{n}")) for n in range(200) for inbox in inboxes[:2])
    )
    assert sum(not kept.duplicate for kept in answers) == 200  # the same at two doors is kept once
    seqs = sorted({kept.seq for kept in answers})
    mine = await claimed(inboxes[0], 20)
    assert mine == seqs[:20]
    assert await claimed(inboxes[0], 20) == mine  # its own it may claim again
    found: list[int] = []

    async def work(inbox: PostgresInbox) -> None:
        while batch := await claimed(inbox, 7):
            found.extend(batch)
            await inbox.finish([decided(seq) for seq in batch])

    await asyncio.gather(*map(work, inboxes))

    assert sorted(found) == seqs


async def test_the_claims_of_one_who_leaves_or_dies_end(
    joined: Joined, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaving = PostgresInbox(postgres, owner="leaving")
    await leaving.start()
    seqs = await keep(leaving, 3)
    assert await claimed(leaving) == seqs
    await leaving.stop()

    monkeypatch.setattr(claiming, "CLAIM_SECONDS", 0.3)
    dead, living = await joined("dead"), await joined("living")
    assert await claimed(dead) == seqs  # free at once
    assert await claimed(living) == []
    await until(lambda: claimed(living), lambda found: found == seqs)


async def test_who_has_lost_a_claim_begins_and_finishes_nothing_any_more(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = await joined("slow"), await joined("quick")
    (seq,) = await keep(slow, 1)
    assert await claimed(slow) == [seq]
    await quick.begin({seq: "not theirs"})
    await slow.begin({seq: "attempt 1"})
    assert await claimed(quick) == []
    found = await slow.get(seq)
    assert found is not None
    assert (found.attempts, found.error) == (1, "attempt 1")

    monkeypatch.setattr(claiming, "CLAIM_SECONDS", 0.0)
    assert await claimed(slow) == [seq]
    assert await claimed(quick) == [seq]
    await slow.finish([decided(seq, DeliveryState.FAILED)])
    assert (await slow.get(seq)).state is DeliveryState.KEPT  # type: ignore[union-attr]
    await quick.finish([decided(seq)])
    await slow.finish([decided(seq, DeliveryState.KEPT)])
    assert (await slow.get(seq)).state is DeliveryState.DECIDED  # type: ignore[union-attr]


async def test_listening_that_fails_inside_is_told_and_begun_anew(
    joined: Joined, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(claiming, "BUG_PAUSE", 0.01)
    worker = await joined("worker", listens=True)
    listens_again = asyncio.Event()
    faults = [KeyError("a bug")]

    def wake() -> None:
        if faults:
            raise faults.pop()
        listens_again.set()

    worker.woken = wake
    await asyncio.wait_for(listens_again.wait(), 10)

    assert "listening to other processes failed unexpectedly" in caplog.text


async def test_connections_that_are_cut_fail_nobody(
    joined: Joined, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "LISTEN_PAUSE", 0.01)
    inbox = await joined("first", listens=True)
    await keep(inbox, 3)
    assert len(await claimed(inbox)) == 3
    with psycopg.connect(postgres, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    assert not (await inbox.keep(delivery("after"))).duplicate
    await inbox.ready()

    woken, door = asyncio.Event(), await joined("door")
    inbox.woken = woken.set
    for number in range(2):  # the first may come before it listens again, which wakes it as well
        await door.keep(delivery(f"heard-{number}"))
        await asyncio.wait_for(woken.wait(), 10)
        woken.clear()


async def test_a_restart_of_the_server_loses_no_delivery_and_one_that_stays_away_is_told_soon(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = PostgresInbox(server.url(), owner="first", listens=True)
    await inbox.start()
    sent: list[str] = []
    stopping = asyncio.Event()

    async def send() -> None:
        while not stopping.is_set():
            sent.append(f"id-{len(sent)}")
            await inbox.keep(delivery(sent[-1]))

    async def count() -> int:
        return len(sent)

    sending = asyncio.create_task(send())
    wanted = len(sent) + 5
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await until(count, partial(operator.lt, wanted))
    stopping.set()
    await sending
    assert {one.id for one in await inbox.newest(100_000)} == set(sent)
    await inbox.stop()

    monkeypatch.setattr(claiming, "PATIENCE", 0.3)
    inbox = PostgresInbox(server.url(), owner="second")
    await inbox.start()
    await asyncio.to_thread(server.stop)
    for at_least, at_most in ((0.3, 3.0), (0.0, 0.3)):
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await inbox.keep(delivery("one"))
        assert at_least <= time.monotonic() - began < at_most
    await asyncio.to_thread(server.start)
    assert not (await inbox.keep(delivery("one"))).duplicate
    await inbox.stop()


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hunter2@127.0.0.1:1/none", "postgresql://ada:hunter2@h:port/none"]
)
async def test_a_server_that_was_never_there_is_unreachable_and_says_no_secret(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "PATIENCE", 0.0)
    inbox = PostgresInbox(url, owner="first", listens=True)

    with pytest.raises(Unreachable) as caught:
        await inbox.start()

    assert "hunter2" not in str(caught.value)
    await inbox.stop()


async def test_all_make_the_tables_at_once(empty_postgres: str) -> None:
    inboxes = [PostgresInbox(empty_postgres, owner=f"owner-{n}") for n in range(6)]

    await asyncio.gather(*(inbox.start() for inbox in inboxes))

    assert not (await inboxes[0].keep(delivery("one"))).duplicate
    assert len(await inboxes[5].newest(9)) == 1
    for inbox in inboxes:
        await inbox.stop()
