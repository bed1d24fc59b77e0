"""The inbox on Postgres, which any number of processes share."""

from bridge.stores.postgres_inbox.inbox import PostgresInbox

__all__ = ["PostgresInbox"]
