"""The inbox on Postgres: any number of processes keep deliveries, and workers claim them.

A claim is a lease on the database's clock: a worker that dies loses it, and another takes over. If
two decide the same delivery, nothing happens twice, since recording is idempotent; and only the
holder of the claim, or anyone if there is none, finishes it.

Positions are assigned before they are committed, so an older one may become visible after a newer
one was decided. It was received earlier, so the newer deployment contains its changes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import psycopg

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable
from bridge.ports.inbox import LONGEST_PAUSE, Delivery, Kept, NewDelivery
from bridge.storage.engines import lock_key
from bridge.storage.inbox.batches import (
    KEY,
    MOST_AT_ONCE,
    BatchedInbox,
    Begin,
    Finish,
    Forget,
    Item,
    Keep,
    Row,
    apart,
    by_its_body,
    is_same,
    its_id,
    rows_of,
)
from bridge.storage.inbox.reading import BODY, FIELDS, LARGE, PROGRESS
from bridge.storage.postgres import Connection, Link

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS inbox (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key BYTEA NOT NULL UNIQUE,
    host TEXT NOT NULL,
    id TEXT NOT NULL,
    event TEXT NOT NULL,
    headers TEXT NOT NULL,
    received_at DOUBLE PRECISION NOT NULL,
    body BYTEA NOT NULL
);
-- Bodies are compressed by us.
ALTER TABLE inbox ALTER body SET STORAGE EXTERNAL;
-- How far each has come stands apart from the bodies, so that moving on rewrites few pages.
CREATE TABLE IF NOT EXISTS inbox_work (
    seq BIGINT PRIMARY KEY,
    state TEXT NOT NULL DEFAULT 'kept',
    due_at DOUBLE PRECISION NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    claimed_by TEXT,
    claimed_until TIMESTAMPTZ,
    unfinished INTEGER NOT NULL DEFAULT 0,
    unused TEXT
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS inbox_open ON inbox_work (seq) WHERE state = 'kept';
"""

INDEXES = """
CREATE INDEX IF NOT EXISTS inbox_failed ON inbox_work (seq) WHERE state = 'failed';
"""
"""What tables of any release get; releases that know nothing of it keep it as well."""

_FACTS = """
ALTER TABLE inbox_work ADD unfinished INTEGER NOT NULL DEFAULT 0, ADD unused TEXT;
UPDATE inbox_work SET unfinished = substring(error FROM 'attempt (\\d+) of ')::integer
    WHERE error LIKE 'attempt % of % has begun and has not ended';
UPDATE inbox_work SET unused = substring(error FROM 'no app deploys from (.*) on ')
    WHERE state = 'ignored' AND error LIKE 'no app deploys from % on %';
"""
"""What tables of earlier releases lack; they have it as text alone."""


def migrate(db: Connection) -> None:
    """Create the inbox's tables if they are missing; safe from any number of processes."""
    if _is_there(db):
        return
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("migrate inbox")])
        if not _has_facts(db):
            db.execute(_FACTS if _there(db, "inbox_open") else SCHEMA)
        db.execute(INDEXES)


def _is_there(db: Connection) -> bool:
    return _has_facts(db) and _there(db, "inbox_failed")


def _has_facts(db: Connection) -> bool:
    query = (
        "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('inbox_work')"
        " AND attname = 'unused'"
    )
    return db.execute(query).fetchone() is not None


def _there(db: Connection, name: str) -> bool:
    return db.execute("SELECT to_regclass(%s)", [name]).fetchone() != (None,)


CHANNEL = "bridge_inbox"
"""The channel on which processes announce kept deliveries."""

PATIENCE = 5.0
"""Seconds to wait for a server that restarts: hosts wait ten seconds for a response."""

