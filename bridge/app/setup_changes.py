"""Change what setup stores: every change is checked with all other settings before it is stored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.app.keyrings import keyrings_of
from bridge.app.providers import check_backends, host_apis
from bridge.app.sealing import seal_of
from bridge.app.stored_settings import opened
from bridge.core.errors import NotFound, Rejected
from bridge.core.origin import Actor
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
    from bridge.ports.journal import Journal
    from bridge.ports.outcomes import Audited

STORABLE = frozenset({"public_url"})
"""The settings above the sections that may be stored; the others say where and how."""

NOTHING: Mapping[KeyPath, str] = {}


@dataclass(frozen=True, slots=True)
class SettingUp:
    """Reads and changes the stored settings.

    Attributes:
        where: says where the data is, and has the key.
        file, environment: the other sources of settings, which win.
        by: who changes them, for the audit log.
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
