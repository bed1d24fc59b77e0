"""No delivery is kept twice, wherever its id is known from: memory, the index, or the rows."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.errors import Rejected, Unreachable
from bridge.ports.inbox import DeliveryState, Finished
from bridge.storage.inbox.reading import delivery_key
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import delivery

BULK = 8
"""So few that the index takes some all the time."""


def named(begins: bytes) -> str:
    """An id whose key begins so."""
    names = (f"id-{number}" for number in count())
    return next(name for name in names if delivery_key("github", name).startswith(begins))


# The first and last in the index's order among them.
IDS = [*(f"id-{number}" for number in range(20)), *map(named, (b"\0", b"\x0f", b"\x10", b"\xff"))]
HERE, BESIDE = "the process", "another process"
TABLES = ("deliveries", "work", "ids", "indexed")

some_ids = st.lists(st.sampled_from(IDS), min_size=1, max_size=12)
steps = st.one_of(
    st.tuples(st.sampled_from([HERE, BESIDE]), some_ids),
    st.tuples(st.sampled_from(TABLES), some_ids),
    st.tuples(st.just("forget"), st.integers(1, 15)),
    st.tuples(st.just("open anew"), st.none()),
)
stories = st.lists(steps, min_size=5, max_size=30)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteInbox]:
    """An inbox with a small index."""
    inbox = SqliteInbox(folder / "inbox.sqlite", bulk=BULK)
    await inbox.start()
    yield inbox
    await inbox.stop()


class Kept:
    """What must be there: by id, in the order of its coming."""

    def __init__(self) -> None:
        self.seqs: dict[str, int] = {}
        self.last = 0

    async def keep(self, inbox: SqliteInbox, ids: list[str], *, refusing: bool = False) -> None:
        """Ask for them at once; each is new where nobody has kept it, or refused if that may be."""
        asked = (inbox.keep(delivery(id_)) for id_ in ids)
        answers = await asyncio.gather(*asked, return_exceptions=True)
        for id_, answer in zip(ids, answers, strict=True):
            if refusing and isinstance(answer, Unreachable):
                continue
            assert not isinstance(answer, BaseException)
            assert answer.duplicate == (id_ in self.seqs)
            if not answer.duplicate:
                assert answer.seq > self.last
                self.seqs[id_] = self.last = answer.seq
            assert answer.seq == self.seqs[id_]

    async def forget(self, inbox: SqliteInbox, many: int) -> None:
        """Forget the oldest."""
        oldest = list(self.seqs.items())[:many]
        await inbox.finish(
            [Finished(seq, "github", id_, DeliveryState.DECIDED) for id_, seq in oldest]
        )
        assert await inbox.forget(delivery("any").received_at + 1, many) == len(oldest)
        for id_, _ in oldest:
            del self.seqs[id_]


@contextmanager
def unwritable(inbox: SqliteInbox, table: str) -> Iterator[None]:
    """A table that can't be written, as on a full disk."""
    kind = "UPDATE" if table == "indexed" else "INSERT"
    with closing(sqlite3.connect(inbox._path)) as db:
        db.execute(
            f"CREATE TRIGGER full BEFORE {kind} ON {table} BEGIN SELECT raise(FAIL, 'full'); END"
        )
        yield
        db.execute("DROP TRIGGER full")