_KEEP = f"""
WITH given AS (
    SELECT * FROM unnest(
        %b::bytea[], %b::text[], %b::text[], %b::text[], %b::text[], %b::float8[], %b::bytea[]
    ) WITH ORDINALITY AS g (key, host, id, event, headers, received_at, body, place)
), new AS (
    INSERT INTO inbox (key, host, id, event, headers, received_at, body)
    SELECT key, host, id, event, headers, received_at, body FROM given ORDER BY place
    ON CONFLICT (key) DO NOTHING RETURNING key, seq
), work AS (
    INSERT INTO inbox_work (seq) SELECT seq FROM new
)
SELECT key, seq, pg_notify('{CHANNEL}', '') FROM new
"""

_KNOWN = "SELECT seq, body, headers FROM inbox WHERE key = %s"

_AGAIN = f"""
WITH again AS (
    UPDATE inbox_work SET state = 'kept', due_at = 0, attempts = 0
    WHERE seq = ANY(%s) AND state = 'failed' RETURNING seq
)
SELECT seq, pg_notify('{CHANNEL}', '') FROM again
"""

_BEGIN = """
UPDATE inbox_work w SET attempts = w.attempts + 1, unfinished = w.unfinished + 1, error = b.note
FROM unnest(%s::int8[], %s::text[]) AS b (seq, note)
WHERE w.seq = b.seq AND w.state = 'kept' AND (w.claimed_by IS NULL OR w.claimed_by = %s)
"""

_FINISH = """
UPDATE inbox_work w
SET state = f.state, due_at = f.due_at, attempts = f.attempts, error = f.error,
    unfinished = 0, unused = f.unused, claimed_by = NULL, claimed_until = NULL
FROM unnest(%s::int8[], %s::text[], %s::float8[], %s::int4[], %s::text[], %s::text[])
    AS f (seq, state, due_at, attempts, error, unused)
WHERE w.seq = f.seq AND w.state = 'kept' AND (w.claimed_by IS NULL OR w.claimed_by = %s)
"""


class Writer:
    """The writing connection. Each statement commits by itself and may be repeated."""

    def __init__(self, url: str, owner: str) -> None:
        self._owner = owner
        self._link = Link(url, "inbox writer", patience=PATIENCE)
        try:
            self._link.run(migrate)
        except BaseException:  # any error: nobody else could close the connection
            self._link.close()
            raise

    def commit(self, batch: Sequence[Item]) -> None:
        rows = {id(item): row for item, row in rows_of(batch)}
        self._link.run(lambda db: self._write(db, batch, rows))

    def close(self) -> None:
        self._link.close()

    def _write(self, db: Connection, batch: Sequence[Item], rows: Mapping[int, Row]) -> None:
        for kind, some in groupby(batch, type):
            items: list[Any] = list(some)
            if kind is Keep:
                _keep(db, [(item, rows[id(item)]) for item in items])
            elif kind is Begin:
                for item in items:
                    db.execute(_BEGIN, [list(item.begun), list(item.begun.values()), self._owner])
            elif kind is Finish:
                _finish(db, items, self._owner)
            else:
                for item in items:
                    _remove(db, item)
        if not any(isinstance(item, Keep | Begin | Forget) or item.finished for item in batch):
            db.execute("SELECT 1 FROM inbox_work LIMIT 1")  # a readiness check


def _keep(db: Connection, rows: Sequence[tuple[Keep, Row]]) -> None:
    known: dict[bytes, tuple[int, bytes, str]] = {}
    fresh = _inserted(db, rows, known)
    rows = [(item, _told_apart(known, item, row)) for item, row in apart(rows, known)]
    others = [pair for pair in rows if pair[1][KEY] not in known]
    fresh |= _inserted(db, [pair for pair in others if pair[1][KEY] not in fresh], known)
    seqs = {key: seq for key, (seq, *_) in known.items()} | fresh
    wanted = {row[KEY] for _, row in rows}
    again = [seq for key, (seq, *_) in known.items() if key in wanted]
    new = set(fresh.values())
    if again:
        new |= {seq for seq, _ in db.execute(_AGAIN, [again]).fetchall()}
    for item, row in rows:
        seq = seqs[row[KEY]]
        item.answer = Kept(seq, seq not in new, its_id(item, row))
        new.discard(seq)


