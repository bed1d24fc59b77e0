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


async def test_what_one_has_claimed_no_other_gets(joined: Joined) -> None:
    first, second = await joined("first"), await joined("second")
    seqs = await keep(first, 60)

    mine = await claimed(first, 20)
    theirs = await claimed(second)

    assert mine == seqs[:20]
    assert theirs == seqs[20:]
    assert await claimed(first) == mine  # its own it may claim again


async def test_many_who_claim_at_once_share_what_there_is(joined: Joined) -> None:
    inboxes = [await joined(f"owner-{n}") for n in range(4)]
    seqs = await keep(inboxes[0], 200)
    found: list[int] = []

    async def work(inbox: PostgresInbox) -> None:
        while batch := await claimed(inbox, 7):
            found.extend(batch)
            await inbox.finish([decided(seq) for seq in batch])

    await asyncio.gather(*map(work, inboxes))

    assert sorted(found) == seqs


async def test_the_claims_of_one_who_leaves_are_free_at_once(joined: Joined, postgres: str) -> None:
    leaving = PostgresInbox(postgres, owner="leaving")
    await leaving.start()
    seqs = await keep(leaving, 3)
    assert await claimed(leaving) == seqs

    await leaving.stop()

    assert await claimed(await joined("staying")) == seqs


async def test_the_claims_of_one_who_dies_end_by_themselves(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "CLAIM_SECONDS", 0.3)
    dead, living = await joined("dead"), await joined("living")
    seqs = await keep(dead, 3)
    assert await claimed(dead) == seqs
    assert await claimed(living) == []

    await until(lambda: claimed(living), lambda found: found == seqs)


async def test_who_has_lost_a_claim_finishes_nothing_any_more(
    joined: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "CLAIM_SECONDS", 0.0)
    slow, quick = await joined("slow"), await joined("quick")
    (seq,) = await keep(slow, 1)
    assert await claimed(slow) == [seq]
    assert await claimed(quick) == [seq]

    await slow.finish([decided(seq, DeliveryState.FAILED)])
    assert (await slow.get(seq)).state is DeliveryState.KEPT  # type: ignore[union-attr]
    await quick.finish([decided(seq)])
    await slow.finish([decided(seq, DeliveryState.KEPT)])

    assert (await slow.get(seq)).state is DeliveryState.DECIDED  # type: ignore[union-attr]


async def test_who_begins_keeps_its_claim_and_who_has_lost_it_begins_nothing(
    joined: Joined,
) -> None:
    first, second = await joined("first"), await joined("second")
    (seq,) = await keep(first, 1)
    assert await claimed(first) == [seq]

    await second.begin({seq: "not theirs"})
    await first.begin({seq: "attempt 1"})

    assert await claimed(second) == []
    found = await first.get(seq)
    assert found is not None
    assert (found.attempts, found.error) == (1, "attempt 1")


async def test_the_same_delivery_at_two_doors_is_kept_once(joined: Joined) -> None:
    first, second = await joined("first"), await joined("second")

    answers = await asyncio.gather(
        *(inbox.keep(delivery(f"id-{n}")) for n in range(100) for inbox in (first, second))
    )

    assert sum(not kept.duplicate for kept in answers) == 100
    assert len({kept.seq for kept in answers}) == 100


async def test_what_another_has_failed_at_is_taken_up_again(joined: Joined) -> None:
    door, worker = await joined("door"), await joined("worker")
    (seq,) = await keep(door, 1)
    assert await claimed(worker) == [seq]
    await worker.finish([decided(seq, DeliveryState.FAILED)])

    assert not (await door.keep(delivery("id-0"))).duplicate
    assert await claimed(worker) == [seq]


async def test_a_worker_is_woken_by_what_another_process_keeps(joined: Joined) -> None:
    worker = await joined("worker", listens=True)
    woken = asyncio.Event()
    worker.woken = woken.set
    door = await joined("door")
    for number in range(3):
        await asyncio.wait_for(woken.wait(), 10)  # the first time: it listens now
        woken.clear()
        await door.keep(delivery(f"id-{number}"))


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


async def test_a_restart_of_the_server_fails_no_delivery_and_loses_none(server: Server) -> None:
    inbox = PostgresInbox(server.url(), owner="first", listens=True)
    await inbox.start()
    sent: list[str] = []
    stopping = asyncio.Event()

    async def send() -> None:
        while not stopping.is_set():
            sent.append(f"id-{len(sent)}")
            await inbox.keep(delivery(sent[-1]))

    sending = asyncio.create_task(send())
    for _ in range(2):
        wanted = len(sent) + 5
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        await until(lambda: _count(sent), partial(operator.lt, wanted))
    stopping.set()
    await sending

    found = {one.id for one in await inbox.newest(100_000)}
    assert found == set(sent)
    await inbox.stop()


async def _count(sent: list[str]) -> int:
    return len(sent)


async def test_a_server_that_stays_away_is_unreachable_soon_and_then_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "PATIENCE", 0.3)
    inbox = PostgresInbox(server.url(), owner="first")
    await inbox.start()
    await asyncio.to_thread(server.stop)

    for at_least, at_most in ((0.3, 3.0), (0.0, 0.3)):
        began = time.monotonic()
        with pytest.raises(Unreachable):
            await inbox.keep(delivery("one"))
        assert at_least <= time.monotonic() - began < at_most
    with pytest.raises(Unreachable):
        await inbox.newest(1)
    await asyncio.to_thread(server.start)

    assert not (await inbox.keep(delivery("one"))).duplicate
    assert len(await inbox.newest(9)) == 1
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
