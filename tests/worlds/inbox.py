"""The inbox on each of its databases."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bridge.ports.inbox import DeliveryState, Finished, Inbox
from bridge.storage.inbox.postgres import PostgresInbox
from bridge.storage.inbox.sqlite import SqliteInbox

Opened = Callable[[], Awaitable[Any]]


async def open_sqlite(folder: Path) -> SqliteInbox:
    inbox = SqliteInbox(folder / "inbox.sqlite")
    await inbox.start()
    return inbox


async def open_postgres(url: str) -> PostgresInbox:
    inbox = PostgresInbox(url, owner="this process")
    await inbox.start()
    return inbox


IMPLEMENTATIONS: dict[str, Any] = {"sqlite": open_sqlite, "postgres": open_postgres}


def finished(inbox_seq: int, id_: str, state: DeliveryState, **others: Any) -> Finished:
    return Finished(inbox_seq, "github", id_, state, **others)


async def due_ids(inbox: Inbox, now: float = 0.0) -> list[str]:
    return [found.id for found in await inbox.due(now, 1000)]
