"""What SQLite and Postgres do each in its own way.

On SQLite there is one writer, which begins with BEGIN IMMEDIATE. On Postgres transactions
run beside each other, READ COMMITTED: rows that are read to be changed are locked, and what
has no row yet is kept apart by advisory locks, which end with their transaction.
"""

import hashlib

import sqlalchemy as sa

RETRIED = ("40001", "40P01")
"""What Postgres says when two transactions stand in each other's way: one must come again."""


def on_postgres(db: sa.Connection) -> bool:
    """Whether others may write at the same time."""
    return db.dialect.name == "postgresql"


def lock(db: sa.Connection, what: str) -> None:
    """Wait until nobody else holds it; held to the end of this transaction."""
    if on_postgres(db):
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(lock_key(what))))


def lock_key(what: str) -> int:
    """The number by which Postgres knows a lock."""
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=8).digest(), signed=True)


def now(db: sa.Connection, clock: float) -> float:
    """The time that all processes share: the database's, where there can be several."""
    if not on_postgres(db):
        return clock
    return float(db.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())
