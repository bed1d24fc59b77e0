"""Writing to the inbox on Postgres: what is kept, how far each has come, what is forgotten."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from bridge.core.errors import Unreachable
from bridge.ports.inbox import Kept
from bridge.stores.batches import Begin, Finish, Forget, Item, Keep, Row, rows_of
from bridge.stores.links import Connection, Link
from bridge.stores.postgres_inbox.listening import CHANNEL
from bridge.stores.postgres_inbox.schema import migrate
from bridge.stores.same_id import KEY, apart, by_its_body, is_same, its_id

PATIENCE = 5.0
"""Seconds to wait for a server that restarts: hosts wait ten for their answer."""

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

_KNOWN = "SELECT seq, body FROM inbox WHERE key = %s"

_AGAIN = f"""
WITH again AS (
    UPDATE inbox_work SET state = 'kept', due_at = 0, attempts = 0
    WHERE seq = ANY(%s) AND state = 'failed' RETURNING seq
)
SELECT seq, pg_notify('{CHANNEL}', '') FROM again
"""

_BEGIN = """
UPDATE inbox_work w SET attempts = w.attempts + 1, error = b.note
FROM unnest(%s::int8[], %s::text[]) AS b (seq, note)
WHERE w.seq = b.seq AND w.state = 'kept' AND (w.claimed_by IS NULL OR w.claimed_by = %s)
"""

_FINISH = """
UPDATE inbox_work w
SET state = f.state, due_at = f.due_at, attempts = f.attempts, error = f.error,
    claimed_by = NULL, claimed_until = NULL
FROM unnest(%s::int8[], %s::text[], %s::float8[], %s::int4[], %s::text[])
    AS f (seq, state, due_at, attempts, error)
WHERE w.seq = f.seq AND w.state = 'kept' AND (w.claimed_by IS NULL OR w.claimed_by = %s)
"""


class Writer:
    """The writing connection. Each statement commits by itself and may be repeated."""

    def __init__(self, url: str, owner: str) -> None:
        self._owner = owner
        self._link = Link(url, "inbox writer", patience=PATIENCE)
        try:
            self._link.run(migrate)
        except BaseException:  # whatever it is: nobody else could close it
            self._link.close()
            raise

    def commit(self, batch: Sequence[Item]) -> None:
        rows = {id(item): row for item, row in apart(rows_of(batch))}
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
            db.execute("SELECT 1 FROM inbox_work LIMIT 1")  # somebody asks whether it works


def _keep(db: Connection, rows: Sequence[tuple[Keep, Row]]) -> None:
    known: dict[bytes, tuple[int, bytes]] = {}
    fresh = _inserted(db, rows, known)
    if known:
        rows = [(item, _told_apart(known, item, row)) for item, row in rows]
        others = [pair for pair in rows if pair[1][KEY] not in known]
        fresh |= _inserted(db, [pair for pair in others if pair[1][KEY] not in fresh], known)
    seqs = {key: seq for key, (seq, _) in known.items()} | fresh
    wanted = {row[KEY] for _, row in rows}
    again = [seq for key, (seq, _) in known.items() if key in wanted]
    new = set(fresh.values())
    if again:
        new |= {seq for seq, _ in db.execute(_AGAIN, [again]).fetchall()}
    for item, row in rows:
        seq = seqs[row[KEY]]
        item.answer = Kept(seq, seq not in new, its_id(item, row))
        new.discard(seq)


def _inserted(
    db: Connection, rows: Sequence[tuple[Keep, Row]], known: dict[bytes, tuple[int, bytes]]
) -> dict[bytes, int]:
    """Insert what is new; returns where it is, and adds to `known` what was there already."""
    by_key = {row[KEY]: row for _, row in reversed(rows)}
    if not by_key:
        return {}
    keys = list(dict.fromkeys(row[KEY] for _, row in rows))
    columns = [list(column) for column in zip(*(by_key[key] for key in keys), strict=True)]
    new = {key: seq for key, seq, _ in db.execute(_KEEP, columns).fetchall()}
    for key in keys:  # one by one, since a body may be large
        if key not in new:
            found = db.execute(_KNOWN, [key], binary=True).fetchone()
            if found is None:
                raise Unreachable("the inbox", "what is known by this id was just forgotten")
            known[key] = found[0], found[1]
    return new


def _told_apart(known: Mapping[bytes, tuple[int, bytes]], item: Keep, row: Row) -> Row:
    """The row, under another id where its own is known with another body."""
    if (found := known.get(row[KEY])) is None or is_same(found[1], row, item.new.body):
        return row
    return by_its_body(row, item.new.body)


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