@settings(max_examples=40)
@given(stories)
@example([(HERE, IDS[:2]), (BESIDE, IDS[1:3]), (HERE, IDS[:3])])
@example([(HERE, IDS[:2]), (BESIDE, IDS[1:3]), ("forget", 2), (BESIDE, IDS[:3]), (HERE, IDS[:3])])
@example([(HERE, IDS), *([(HERE, IDS[:1])] * 20), ("forget", 3), ("open anew", None), (HERE, IDS)])
@example([(HERE, IDS), *([("ids", IDS[:1]), (HERE, IDS[:1])] * 20), (BESIDE, IDS), (HERE, IDS)])
async def test_each_id_is_kept_once_whatever_happens_in_between(
    story: list[tuple[str, list[str] | int | None]],
) -> None:
    kept = Kept()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with opened(folder) as beside:
            inbox = SqliteInbox(folder / "inbox.sqlite", bulk=BULK)
            await inbox.start()
            for what, value in story:
                if isinstance(value, int):
                    await kept.forget(inbox, value)
                elif value is None:
                    await inbox.stop()
                    await inbox.start()
                elif what in TABLES:
                    with unwritable(inbox, what):
                        await kept.keep(inbox, value, refusing=True)
                else:
                    await kept.keep(inbox if what == HERE else beside, value)
            for id_, seq in kept.seqs.items():
                found = await inbox.find("github", id_)
                assert found is not None
                assert found.seq == seq
            assert [one.id for one in await inbox.newest(100)] == list(kept.seqs)[::-1]
            await inbox.stop()


async def test_the_index_takes_what_memory_need_not_hold(tmp_path: Path) -> None:
    async with opened(tmp_path) as inbox:
        for number in range(20 * BULK):
            await inbox.keep(delivery(f"id-{number}"))

    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as db:
        (indexed,) = db.execute("SELECT count(*) FROM ids").fetchone()
        (rest,) = db.execute(
            "SELECT count(*) FROM work WHERE seq > (SELECT upto FROM indexed)"
        ).fetchone()
    assert indexed >= 15 * BULK
    assert rest <= 5 * BULK


# The tables as they were before there were versions, with what one may find in them.
UNVERSIONED = """
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, host TEXT NOT NULL,
    id TEXT NOT NULL, event TEXT NOT NULL, headers TEXT NOT NULL, received_at REAL NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE TABLE work (
    seq INTEGER PRIMARY KEY, state TEXT NOT NULL DEFAULT 'kept', due_at REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT
) STRICT;
CREATE INDEX work_open ON work (seq) WHERE state = 'kept';
"""


async def test_a_file_of_before_is_taken_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as inbox:  # what it holds is written by ourselves
        for id_ in ("one", "two", "gone"):
            await inbox.keep(delivery(id_, body=id_.encode()))
        await inbox.finish([Finished(1, "github", "one", DeliveryState.FAILED, error="no JSON")])
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as new, new:
        new.execute("ATTACH ? AS old", (str(tmp_path / "old.sqlite"),))
        script = UNVERSIONED.replace("TABLE ", "TABLE old.").replace("INDEX ", "INDEX old.")
        new.executescript(
            script
            + """
            INSERT INTO old.deliveries
                SELECT seq, key, host, id, event, headers, received_at, body
                FROM main.deliveries JOIN main.work USING (seq);
            INSERT INTO old.work SELECT seq, state, due_at, attempts, error FROM main.work;
            DELETE FROM old.work WHERE seq = 3;
            DELETE FROM old.deliveries WHERE seq = 3;
            """
        )
    for file in tmp_path.glob("inbox.sqlite*"):
        file.unlink()
    (tmp_path / "old.sqlite").rename(tmp_path / "inbox.sqlite")

    async with opened(tmp_path) as inbox, opened(tmp_path) as beside:
        one, two = [await inbox.find("github", id_) for id_ in ("one", "two")]
        again = [
            await beside.keep(delivery(id_, body=id_.encode())) for id_ in ("one", "two", "gone")
        ]

    assert one is not None
    assert two is not None
    assert (one.body, two.body) == (b"one", b"two")
    assert (one.state, one.error) == (DeliveryState.FAILED, "no JSON")
    # The failed one is taken up again, the other is known, and no position is given twice.
    assert [(kept.seq, kept.duplicate) for kept in again] == [(1, False), (2, True), (4, False)]


async def test_a_file_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as inbox:
        await inbox.keep(delivery("one"))
    with closing(sqlite3.connect(tmp_path / "inbox.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")

    with pytest.raises(Rejected, match=r"newer release .* at 99, this release knows 2"):
        await SqliteInbox(tmp_path / "inbox.sqlite").start()
