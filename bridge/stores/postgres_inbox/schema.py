"""The inbox's tables on Postgres."""

from bridge.stores.dialects import lock_key
from bridge.stores.links import Connection

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
