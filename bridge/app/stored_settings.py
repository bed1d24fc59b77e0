"""The settings that setup has stored: read, watched, changed; and the digests of those in use."""

import asyncio
import hashlib
import hmac
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

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
from bridge.ports.checks import Finding, Level
from bridge.settings import (
    BY_SETUP,
    KeyPath,
    Process,
    Settings,
    fields,
    origins_of,
    read_settings,
    variables,
)

if TYPE_CHECKING:
    from bridge.ports.journal import Audit, Notes
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
    stored: "Audit", version: str, changed: Callable[[], None], *, every: float = EVERY
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
    journal: "Audit"
    file: Path | None
    environment: Mapping[str, str]
    by: Actor

    async def stored(self) -> dict[KeyPath, str]:
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
        origins = await self.origins()
        for path in values:
            if path[0] in Process.model_fields and path[0] not in STORABLE:
                variable = next(name for name, its in variables().items() if its[0] == path[0])
                raise Rejected(
                    f"{path[0]} can't be stored: it is needed before the data can be read; set"
                    f" {variable}, or {path[0]} in bridge.yaml"
                )
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


# ── Those in use, by their digests: a command may have been given others ──────────────────────────

NOTED = "settings in use"
"""The journal's key for the digests."""

PURPOSE = "settings"
"""The name of the journal's secret for them."""

DIGITS = 4
"""Hexadecimal digits of a digest."""

OF_A_PROCESS = frozenset({"host", "port", "data", "database_url", "log_format", "log_level"})
"""Settings that may differ from process to process, or that lead to the data."""

NOT_CHECKED = frozenset({"retention", "journey", "feedback", "catchup", "web"})
"""Sections that no check depends on."""

Digests = Mapping[str, str]
"""The digest of each setting that differs from its default, by its name."""


async def note_settings(settings: Settings, journal: "Notes") -> None:
    """Note the settings of this process."""
    digests = _digests(settings, await journal.secret(PURPOSE))
    await journal.note(NOTED, json.dumps(digests))


async def compare(settings: Settings, journal: "Notes") -> "Difference | None":
    """Compare settings with those noted last; None if none were, by an older release."""
    if (noted := await journal.recall(NOTED)) is None:
        return None
    return Difference(json.loads(noted), _digests(settings, await journal.secret(PURPOSE)))


def _digests(settings: Settings, key: str) -> Digests:
    default = Settings()
    found: dict[str, str] = {}
    for path, _ in fields(Settings):
        given, usual = _value(settings, path), _value(default, path)
        if path[0] not in OF_A_PROCESS and given != usual:
            name = ".".join(path)
            text = f"{name}\0{json.dumps(given, default=_plain, sort_keys=True)}"
            found[name] = hmac.new(key.encode(), text.encode(), "sha256").hexdigest()[:DIGITS]
    return found


def _value(settings: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        settings = getattr(settings, name)
    return settings


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@dataclass(frozen=True, slots=True)
class Difference:
    """The settings of a running bridge, and those of a command."""

    there: Digests
    here: Digests

    @property
    def missing(self) -> list[str]:
        """The settings that are set only there."""
        return sorted(self.there.keys() - self.here.keys())

    @property
    def incomplete(self) -> bool:
        """True if settings that checks depend on are missing here."""
        return any(name.partition(".")[0] not in NOT_CHECKED for name in self.missing)

    def finding(self) -> Finding:
        """Return whether they are the same."""
        others = sorted(self.here.keys() - self.there.keys())
        both = self.there.keys() & self.here.keys()
        changed = sorted(name for name in both if self.there[name] != self.here[name])
        parts = (
            (self.missing, "not set here"),
            (others, "set only here"),
            (changed, "set to other values"),
        )
        found = [f"{', '.join(names)} ({how})" for names, how in parts if names]
        if not found:
            says = "it runs with the settings of this command"
            return Finding(Level.OK, "bridge.settings", "the bridge", says)
        says = f"it runs with other settings than this command: {'; '.join(found)}"
        remedy = (
            "set the same variables and --config here, or restart the bridge if these are newer"
        )
        if self.incomplete:
            says += ", so nothing else was checked"
        return Finding(Level.WARNING, "bridge.settings", "the bridge", says, remedy)
