"""The inbox on SQLite, for one process and the commands beside it."""

from bridge.stores.sqlite_inbox.inbox import SqliteInbox

__all__ = ["SqliteInbox"]
