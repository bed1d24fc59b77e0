"""The settings that setup has stored: read before anything is open, watched while it runs."""

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from bridge.app.data_folder import (
    database_away,
    database_url,
    must_be_ours,
    not_a_bridges,
    unusable,
)
from bridge.app.sealing import seal_of
from bridge.core.database import connect_arguments
from bridge.core.errors import BridgeError, Rejected

if TYPE_CHECKING:
    from bridge.ports.journal import StoredSettings
    from bridge.settings import KeyPath, Process

log = logging.getLogger(__name__)

_QUERY = "SELECT path, sealed FROM stored_settings"

EVERY = 5.0
"""Seconds after which a process notices what another one has stored."""


class Stored:
    """Reads the stored settings once, and remembers their version."""

    def __init__(self) -> None:
        self.version = version_of({})

    def __call__(self, where: "Process") -> "dict[KeyPath, str]":
        """Return them, opened; a `bridge.settings.reading.Stored`.

        Raises:
            Rejected: they can't be read, or their key is gone.
        """
        url = database_url(where)
        sealed = _in_sqlite(where) if url is None else _in_postgres(url)
        self.version = version_of(sealed)
        return opened(sealed, where)


def opened(sealed: Mapping[str, str], where: "Process") -> "dict[KeyPath, str]":
    """Return stored settings by their paths; raise Rejected if their key is gone."""
    seal = seal_of(where)
    found: dict[KeyPath, str] = {}
    for path, value in sealed.items():
        try:
            found[tuple(path.split("."))] = seal.open(value)
        except Rejected as error:
            remedy = f"or remove it with `dokploy-bridge config unset {path}`"
            raise Rejected(f"{path}, made by setup: {error}; {remedy}") from None
    return found


def version_of(sealed: Mapping[str, str]) -> str:
    """Return a text that differs after every change."""
    return hashlib.sha256(json.dumps(sealed, sort_keys=True).encode()).hexdigest()


def _in_sqlite(where: "Process") -> dict[str, str]:
    file = where.data / "journal.sqlite"
    try:
        if not file.exists():
            return {}
        must_be_ours(where.data)
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return dict(db.execute(_QUERY).fetchall())
    except OSError as error:
        raise Unreadable(str(unusable(where.data, error))) from error
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):  # it is older
            return {}
        raise Unreadable(not_a_bridges(str(where.data), str(error))) from error


def _in_postgres(url: str) -> dict[str, str]:
    import psycopg

    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("settings")) as db:
            return dict(db.execute(_QUERY).fetchall())
    except psycopg.errors.UndefinedTable:  # it is new, or older
        return {}
    except psycopg.Error as error:
        raise Unreadable(database_away(str(error))) from error


class Unreadable(Rejected):
    """What setup has stored can't be read."""


# ── while it runs ────────────────────────────────────────────────────────────────────────────────


async def watch(
    stored: "StoredSettings", version: str, changed: Callable[[], None], *, every: float = EVERY
) -> None:
    """Call `changed` once, as soon as what is stored differs from a version."""
    while True:
        try:
            now = version_of(await stored.stored_settings())
        except BridgeError as error:
            log.debug("the stored settings can't be read", extra={"why": str(error)})
        else:
            if now != version:
                changed()
                return
        await asyncio.sleep(every)  # no event crosses processes
