"""The settings that setup has stored: read before anything is open, watched, changed."""

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.app.data_folder import (
    database_away,
    database_url,
    must_be_ours,
    not_a_bridges,
    seal_of,
    unusable,
)
from bridge.core.database import connect_arguments
from bridge.core.errors import BridgeError, NotFound, Rejected
from bridge.core.people import Actor
from bridge.pipeline.audit import done
from bridge.settings import (
    BY_SETUP,
    KeyPath,
    Process,
    Settings,
    origins_of,
    read_settings,
    variables,
)

if TYPE_CHECKING:
    from bridge.ports.journal import Journal, StoredSettings
    from bridge.ports.outcomes import Audited

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


# ── While it runs ─────────────────────────────────────────────────────────────────────────────────


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


# ── Changing them ─────────────────────────────────────────────────────────────────────────────────

STORABLE = frozenset({"public_url"})
"""The settings above the sections that may be stored; the others say where and how."""

NOTHING: Mapping[KeyPath, str] = {}


@dataclass(frozen=True, slots=True)
class SettingUp:
    """Reads and changes the stored settings.

    Attributes:
        where: says where the data is, and has the key.
        file, environment: the other sources of settings, which win.
        by: who changes them, for the audit log, e.g. "cli: ada".
    """

    where: Process
    journal: "Journal"
    file: Path | None
    environment: Mapping[str, str]
    by: Actor

    async def stored(self) -> dict[KeyPath, str]:
        """Return the stored settings, opened."""
        return opened(await self.journal.stored_settings(), self.where)

    async def origins(self) -> dict[KeyPath, str]:
        """Return what each configured setting comes from; see `origins_of`."""
        paths = [path_of(name) for name in await self.journal.stored_settings()]
        return origins_of(self.file, self.environment, paths)

    async def settings(self, values: Mapping[KeyPath, str] = NOTHING) -> Settings:
        """Return all settings as they are stored now, with these instead; raise Rejected."""
        merged = {**await self.stored(), **values}
        return read_settings(self.file, self.environment, lambda _: merged)

    async def check(self, values: Mapping[KeyPath, str]) -> Settings:
        """Return all settings as they would be with these; store nothing.

        Raises:
            Rejected: one is no setting, can't be stored, is set elsewhere, or does not fit.
        """
        _may_be_stored(values)
        origins = await self.origins()
        for path in values:
            if (origin := origins.get(path, BY_SETUP)) != BY_SETUP:
                raise Rejected(f"{'.'.join(path)} comes from {origin}, which wins: change it there")
        settings = await self.settings(values)
        from bridge.app.keyrings import keyrings_of  # here, since most commands only read
        from bridge.app.providers import check_backends, host_apis

        for usable in (keyrings_of, host_apis, check_backends):
            usable(settings)
        return settings

    async def change(self, values: Mapping[KeyPath, str]) -> Settings:
        """Store settings, all or none; return all settings as they are then; see `check`."""
        settings = await self.check(values)
        seal = seal_of(self.where)
        sealed = {".".join(path): seal.close(value) for path, value in values.items()}
        await self.journal.store_settings(sealed, self._note("config set", sealed))
        return settings

    async def remove(self, names: Sequence[str]) -> None:
        """Remove stored settings, also those whose key is gone.

        Raises:
            NotFound: one is not stored.
        """
        there = await self.journal.stored_settings()
        for name in names:
            if name not in there:
                kept = ", ".join(there) or "none"
                raise NotFound(f"no setting {name} is stored; there are: {kept}")
        note = self._note("config unset", names)
        await self.journal.store_settings(dict.fromkeys(names), note)

    def _note(self, what: str, names: Iterable[str]) -> "Audited":
        """Return what the audit log is to say: which settings were changed, not their values."""
        return done(self.by, what, ", ".join(sorted(names)))


def path_of(name: str) -> KeyPath:
    """Return a setting's path, given its dotted name."""
    return tuple(name.split("."))


def _may_be_stored(values: Mapping[KeyPath, str]) -> None:
    """Raise Rejected for a setting that must be known before anything can be read."""
    for path in values:
        if path[0] in Process.model_fields and path[0] not in STORABLE:
            variable = next(name for name, its in variables().items() if its[0] == path[0])
            raise Rejected(
                f"{path[0]} can't be stored: it is needed before the data can be read; set"
                f" {variable}, or {path[0]} in bridge.yaml"
            )
