"""Dokploy's database as the witness: every deployment record, as first seen and as it is now.

Dokploy overwrites title and description of a record after the build and keeps only ten records
of an app. A thread reads the records many times a second and keeps their first version.
"""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg.rows import dict_row

EVERY = 0.05
"""Seconds between two looks at the records."""

RECORDS = """
SELECT * FROM deployment WHERE coalesce("applicationId", "composeId") = ANY(%s)
ORDER BY "createdAt"
"""

Row = dict[str, Any]


@dataclass
class Record:
    """One deployment record over time.

    Attributes:
        first, last: the whole row when first seen, and the newest version.
        seen_at, changed_at: monotonic time of its first sight and of its last change.
    """

    first: Row
    last: Row
    seen_at: float
    changed_at: float

    @property
    def id(self) -> str:
        return str(self.last["deploymentId"])

    @property
    def app_id(self) -> str:
        return str(self.last["applicationId"] or self.last["composeId"])

    @property
    def status(self) -> str:
        return str(self.last["status"])

    @property
    def words(self) -> str:
        """Title and description as given with the request."""
        return f"{self.first['title']}\n{self.first['description']}"

    @property
    def commit(self) -> str | None:
        """The commit that Dokploy says it built."""
        head, _, sha = str(self.last["description"] or "").partition("Commit: ")
        return sha.strip() if not head and sha else None


@dataclass
class Database:
    """Reads Dokploy's database, and watches the records of the trial's apps."""

    url: str
    apps: set[str] = field(default_factory=set)
    records: dict[str, Record] = field(default_factory=dict)
    looked_at: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.rows("SELECT 1 FROM deployment LIMIT 1")
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        assert self.thread is not None
        self.thread.join()

    def rows(self, query: str, *values: Any) -> list[Row]:
        """Return the rows of a query."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            return connection.cursor(row_factory=dict_row).execute(query, values).fetchall()

    def execute(self, statement: str) -> None:
        """Execute a statement without rows."""
        with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(statement.encode())

    def service(self, table: str, id_: str) -> Row:
        """Return the whole row of an application or a compose stack."""
        return self.rows(f'SELECT * FROM {table} WHERE "{table}Id" = %s', id_)[0]

    def of(self, apps: Iterable[str]) -> list[Record]:
        """Return the records of these apps, oldest first."""
        wanted = set(apps)
        found = [one for one in list(self.records.values()) if one.app_id in wanted]
        return sorted(found, key=lambda one: one.first["createdAt"])

    def look(self) -> None:
        """Wait until a look has begun after this call."""
        now = time.monotonic()
        while self.looked_at <= now + EVERY:
            time.sleep(EVERY / 2)

    def answers(self) -> bool:
        """Return whether the database can be read."""
        try:
            self.rows("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _watch(self) -> None:
        while not self.stopping.is_set():
            try:
                with psycopg.connect(self.url, autocommit=True, connect_timeout=5) as connection:
                    self._watch_by(connection)
            except psycopg.OperationalError:  # a scenario has taken it away
                time.sleep(EVERY)

    def _watch_by(self, connection: "psycopg.Connection[Any]") -> None:
        cursor = connection.cursor(row_factory=dict_row)
        while not self.stopping.wait(EVERY):
            rows = cursor.execute(RECORDS, [sorted(self.apps)]).fetchall()
            self.looked_at = time.monotonic()
            for row in rows:
                self._note(row)

    def _note(self, row: Row) -> None:
        record = self.records.get(row["deploymentId"])
        if record is None:
            now = self.looked_at
            self.records[row["deploymentId"]] = Record(row, row, now, now)
        elif record.last != row:
            record.last, record.changed_at = row, self.looked_at
