"""The inbox on Postgres: any number of processes keep, and workers claim what they decide.

A claim is a lease on the database's own clock: whoever dies loses it, and another takes over.
Of two that decide the same delivery nothing comes of it twice, since recording it is idempotent;
and only who holds the claim, or nobody does, finishes it.

Positions are given before they are committed, so an older one may show after a newer one was
decided. It was received before, so what the newer one deploys has it in.
"""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bridge.core.database import connect_arguments
from bridge.core.errors import Unreachable
from bridge.ports.figures import InboxFigures
from bridge.ports.inbox import Delivery, Kept, NewDelivery
from bridge.stores.batches import (
    BatchedInbox,
    Finish,
    Forget,
    Item,
    Keep,
    delivery_key,
    delivery_row,
    read_delivery,
)
from bridge.stores.dialects import lock_key
from bridge.stores.links import Connection, Link

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
    claimed_until TIMESTAMPTZ
) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS inbox_open ON inbox_work (seq) WHERE state = 'kept';
"""

CHANNEL = "bridge_inbox"
"""Where it is said that something was kept."""

CLAIM_SECONDS = 15.0
"""How long a claim holds; its holder may claim the same again at any time."""

PATIENCE = 5.0
"""Seconds to wait for a server that restarts: hosts wait ten for their answer."""

ANSWER_SECONDS = 9.0
"""Seconds after which a sender is told to come again, before it gives up by itself."""

LISTEN_PAUSE = 1.0
"""Seconds between two tries to listen."""

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

_KNOWN = f"""
WITH known AS (
    SELECT key, seq FROM inbox WHERE key = ANY(%b)
), again AS (
    UPDATE inbox_work w SET state = 'kept', due_at = 0, attempts = 0
    FROM known WHERE w.seq = known.seq AND w.state = 'failed' RETURNING w.seq
)
SELECT k.key, k.seq, a.seq IS NOT NULL,
    CASE WHEN a.seq IS NOT NULL THEN pg_notify('{CHANNEL}', '') END
FROM known k LEFT JOIN again a ON a.seq = k.seq
"""

_FINISH = """
UPDATE inbox_work w
SET state = f.state, due_at = f.due_at, attempts = f.attempts, error = f.error,
    claimed_by = NULL, claimed_until = NULL
FROM unnest(%s::int8[], %s::text[], %s::float8[], %s::int4[], %s::text[])
    AS f (seq, state, due_at, attempts, error)
WHERE w.seq = f.seq AND w.state = 'kept' AND (w.claimed_by IS NULL OR w.claimed_by = %s)
"""

_CLAIM = """
WITH free AS (
    SELECT seq FROM inbox_work
    WHERE state = 'kept' AND due_at <= %(now)s AND (
        claimed_until IS NULL OR claimed_until < clock_timestamp() OR claimed_by = %(owner)s
    )
    ORDER BY seq LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), w AS (
    UPDATE inbox_work w
    SET claimed_by = %(owner)s,
        claimed_until = clock_timestamp() + %(seconds)s * interval '1 second'
    FROM free WHERE w.seq = free.seq RETURNING w.seq, w.state, w.attempts, w.error
)
"""

_RELEASE = """
UPDATE inbox_work SET claimed_by = NULL, claimed_until = NULL
WHERE state = 'kept' AND claimed_by = %s
"""

_FIELDS = "d.seq, d.host, d.id, d.event, d.headers, d.received_at, w.state, w.attempts, w.error"


def migrate(db: Connection) -> None:
    """Make the inbox's tables where they are not there; safe from any number of processes."""
    if _is_there(db):
        return
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", [lock_key("migrate inbox")])
        if not _is_there(db):
            db.execute(SCHEMA)


def _is_there(db: Connection) -> bool:
    return db.execute("SELECT to_regclass('inbox_open')").fetchone() != (None,)


