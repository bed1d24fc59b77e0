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


async def test_kept_means_on_disk(reopened: Opened) -> None:
    inbox = await reopened()
    new = delivery("one", event="push", headers={"content-type": "application/json"}, body=b"body")
    kept = await inbox.keep(new)

    found = await (await reopened()).find("github", "one")

    assert (found.seq, kept.duplicate) == (kept.seq, False)
    assert (found.host, found.id, found.event) == ("github", "one", "push")
    assert (found.headers, found.body) == (new.headers, b"body")
    assert (found.received_at, found.state) == (new.received_at, DeliveryState.KEPT)
    assert (found.attempts, found.error) == (0, None)


async def test_many_at_once_are_each_kept_once_and_in_the_order_of_their_coming(inbox: Any) -> None:
    ids = [f"id-{number % 50}" for number in range(200)]

    answers = await asyncio.gather(*(inbox.keep(delivery(id_)) for id_ in ids))

    new = [id_ for id_, kept in zip(ids, answers, strict=True) if not kept.duplicate]
    assert new == [f"id-{number}" for number in range(50)]
    seqs = {id_: kept.seq for id_, kept in zip(ids, answers, strict=True)}
    assert [seqs[id_] for id_ in new] == sorted(seqs.values())
    assert all(seqs[id_] == kept.seq for id_, kept in zip(ids, answers, strict=True))
    assert await due_ids(inbox) == new


async def test_different_ids_at_once_keep_their_order(inbox: Any) -> None:
    answers = await asyncio.gather(*(inbox.keep(delivery(f"id-{n}")) for n in range(200)))

    seqs = [kept.seq for kept in answers]
    assert seqs == sorted(set(seqs))
    assert not any(kept.duplicate for kept in answers)


async def test_the_same_id_of_another_host_is_another_delivery(inbox: Any) -> None:
    first = await inbox.keep(delivery("same"))
    second = await inbox.keep(delivery("same", host="gitlab"))

    assert not second.duplicate
    assert second.seq > first.seq
    assert (await inbox.find("gitlab", "same")).seq == second.seq


async def test_a_duplicate_changes_nothing(inbox: Any) -> None:
    first = await inbox.keep(delivery("one", body=b"first"))
    second = await inbox.keep(delivery("one", body=b"first", headers={"other": "headers"}))

    assert second == Kept(first.seq, duplicate=True)
    assert (await inbox.get(first.seq)).headers == {}


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


async def test_a_body_that_is_kept_is_known_beside_others_under_its_id(inbox: Any) -> None:
    first = await inbox.keep(delivery("one", body=b"0"))
    bodies = [b"%d" % (number % 3) for number in range(1, 60)]

    answers = await asyncio.gather(*(inbox.keep(delivery("one", body=body)) for body in bodies))

    for body, kept in zip(bodies, answers, strict=True):
        assert (kept.seq == first.seq) == (body == b"0")
    assert sum(not kept.duplicate for kept in answers) == 2


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


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", bytes(range(256)) * 40, "ü€𝄞".encode(), b"\xff\xfe", b"a" * 2_000_000],
    ids=["empty", "nul", "every byte", "text", "no text", "large"],
)
async def test_a_body_comes_back_byte_by_byte(reopened: Opened, body: bytes) -> None:
    kept = await (await reopened()).keep(delivery(body=body))

    inbox = await reopened()

    assert (await inbox.get(kept.seq)).body == body
    assert [found.body for found in await inbox.due(0.0, 1)] == [body]


async def test_a_failed_one_is_taken_up_again_when_it_is_delivered_again(reopened: Opened) -> None:
    inbox = await reopened()
    kept = await inbox.keep(delivery("one"))
    await inbox.finish(
        [finished(kept.seq, "one", DeliveryState.FAILED, error="no JSON", attempts=8)]
    )
    assert (await inbox.get(kept.seq)).state is DeliveryState.FAILED

    again = await inbox.keep(delivery("one"))

    assert (again.seq, again.duplicate) == (kept.seq, False)
    (due,) = await inbox.due(0.0, 10)
    assert (due.id, due.attempts) == ("one", 0)
    assert (await inbox.keep(delivery("one"))).duplicate


@pytest.mark.parametrize("state", [DeliveryState.DECIDED, DeliveryState.IGNORED])
async def test_a_finished_one_that_is_delivered_again_stays_finished(
    reopened: Opened, state: DeliveryState
) -> None:
    inbox = await reopened()
    kept = await inbox.keep(delivery("one"))
    await inbox.finish([finished(kept.seq, "one", state)])

    for _ in range(2):
        assert (await inbox.keep(delivery("one"))).duplicate
        assert await due_ids(inbox) == []
        inbox = await reopened()


async def test_due_gives_the_oldest_first_and_no_more_than_asked_for(inbox: Any) -> None:
    await asyncio.gather(*(inbox.keep(delivery(f"id-{n}")) for n in range(5)))

    assert [found.id for found in await inbox.due(0.0, 3)] == ["id-0", "id-1", "id-2"]


async def test_one_that_waits_for_its_next_try_is_due_only_then(inbox: Any) -> None:
    kept = await inbox.keep(delivery("one"))
    await inbox.keep(delivery("two"))
    later = finished(kept.seq, "one", DeliveryState.KEPT, error="disk", attempts=3, due_at=50.0)
    await inbox.finish([later])

    assert await due_ids(inbox, 49.9) == ["two"]
    assert await due_ids(inbox, 50.0) == ["one", "two"]
    found = await inbox.get(kept.seq)
    assert (found.attempts, found.error) == (3, "disk")


