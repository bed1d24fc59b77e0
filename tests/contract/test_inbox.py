"""One suite for the `Inbox` port: what is kept is on disk, once, and in order."""

import asyncio
import random
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import DeliveryState, Kept
from bridge.storage.inbox.postgres import PostgresInbox
from tests.fakes.journey import delivery
from tests.worlds.inbox import IMPLEMENTATIONS, Opened, due_ids, finished


@pytest.fixture(params=sorted(IMPLEMENTATIONS))
async def reopened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opened]:
    """Opens the inbox on the same place each time, closing what was open before."""
    last: list[Any] = []
    place = request.getfixturevalue("postgres") if request.param == "postgres" else tmp_path

    async def opened() -> Any:
        while last:
            await last.pop().stop()
        last.append(await IMPLEMENTATIONS[request.param](place))
        return last[0]

    yield opened
    while last:
        await last.pop().stop()


@pytest.fixture
async def inbox(reopened: Opened) -> Any:
    return await reopened()


async def test_kept_means_on_disk_byte_by_byte(reopened: Opened) -> None:
    inbox = await reopened()
    await inbox.ready()
    assert await inbox.find("github", "nothing") is None
    assert (await inbox.get(12345), await inbox.get(2**70)) == (None, None)
    assert await inbox.newest(5) == []
    large = random.Random(1).randbytes(1_000_000) + b"x" * 1_000_000
    bodies = [b"", b"\0", bytes(range(256)) * 40, "ü€𝄞".encode(), b"\xff\xfe", large]
    new = [
        delivery(f"id-{n}", event="push", headers={"content-type": "application/json"}, body=body)
        for n, body in enumerate(bodies)
    ]
    kept = [await inbox.keep(one) for one in new]

    inbox = await reopened()

    assert [found.body for found in await inbox.due(0.0, 9)] == bodies
    assert [found.body for found in await inbox.due(0.0, 2)] == bodies[:2]
    for one, answer in zip(new, kept, strict=True):
        found = await inbox.find("github", one.id)
        assert (found.seq, answer.duplicate, found.body) == (answer.seq, False, one.body)
        assert (found.host, found.id, found.event) == ("github", one.id, "push")
        assert (found.headers, found.received_at) == (one.headers, one.received_at)
        assert (found.state, found.attempts, found.error) == (DeliveryState.KEPT, 0, None)
    pieces = list((await inbox.get(kept[-1].seq)).stored.pieces())
    assert b"".join(pieces) == large
    assert max(map(len, pieces)) <= 256 * 1024


async def test_many_at_once_are_each_kept_once_and_in_the_order_of_their_coming(inbox: Any) -> None:
    ids = [f"id-{number % 50}" for number in range(200)]

    answers = await asyncio.gather(*(inbox.keep(delivery(id_)) for id_ in ids))

    new = [id_ for id_, kept in zip(ids, answers, strict=True) if not kept.duplicate]
    assert new == [f"id-{number}" for number in range(50)]
    seqs = {id_: kept.seq for id_, kept in zip(ids, answers, strict=True)}
    assert [seqs[id_] for id_ in new] == sorted(seqs.values())
    assert all(seqs[id_] == kept.seq for id_, kept in zip(ids, answers, strict=True))
    assert await due_ids(inbox) == new


async def test_a_duplicate_changes_nothing_and_another_hosts_is_none(inbox: Any) -> None:
    first = await inbox.keep(delivery("one", body=b"first"))
    second = await inbox.keep(delivery("one", body=b"first", headers={"other": "headers"}))
    theirs = await inbox.keep(delivery("one", host="gitlab"))

    assert second == Kept(first.seq, duplicate=True)
    assert (await inbox.get(first.seq)).headers == {}
    assert not theirs.duplicate
    assert (await inbox.find("gitlab", "one")).seq == theirs.seq > first.seq


# ── a known id with another body ─────────────────────────────────────────────


async def test_another_body_under_a_known_id_hides_nothing(reopened: Opened) -> None:
    inbox = await reopened()
    first = await inbox.keep(delivery("one", body=b"first"))
    second = await inbox.keep(delivery("one", body=b"second"))

    assert (second.duplicate, second.seq > first.seq) == (False, True)
    assert second.id.startswith("one~")
    inbox = await reopened()
    assert (await inbox.find("github", "one")).body == b"first"
    assert (await inbox.find("github", second.id)).body == b"second"
    assert await inbox.keep(delivery("one", body=b"first")) == Kept(first.seq, duplicate=True)
    again = await inbox.keep(delivery("one", body=b"second"))
    assert again == Kept(second.seq, duplicate=True, id=second.id)
    assert await due_ids(inbox) == ["one", second.id]