def _give_up(done: asyncio.Future[Kept]) -> None:
    if not done.done():
        why = f"the database says nothing for {ANSWER_SECONDS:g} s"
        done.set_exception(Unreachable("the inbox", why))


class PostgresInbox(BatchedInbox):
    """Deliveries in two tables of a Postgres.

    Args:
        url: as libpq reads it.
        owner: names this process among those that claim.
        listens: whether `woken` is called for what other processes keep, too.
    """

    def __init__(self, url: str, *, owner: str, listens: bool = False, **batching: Any) -> None:
        # Nothing is remembered: what another process has failed at since must be taken up again.
        super().__init__(remembered=0, **batching)
        self._url = url
        self._owner = owner
        self._listens = listens
        self._claims = False
        self._reader = Link(url, "inbox", patience=0.0)
        self._listening: asyncio.Task[None] | None = None

    # ── life ──────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Make the tables where there are none, and start the writer."""
        await self.start_writer(lambda: _Writer(self._url, self._owner))
        if self._listens:
            self._listening = asyncio.create_task(self._listen(), name="inbox-listener")

    async def stop(self) -> None:
        """Finish what is being kept, give back what is claimed, then close."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
            self._listening = None
        await self.stop_writer()
        await asyncio.to_thread(self._leave)

    def _leave(self) -> None:
        if self._claims:
            with contextlib.suppress(Unreachable):  # then the claims end by themselves
                self._reader.run(lambda db: db.execute(_RELEASE, [self._owner]))
        self._reader.close()

    async def _listen(self) -> None:
        """Be woken by other processes; what comes while nobody listens is found by looking."""
        import psycopg

        arguments = connect_arguments("inbox listener")
        while True:
            with contextlib.suppress(psycopg.Error):
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, **arguments
                ) as db:
                    await db.execute(f"LISTEN {CHANNEL}")
                    self.woken()
                    async for _ in db.notifies():
                        self.woken()
            await asyncio.sleep(LISTEN_PAUSE)

    # ── keeping and forgetting ────────────────────────────────────────────

    def put(self, new: NewDelivery) -> asyncio.Future[Kept]:
        """Have a delivery written to disk; done once it is there, as every inbox does it.

        Ends with Unreachable also where nobody knows after so long; what comes again then is a
        duplicate, or kept.
        """
        done = super().put(new)
        timer = done.get_loop().call_later(ANSWER_SECONDS, _give_up, done)
        done.add_done_callback(lambda _: timer.cancel())
        return done

    async def forget_bodies(self, before: float, limit: int) -> int:
        """Forget the bodies of some decided deliveries from before then; how many."""
        return await self._forget(before, limit, "AND length(d.body) > 0", wholly=False)

    async def forget(self, before: float, limit: int) -> int:
        """Forget some decided deliveries from before then, their ids too; how many."""
        return await self._forget(before, limit, "", wholly=True)

    async def _forget(self, before: float, limit: int, more: str, *, wholly: bool) -> int:
        rows = await self._rows(
            "SELECT d.seq FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            f" WHERE d.received_at < %s AND w.state <> 'kept' {more} ORDER BY d.seq LIMIT %s",
            [before, limit],
        )
        if rows:
            await self.remove([seq for (seq,) in rows], wholly=wholly)
        return len(rows)

    # ── reading ───────────────────────────────────────────────────────────

    async def due(self, now: float, limit: int) -> list[Delivery]:
        """Kept deliveries whose turn has come, with bodies, oldest first; they are ours then."""
        self._claims = True
        values = {"now": now, "limit": limit, "owner": self._owner, "seconds": CLAIM_SECONDS}
        query = f"{_CLAIM} SELECT {_FIELDS}, d.body FROM w JOIN inbox d USING (seq) ORDER BY d.seq"
        return [read_delivery(row) for row in await self._rows(query, values)]

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """The newest deliveries, newest first, without bodies."""
        rows = await self._rows(
            f"SELECT {_FIELDS}, NULL FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            " WHERE d.seq < %s ORDER BY d.seq DESC LIMIT %s",
            [before if before is not None else sys.maxsize, limit],
        )
        return [read_delivery(row) for row in rows]

    async def find(self, host: str, id: str) -> Delivery | None:  # noqa: A002 - as above
        """One delivery by the host's own id, with its body."""
        return await self._one("d.key = %s", delivery_key(host, id))

    async def get(self, seq: int) -> Delivery | None:
        """One delivery by its position, with its body."""
        return await self._one("d.seq = %s", min(seq, sys.maxsize))

    async def figures(self) -> InboxFigures:
        """How full it is now; read from the index of what waits."""
        rows = await self._rows(
            "SELECT count(*), (SELECT received_at FROM inbox WHERE seq ="
            " (SELECT min(seq) FROM inbox_work WHERE state = 'kept'))"
            " FROM inbox_work WHERE state = 'kept'",
            [],
        )
        return InboxFigures(*rows[0])

    async def _one(self, where: str, value: Any) -> Delivery | None:
        rows = await self._rows(
            f"SELECT {_FIELDS}, d.body FROM inbox d JOIN inbox_work w ON w.seq = d.seq"
            f" WHERE {where}",
            [value],
        )
        return read_delivery(rows[0]) if rows else None

    async def _rows(self, query: str, values: Any) -> list[Any]:
        def read() -> list[Any]:
            return self._reader.run(lambda db: db.execute(query, values, binary=True).fetchall())

        return await asyncio.to_thread(read)


