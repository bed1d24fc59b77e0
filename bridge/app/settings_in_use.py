"""The settings that a running bridge was started with, for commands to compare theirs.

A command in another shell may lack some, and would then judge what nobody uses. Nothing is stored
but short digests, by a key of the journal: enough to tell that two values differ, too little to
guess one by.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, SecretStr

from bridge.ports.checks import Finding, Level
from bridge.ports.journal import Notes
from bridge.settings import Settings, fields

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


async def note_settings(settings: Settings, journal: Notes) -> None:
    """Note the settings of this process."""
    digests = _digests(settings, await journal.secret(PURPOSE))
    await journal.note(NOTED, json.dumps(digests))


async def compare(settings: Settings, journal: Notes) -> "Difference | None":
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
            return Finding(Level.OK, CHECK, ABOUT, says)
        says = f"it runs with other settings than this command: {'; '.join(found)}"
        remedy = (
            "set the same variables and --config here, or restart the bridge if these are newer"
        )
        if self.incomplete:
            says += ", so nothing else was checked"
        return Finding(Level.WARNING, CHECK, ABOUT, says, remedy)


CHECK, ABOUT = "bridge.settings", "the bridge"