async def test_finish_moves_all_that_it_is_given(reopened: Opened) -> None:
    inbox = await reopened()
    seqs = [(await inbox.keep(delivery(f"id-{n}"))).seq for n in range(3)]
    states = [DeliveryState.DECIDED, DeliveryState.IGNORED, DeliveryState.FAILED]
    await inbox.finish(
        [
            finished(seq, f"id-{n}", state, error=f"because {n}")
            for n, (seq, state) in enumerate(zip(seqs, states, strict=True))
        ]
    )

    found = await (await reopened()).newest(10)

    assert [one.state for one in found] == states[::-1]
    assert [one.error for one in found] == ["because 2", "because 1", "because 0"]


async def test_newest_goes_backwards_page_by_page_and_leaves_the_bodies_out(inbox: Any) -> None:
    for number in range(5):
        await inbox.keep(delivery(f"id-{number}", body=b"x"))

    first = await inbox.newest(2)
    second = await inbox.newest(2, before=first[-1].seq)

    assert [found.id for found in first + second] == ["id-4", "id-3", "id-2", "id-1"]
    assert {found.body for found in first} == {None}


async def test_what_is_not_there_is_not_found(inbox: Any) -> None:
    assert await inbox.find("github", "nothing") is None
    assert await inbox.get(12345) is None
    assert await inbox.get(2**70) is None
    assert await inbox.newest(5) == []


async def test_whoever_decides_is_woken_by_what_is_new_only(inbox: Any) -> None:
    woken: list[int] = []
    inbox.woken = lambda: woken.append(1)

    await inbox.keep(delivery("one"))
    await inbox.keep(delivery("one"))

    assert woken == [1]


async def test_whoever_asked_and_has_gone_leaves_a_kept_delivery(inbox: Any) -> None:
    woken = asyncio.Event()
    inbox.woken = woken.set
    asking = asyncio.create_task(inbox.keep(delivery("one")))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    assert (await inbox.keep(delivery("one"))).duplicate
    assert await due_ids(inbox) == ["one"]
    await asyncio.wait_for(woken.wait(), 5)


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


async def test_an_inbox_that_has_just_what_it_needs_is_ready(inbox: Any) -> None:
    await inbox.ready()


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


async def test_what_a_clock_far_ahead_has_put_off_is_due_when_the_clock_is_right(
    inbox: Any,
) -> None:
    now, later = 1_795_600_000.0, 60.0
    kept = [await inbox.keep(delivery(id_)) for id_ in ("a year", "a minute")]
    await inbox.finish(
        [
            finished(kept[0].seq, "a year", DeliveryState.KEPT, due_at=now + 365 * 86_400),
            finished(kept[1].seq, "a minute", DeliveryState.KEPT, due_at=now + later),
        ]
    )

    assert await due_ids(inbox, now) == ["a year"]
    assert await due_ids(inbox, now + later) == ["a year", "a minute"]


async def test_a_reason_that_is_no_proper_text_is_kept_all_the_same(inbox: Any) -> None:
    kept = await inbox.keep(delivery("one"))

    await inbox.finish([finished(kept.seq, "one", DeliveryState.FAILED, error="half \ud800, \0")])

    assert (await inbox.get(kept.seq)).error == "half ?, \ufffd"


async def test_positions_go_on_after_those_that_another_store_knows(reopened: Opened) -> None:
    """A copy of the inbox that is older than the journal would give decided positions again."""
    inbox = await reopened()
    first = await inbox.keep(delivery("one"))
    assert not await inbox.continue_after(first.seq)

    assert await inbox.continue_after(first.seq + 40)
    assert not await inbox.continue_after(first.seq + 7)

    assert (await inbox.keep(delivery("two"))).seq == first.seq + 41
    inbox = await reopened()
    assert (await inbox.keep(delivery("three"))).seq == first.seq + 42


async def test_positions_of_an_empty_inbox_go_on_as_well(inbox: Any) -> None:
    assert not await inbox.continue_after(0)
    assert await inbox.continue_after(5)

    assert (await inbox.keep(delivery("one"))).seq == 6


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
    bodies = [chance.randbytes(6 * 2**20) for _ in range(5)]
    for number, body in enumerate(bodies):
        await inbox.keep(delivery(str(number), body=body))
    came = []

    while some := await inbox.due(0.0, 100):
        assert sum(one.size for one in some) <= 18 * 2**20
        came += [one.id for one in some]
        await inbox.finish([finished(one.seq, one.id, DeliveryState.DECIDED) for one in some])

    assert came == ["0", "1", "2", "3", "4"]


async def test_one_delivery_larger_than_what_is_due_at_a_time_comes_alone(inbox: Any) -> None:
    await inbox.keep(delivery("large", body=random.Random(1).randbytes(20 * 2**20)))
    await inbox.keep(delivery("small"))

    assert await due_ids(inbox) == ["large"]


async def test_a_body_comes_back_in_pieces_too(inbox: Any) -> None:
    body = random.Random(1).randbytes(1_000_000) + b"x" * 1_000_000
    kept = await inbox.keep(delivery("one", body=body))

    found = await inbox.get(kept.seq)

    assert found.size == len(body)
    pieces = list(found.stored.pieces())
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 256 * 1024