async def test_bodies_under_one_id_at_once_are_each_kept_once(inbox: Any) -> None:
    bodies = [b"%d" % (number % 5) for number in range(60)]

    answers = await asyncio.gather(*(inbox.keep(delivery("one", body=body)) for body in bodies))

    assert sum(not kept.duplicate for kept in answers) == 5
    found = {one.id: one.body for one in await inbox.due(0.0, 100)}
    assert sorted(found.values()) == [b"0", b"1", b"2", b"3", b"4"]
    for body, kept in zip(bodies, answers, strict=True):
        assert found[kept.id or "one"] == body


async def test_another_body_does_not_take_up_what_has_failed(inbox: Any) -> None:
    first = await inbox.keep(delivery("one", body=b"first"))
    await inbox.finish([finished(first.seq, "one", DeliveryState.FAILED)])

    second = await inbox.keep(delivery("one", body=b"second"))

    assert second.seq != first.seq
    assert (await inbox.get(first.seq)).state is DeliveryState.FAILED


async def test_whose_body_was_forgotten_is_known_by_its_id(inbox: Any) -> None:
    first = await inbox.keep(delivery("one", body=b"first"))
    await inbox.finish([finished(first.seq, "one", DeliveryState.DECIDED)])
    assert await inbox.forget_bodies(2_000_000_000.0, 10) == 1

    assert await inbox.keep(delivery("one", body=b"second")) == Kept(first.seq, duplicate=True)


async def test_only_a_failed_one_is_taken_up_again_when_it_is_delivered_again(
    reopened: Opened,
) -> None:
    inbox = await reopened()
    for state in (DeliveryState.FAILED, DeliveryState.DECIDED, DeliveryState.IGNORED):
        kept = await inbox.keep(delivery(state))
        await inbox.finish([finished(kept.seq, state, state, error="no JSON", attempts=8)])
        assert (await inbox.get(kept.seq)).state is state

    for again in (True, False):
        for state in (DeliveryState.DECIDED, DeliveryState.IGNORED):
            assert (await inbox.keep(delivery(state))).duplicate
        assert (await inbox.keep(delivery(DeliveryState.FAILED))).duplicate is not again
        (due,) = await inbox.due(0.0, 10)
        assert (due.id, due.attempts) == (DeliveryState.FAILED, 0)
        inbox = await reopened()


async def test_one_that_waits_for_its_next_try_is_due_only_then_unless_the_clock_was_wrong(
    inbox: Any,
) -> None:
    now = 1_795_600_000.0
    kept = [await inbox.keep(delivery(id_)) for id_ in ("a year", "a minute")]
    await inbox.finish(
        [
            finished(kept[0].seq, "a year", DeliveryState.KEPT, due_at=now + 365 * 86_400),
            finished(
                kept[1].seq,
                "a minute",
                DeliveryState.KEPT,
                error="disk",
                attempts=3,
                due_at=now + 60,
            ),
        ]
    )

    assert await due_ids(inbox, now + 59.9) == ["a year"]
    assert await due_ids(inbox, now + 60) == ["a year", "a minute"]
    found = await inbox.get(kept[1].seq)
    assert (found.attempts, found.error) == (3, "disk")


async def test_finish_moves_all_and_newest_goes_backwards_page_by_page(reopened: Opened) -> None:
    inbox = await reopened()
    seqs = [(await inbox.keep(delivery(f"id-{n}", body=b"x"))).seq for n in range(3)]
    states = [DeliveryState.DECIDED, DeliveryState.IGNORED, DeliveryState.FAILED]
    why = ["because 0", "half \ud800, \0", "because 2"]
    await inbox.finish([finished(seqs[n], f"id-{n}", states[n], error=why[n]) for n in range(3)])

    inbox = await reopened()
    first = await inbox.newest(2)
    found = first + await inbox.newest(2, before=first[-1].seq)

    assert [one.id for one in found] == ["id-2", "id-1", "id-0"]
    assert [one.state for one in found] == states[::-1]
    assert [one.error for one in found] == ["because 2", "half ?, \ufffd", "because 0"]
    assert {one.body for one in found} == {None}


