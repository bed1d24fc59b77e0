"""Checks of a set-up: what `doctor` and the setup page say of each service."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from bridge.core.apps import App


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for long."""
    ERROR = "error"
    """Something that the settings ask for does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, without secrets.

    Attributes:
        check: its permanent name for scripts, e.g. "backend.key" or "host.hook.path".
        about: the service, repository, app or channel, e.g. "dokploy" or "github my-org/site".
        says: what was found, in a sentence.
        remedy: what to do about it; "" if nothing.
    """

    level: Level
    check: str
    about: str
    says: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a provider's checks are given.

    Attributes:
        name: the server's name, e.g. "github" or "gitea/second"; a chat's key.
        settings: its section.
        public_url: the bridge's own address for others; None if it is not set.
        apps: the known apps.
    """

    name: str
    settings: Any
    public_url: str | None = None
    apps: Sequence[App] = field(default=())


class Checks(Protocol):
    """The checks of a provider: cheap ones first, each independent of the others."""

    def __call__(self, checked: Checked, /) -> AsyncIterator[Finding]:
        """Yield findings as they come; raise nothing but for bugs."""
