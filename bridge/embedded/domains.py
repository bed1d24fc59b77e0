"""Domains: the host names under which sites are served, in the server's file."""

import sqlite3
from dataclasses import dataclass

from bridge.embedded.records import Database, Record, dump, load


@dataclass(frozen=True, slots=True)
class Domains:
    """Read and write domains; those of an application go with it."""

    _database: Database

    async def add(self, domain: Record) -> Record:
        """Add a domain; return it with its number.

        Raises:
            sqlite3.IntegrityError: its application does not exist.
        """

        def work(db: sqlite3.Connection) -> Record:
            where = (domain["domainId"], domain["host"].lower(), domain["applicationId"])
            cursor = db.execute(
                "INSERT INTO domain (id, host, application_id, doc) VALUES (?, ?, ?, '')", where
            )
            numbered = domain | {"uniqueConfigKey": cursor.lastrowid}
            db.execute("UPDATE domain SET doc = ? WHERE id = ?", (dump(numbered), where[0]))
            return numbered

        return await self._database.run(work)

    async def of(self, application_id: str) -> list[Record]:
        """Return an application's domains, oldest first."""
        return await self._several("application_id", application_id)

    async def at(self, host: str) -> list[Record]:
        """Return the domains with a host, oldest first."""
        return await self._several("host", host)

    async def remove(self, id_: str) -> Record | None:
        """Remove a domain, and return it; None if there is none."""

        def work(db: sqlite3.Connection) -> Record | None:
            row = db.execute("DELETE FROM domain WHERE id = ? RETURNING doc", (id_,)).fetchone()
            return load(row) if row else None

        return await self._database.run(work)

    async def _several(self, column: str, value: str) -> list[Record]:
        return await self._database.run(
            lambda db: [
                load(row)
                for row in db.execute(
                    f"SELECT doc FROM domain WHERE {column} = ? ORDER BY seq",
                    (value,),
                )
            ]
        )