async def test_whoever_asked_and_has_gone_leaves_a_kept_delivery_that_wakes_once(
    inbox: Any,
) -> None:
    woken: list[int] = []
    rang = asyncio.Event()

    def wake() -> None:
        woken.append(1)
        rang.set()

    inbox.woken = wake
    asking = asyncio.create_task(inbox.keep(delivery("one")))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert (await inbox.keep(delivery("one"))).duplicate
    assert await due_ids(inbox) == ["one"]
    await asyncio.wait_for(rang.wait(), 5)
    assert woken == [1]


async def test_keeping_never_holds_the_event_loop(inbox: Any) -> None:
    await inbox.keep(delivery("warm"))
    bodies = [bytes([n]) * 2_000_000 for n in range(8)]
    lags: list[float] = []
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            before = time.perf_counter()
            await asyncio.sleep(0)
            lags.append(time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    keeps = [inbox.keep(delivery(f"large-{n}", body=body)) for n, body in enumerate(bodies)]
    await asyncio.gather(*keeps, *(inbox.keep(delivery(f"small-{n}")) for n in range(200)))
    done.set()
    await watching

    lags.sort()
    # The longest few are the machine's own doing where it is shared.
    assert lags[-3] < 0.020


async def test_what_no_database_takes_is_refused_and_stops_nobody_else(
    inbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    kept = await inbox.keep(delivery("one"))
    impossible = finished(2**70, "one", DeliveryState.DECIDED)

    with pytest.raises(Unreachable):
        await asyncio.wait_for(inbox.finish([impossible]), 5)

    await asyncio.wait_for(inbox.finish([replace(impossible, seq=kept.seq)]), 5)
    assert (await inbox.get(kept.seq)).state is DeliveryState.DECIDED


async def test_an_old_body_is_forgotten_once_it_is_decided(reopened: Opened) -> None:
    inbox = await reopened()
    for id_, at in (("decided", 10.0), ("undecided", 11.0), ("young", 50.0)):
        await inbox.keep(delivery(id_, body=b"body", received_at=at))
    await inbox.finish(
        [finished(seq, id_, DeliveryState.DECIDED) for seq, id_ in ((1, "decided"), (3, "young"))]
    )

    assert await inbox.forget_bodies(50.0, 10) == 1
    assert await inbox.forget_bodies(50.0, 10) == 0

    bodies = {
        id_: (await inbox.find("github", id_)).body for id_ in ("decided", "undecided", "young")
    }
    assert bodies == {"decided": None, "undecided": b"body", "young": b"body"}
    assert (await inbox.keep(delivery("decided"))).duplicate


async def test_an_old_delivery_is_forgotten_a_few_at_a_time(reopened: Opened) -> None:
    inbox = await reopened()
    for number in range(5):
        await inbox.keep(delivery(f"id-{number}", received_at=float(number)))
    await inbox.finish(
        [finished(seq, f"id-{seq - 1}", DeliveryState.IGNORED) for seq in (1, 2, 3, 5)]
    )

    assert [await inbox.forget(4.0, 2) for _ in range(3)] == [2, 1, 0]

    assert [one.id for one in await inbox.newest(10)] == ["id-4", "id-3"]
    assert await due_ids(inbox) == ["id-3"]
    assert not (await (await reopened()).keep(delivery("id-0"))).duplicate


async def test_it_tells_how_full_it_is(inbox: Any) -> None:
    assert await inbox.figures() == InboxFigures(0, None)
    first = await inbox.keep(replace(delivery("1"), received_at=10.0))
    await inbox.keep(replace(delivery("2"), received_at=20.0))
    assert await inbox.figures() == InboxFigures(2, 10.0)

    await inbox.finish([finished(first.seq, "1", DeliveryState.DECIDED)])
    assert await inbox.figures() == InboxFigures(1, 20.0)


# ── what is odd ──────────────────────────────────────────────────────────────


async def test_positions_go_on_after_those_that_another_store_knows(reopened: Opened) -> None:
    """A copy of the inbox that is older than the journal would give decided positions again."""
    inbox = await reopened()
    assert not await inbox.continue_after(0)
    assert await inbox.continue_after(5)
    first = await inbox.keep(delivery("one"))
    assert first.seq == 6
    assert not await inbox.continue_after(first.seq)

    assert await inbox.continue_after(first.seq + 40)
    assert not await inbox.continue_after(first.seq + 7)

    assert (await inbox.keep(delivery("two"))).seq == first.seq + 41
    inbox = await reopened()
    assert (await inbox.keep(delivery("three"))).seq == first.seq + 42


async def test_those_that_ended_in_a_state_are_found_by_their_reason(inbox: Any) -> None:
    seqs = [(await inbox.keep(delivery(f"id-{number}", body=b"b"))).seq for number in range(5)]
    failed, ignored = DeliveryState.FAILED, DeliveryState.IGNORED
    await inbox.finish(
        [
            finished(seqs[0], "id-0", failed, error="no JSON"),
            finished(seqs[1], "id-1", ignored, error="no app", unused="acme/x"),
            finished(seqs[2], "id-2", ignored, error="ping"),
            finished(seqs[3], "id-3", failed, error="no ref"),
        ]
    )

    async def ids(state: DeliveryState, limit: int = 9, **others: Any) -> list[str]:
        found = await inbox.ended(state, limit, **{"before": sys.maxsize} | others)
        assert all(one.body is None for one in found)
        return [one.id for one in found]

    assert await ids(failed) == ["id-3", "id-0"]
    assert await ids(failed, 1) == ["id-3"]
    assert await ids(failed, before=seqs[3]) == ["id-0"]
    assert await ids(ignored, unused="acme/x") == ["id-1"]
    assert await ids(DeliveryState.DECIDED) == []


# ── attempts ─────────────────────────────────────────────────────────────────


async def test_an_attempt_that_has_begun_is_on_disk_and_its_delivery_stays_due(
    reopened: Opened,
) -> None:
    inbox = await reopened()
    kept = await inbox.keep(delivery("one"))
    await inbox.due(0.0, 10)

    await inbox.begin({kept.seq: "attempt 1 of 3"})
    inbox = await reopened()  # whoever began it is gone
    (found,) = await inbox.due(0.0, 10)
    assert (found.state, found.attempts) == (DeliveryState.KEPT, 1)
    assert (found.error, found.unfinished) == ("attempt 1 of 3", 1)

    await inbox.finish([finished(kept.seq, "one", DeliveryState.DECIDED)])
    await inbox.begin({kept.seq: "too late"})
    found = await inbox.get(kept.seq)
    assert (found.state, found.error, found.unfinished) == (DeliveryState.DECIDED, None, 0)


async def test_an_inbox_of_an_earlier_release_says_the_same_by_its_text(
    request: pytest.FixtureRequest, reopened: Opened, tmp_path: Path
) -> None:
    inbox = await reopened()
    one, two = [(await inbox.keep(delivery(id_))).seq for id_ in ("one", "two")]
    await inbox.begin({one: "attempt 12 of 20 has begun and has not ended"})
    why = "no app deploys from acme/on on gitea/second"
    await inbox.finish([finished(two, "two", DeliveryState.IGNORED, error=why)])
    await inbox.stop()
    of_postgres = isinstance(inbox, PostgresInbox)
    place = request.getfixturevalue("postgres") if of_postgres else tmp_path / "inbox.sqlite"
    without_facts(place, of_postgres=of_postgres)

    inbox = await reopened()

    begun, ignored = await inbox.get(one), await inbox.get(two)
    assert (begun.unfinished, begun.unused) == (12, None)
    assert (ignored.unfinished, ignored.unused) == (0, "acme/on")


def without_facts(place: Any, *, of_postgres: bool) -> None:
    """Turn an inbox into one of a release that stored the text alone."""
    table = "inbox_work" if of_postgres else "work"
    drop = [f"ALTER TABLE {table} DROP COLUMN {one}" for one in ("unfinished", "unused")]
    if of_postgres:
        with psycopg.connect(place) as db:
            for statement in drop:
                db.execute(statement)
        return
    with closing(sqlite3.connect(place)) as db:
        for statement in (*drop, "PRAGMA user_version = 1"):
            db.execute(statement)
        db.commit()


async def test_of_large_deliveries_few_are_due_at_a_time_and_each_comes(inbox: Any) -> None:
    chance = random.Random(1)
    sizes = [20, 6, 6, 6, 6, 1]  # the first is larger than what is due at a time
    for number, size in enumerate(sizes):
        await inbox.keep(delivery(str(number), body=chance.randbytes(size * 2**20)))
    came = []

    while some := await inbox.due(0.0, 100):
        assert sum(one.size for one in some) <= 18 * 2**20 or [one.id for one in some] == ["0"]
        came += [one.id for one in some]
        await inbox.finish([finished(one.seq, one.id, DeliveryState.DECIDED) for one in some])

    assert came == ["0", "1", "2", "3", "4", "5"]