def _inserted(
    db: Connection, rows: Sequence[tuple[Keep, Row]], known: dict[bytes, tuple[int, bytes, str]]
) -> dict[bytes, int]:
    """Insert new rows; return their positions, and add existing ones to `known`."""
    by_key = {row[KEY]: row for _, row in reversed(rows)}
    if not by_key:
        return {}
    keys = list(dict.fromkeys(row[KEY] for _, row in rows))
    columns = [list(column) for column in zip(*(by_key[key] for key in keys), strict=True)]
    new = {key: seq for key, seq, _ in db.execute(_KEEP, columns).fetchall()}
    for key in keys:  # one by one, because a body may be large
        if key not in new:
            found = db.execute(_KNOWN, [key], binary=True).fetchone()
            if found is None:
                raise Unreachable("the inbox", "what is known by this id was just forgotten")
            known[key] = found[0], found[1], found[2]
    return new


def _told_apart(known: Mapping[bytes, tuple[int, bytes, str]], item: Keep, row: Row) -> Row:
    """Return the row, under another id if its own is known with another body."""
    if (found := known.get(row[KEY])) is None or is_same(*found[1:], row, item.new.body):
        return row
    return by_its_body(row, item.new.body)


def _finish(db: Connection, items: Sequence[Finish], owner: str) -> None:
    finished = {one.seq: one for item in items for one in item.finished}.values()
    if finished:
        rows = [
            (f.seq, f.state, f.due_at, f.attempts, *map(_text, (f.error, f.unused)))
            for f in finished
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        db.execute(_FINISH, [*columns, owner])


def _text(value: str | None) -> str | None:
    """Return text without NUL, which Postgres refuses."""
    return value and value.replace("\0", "\ufffd")


def _remove(db: Connection, item: Forget) -> None:
    seqs = list(item.seqs)
    if not item.wholly:
        db.execute("UPDATE inbox SET body = ''::bytea WHERE seq = ANY(%s)", [seqs])
        return
    db.execute(
        "WITH gone AS (DELETE FROM inbox_work WHERE seq = ANY(%s) RETURNING seq)"
        " DELETE FROM inbox d USING gone WHERE d.seq = gone.seq",
        [seqs],
    )


CLAIM_SECONDS = 15.0
"""How long a claim lasts; its holder may renew it at any time."""

ANSWER_SECONDS = 9.0
"""Seconds after which a sender is told to retry, before it gives up by itself."""

_CLAIM = f"""
WITH free AS (
    SELECT seq FROM inbox_work
    WHERE state = 'kept' AND (due_at <= %(now)s OR due_at > %(now)s + %(pause)s) AND (
        claimed_until IS NULL OR claimed_until < clock_timestamp() OR claimed_by = %(owner)s
    )
    ORDER BY seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), w AS (
    UPDATE inbox_work w
    SET claimed_by = %(owner)s,
        claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
    FROM free WHERE w.seq = free.seq RETURNING w.seq, {PROGRESS}
)
"""

# Claimed rows that are not read now are read at the next poll.
_DUE = f"""{_CLAIM}, taken AS (
    SELECT d.seq, sum(length(d.body)) OVER (ORDER BY d.seq) - length(d.body) AS before
    FROM w JOIN inbox d USING (seq)
)
SELECT {FIELDS}, {BODY} FROM taken t JOIN inbox d USING (seq) JOIN w USING (seq)
WHERE t.before < %(most)s ORDER BY d.seq
"""

_RELEASE = """
UPDATE inbox_work SET claimed_by = NULL, claimed_until = NULL
WHERE state = 'kept' AND claimed_by = %s
"""


class PostgresInbox(BatchedInbox):
    """Deliveries in two tables of a Postgres.

    Args:
        url: as libpq reads it.
        owner: the name of this process in its claims.
        listens: whether `woken` is also called for deliveries kept by other processes.
    """

    deliveries, work, by_key = "inbox", "inbox_work", "d.key = ?"

    def __init__(self, url: str, *, owner: str, listens: bool = False, **batching: Any) -> None:
        super().__init__(**batching)
        self._url = url
        self._owner = owner
        self._listens = listens
        self._claims = False
        self._reader = Link(url, "inbox", patience=0.0)
        self._listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Create the tables if they are missing, and start the writer."""
        await self.start_writer(lambda: Writer(self._url, self._owner))
        if self._listens:
            self._listening = asyncio.create_task(
                _listen(self._url, self._told), name="inbox-listener"
            )

    async def stop(self) -> None:
        """Finish pending writes, release the claims, then close."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        await self.stop_writer()
        await asyncio.to_thread(self._leave)

    def _told(self) -> None:
        self.woken()  # `woken` may be set after this starts

    def _leave(self) -> None:
        if self._claims:
            with contextlib.suppress(Unreachable):  # then the claims expire by themselves
                self._reader.run(lambda db: db.execute(_RELEASE, [self._owner]))
        self._reader.close()

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        done = super().put(new)
        timer = done.get_loop().call_later(ANSWER_SECONDS, _give_up, done)
        done.add_done_callback(lambda _: timer.cancel())
        return done

    async def continue_after(self, seq: int) -> bool:
        name = "pg_get_serial_sequence('inbox', 'seq')"
        last = f"pg_sequence_last_value({name}::regclass)"
        query = f"SELECT setval({name}, ?) WHERE coalesce({last}, 0) < ?"
        return bool(await asyncio.to_thread(self._fetch, query, [seq, seq]))

    def _expired(self, before: float, limit: int, more: str) -> list[int]:
        rows = self._fetch(
            "SELECT d.seq FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            f" WHERE d.received_at < ? AND w.state <> 'kept' {more} ORDER BY d.seq LIMIT ?",
            [before, limit],
        )
        return [seq for (seq,) in rows]

    async def due(self, now: float, limit: int) -> list[Delivery]:
        self._claims = True
        values = {"now": now, "limit": limit, "owner": self._owner}
        values |= {"seconds": CLAIM_SECONDS, "pause": LONGEST_PAUSE, "most": MOST_AT_ONCE}
        return await self._read_rows(_DUE, values)

    def _fetch(self, query: str, values: Any) -> list[Any]:
        query = query.replace("?", "%s")
        return self._reader.run(lambda db: db.execute(query, values, binary=True).fetchall())

    def _load(self, seq: int) -> Iterator[bytes]:
        query = "SELECT substring(body FROM ? FOR ?) FROM inbox WHERE seq = ?"
        start = 1
        while (found := self._fetch(query, [start, LARGE, seq])) and found[0][0]:
            yield found[0][0]
            start += LARGE


def _give_up(done: asyncio.Future[Kept]) -> None:
    if not done.done():
        why = f"the database has not answered for {ANSWER_SECONDS:g} s"
        done.set_exception(Unreachable("the inbox", why))


# ── what other processes keep ────────────────────────────────────────────────────────────────────

LISTEN_PAUSE = 1.0
"""Seconds between two attempts to listen."""

BUG_PAUSE = 30.0
"""Seconds after a bug of our own: each is logged, and polling covers it."""


async def _listen(url: str, woken: Callable[[], None]) -> None:
    """Wake this process for other processes' deliveries; polling finds those that it misses."""
    while True:
        pause = LISTEN_PAUSE
        try:
            await _listen_once(url, woken)
        except psycopg.Error as error:
            log.debug("can't listen to other processes", extra={"why": type(error).__name__})
        except Exception:  # a bug; to end here would go unnoticed, since polling covers it
            log.exception("listening to other processes failed unexpectedly; restarting")
            pause = BUG_PAUSE
        await asyncio.sleep(pause)


async def _listen_once(url: str, woken: Callable[[], None]) -> None:
    """Listen until the connection ends."""
    arguments = connect_arguments("inbox listener")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, **arguments) as db:
        await db.execute(f"LISTEN {CHANNEL}")
        woken()
        while True:
            await _readable(db.fileno())
            async for _ in db.notifies(timeout=0):
                woken()


async def _readable(fileno: int) -> None:
    """Wait until a connection is readable; psycopg's own wait wakes ten times a second."""
    loop, said = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fileno, said.set)
    try:
        await said.wait()
    finally:
        loop.remove_reader(fileno)