class _Writer:
    """The writing connection. Each statement commits by itself and may be repeated."""

    def __init__(self, url: str, owner: str) -> None:
        self._owner = owner
        self._link = Link(url, "inbox writer", patience=PATIENCE)
        try:
            self._link.run(migrate)
        except BaseException:
            self._link.close()
            raise

    def commit(self, batch: Sequence[Item]) -> None:
        rows = {item.key: delivery_row(item) for item in reversed(batch) if isinstance(item, Keep)}
        self._link.run(lambda db: self._write(db, batch, rows))

    def close(self) -> None:
        self._link.close()

    def _write(
        self, db: Connection, batch: Sequence[Item], rows: dict[bytes, tuple[Any, ...]]
    ) -> None:
        for kind, some in groupby(batch, type):
            items: list[Any] = list(some)
            if kind is Keep:
                _keep(db, items, rows)
            elif kind is Finish:
                _finish(db, items, self._owner)
            else:
                for item in items:
                    _remove(db, item)
        if not any(isinstance(item, Keep | Forget) or item.finished for item in batch):
            db.execute("SELECT 1 FROM inbox_work LIMIT 1")  # somebody asks whether it works


def _keep(db: Connection, items: Sequence[Keep], rows: dict[bytes, tuple[Any, ...]]) -> None:
    keys = list(dict.fromkeys(item.key for item in items))
    columns = [list(column) for column in zip(*(rows[key] for key in keys), strict=True)]
    new = {key: seq for key, seq, _ in db.execute(_KEEP, columns).fetchall()}
    seqs, fresh = dict(new), set(new)
    if old := [key for key in keys if key not in new]:
        for key, seq, again, _ in db.execute(_KNOWN, [old]).fetchall():
            seqs[key] = seq
            fresh |= {key} if again else set()
    for item in items:
        item.answer = Kept(seqs[item.key], duplicate=item.key not in fresh)
        fresh.discard(item.key)


def _finish(db: Connection, items: Sequence[Finish], owner: str) -> None:
    finished = {one.seq: one for item in items for one in item.finished}.values()
    if finished:
        rows = [(f.seq, f.state, f.due_at, f.attempts, _text(f.error)) for f in finished]
        columns = [list(column) for column in zip(*rows, strict=True)]
        db.execute(_FINISH, [*columns, owner])


def _text(value: str | None) -> str | None:
    """Postgres has no NUL in texts."""
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
